"""Which case covers each row of the code tables, on each server, or why none can."""

from collections.abc import Mapping
from dataclasses import dataclass

from backup_api.endpoints import CREATE_BACKUP, ENDPOINTS, Endpoint
from backup_api.errors import EndpointErrors, FrameworkErrors
from contract.cover import BROKEN, NOT_YET, OPEN_TO_ALL, Absent, Case, Cover
from contract.own_rows import OWN
from contract.places import (
    ASKS,
    LISTS,
    NO_CAPABILITY_ON_THE_ENGINE,
    NOT_YET_ON_THE_ENGINE,
    WITH_BODY,
    WITH_FIELDS,
    WITH_JSON,
)

SERVERS = ("appliance", "engine")

_CREATE = "test_create_backup.py::"


@dataclass(frozen=True, slots=True)
class FrameworkCover:
    """A case that runs for each of ``endpoints``; on others ``otherwise`` says why not."""

    case: Cover
    endpoints: frozenset[Endpoint] = frozenset(ENDPOINTS)
    otherwise: str = ""
    is_per_endpoint: bool = True


_GATE = "test_gate.py::"
_BODIES = frozenset(ask.endpoint for ask in WITH_BODY)
_LISTS = frozenset(ask.endpoint for ask in LISTS)

FRAMEWORK: Mapping[FrameworkErrors, tuple[FrameworkCover, ...]] = {
    FrameworkErrors.NO_CREDENTIALS: (
        FrameworkCover(Case(_GATE + "test_without_credentials_the_answer_is_401_18")),
    ),
    FrameworkErrors.NOT_CAPABLE: (
        FrameworkCover(Case(_GATE + "test_without_the_capability_the_answer_is_403_26")),
    ),
    FrameworkErrors.UNKNOWN_PATH: (
        FrameworkCover(
            Case(_GATE + "test_an_unknown_path_is_404_in_the_error_body"), is_per_endpoint=False
        ),
    ),
    FrameworkErrors.WRONG_METHOD: (
        FrameworkCover(Case(_GATE + "test_a_wrong_method_is_405_and_the_right_ones_are_told")),
    ),
    FrameworkErrors.NOT_ACCEPTABLE: (
        FrameworkCover(
            Case(_GATE + "test_an_answer_that_is_not_accepted_is_406"),
            frozenset(ask.endpoint for ask in WITH_JSON),
            "it answers whatever is accepted (spec §14 no. 15)",
        ),
    ),
    FrameworkErrors.BODY_TOO_LARGE: (
        FrameworkCover(
            Case(_GATE + "test_a_body_beyond_one_mebibyte_is_413"), _BODIES, "it takes no body"
        ),
    ),
    FrameworkErrors.WRONG_CONTENT_TYPE: (
        FrameworkCover(
            Case(_GATE + "test_a_body_of_another_type_is_415"), _BODIES, "it takes no body"
        ),
    ),
    FrameworkErrors.WRONG_VERSION: (
        FrameworkCover(Case(_GATE + "test_a_malformed_version_is_refused")),
    ),
    FrameworkErrors.MISSING_PARAMETER: (
        FrameworkCover(
            Case(_CREATE + "test_the_type_is_a_header_and_required_422_8"),
            frozenset({CREATE_BACKUP}),
            "none of its parameters is required",
            is_per_endpoint=False,
        ),
    ),
    FrameworkErrors.MISSING_BODY: (
        FrameworkCover(Case(_GATE + "test_a_missing_body_is_422_10"), _BODIES, "it takes no body"),
    ),
    FrameworkErrors.NOT_CONVERTIBLE: (
        FrameworkCover(
            Case(_GATE + "test_a_body_that_is_no_json_object_is_422_11"),
            _BODIES,
            "it takes neither a body nor a filter",
        ),
        FrameworkCover(
            Case(_GATE + "test_a_wrong_filter_is_422_11_with_its_position"),
            _LISTS,
            "it takes neither a body nor a filter",
        ),
    ),
    FrameworkErrors.UNKNOWN_FIELD: (
        FrameworkCover(
            Case(_GATE + "test_an_unknown_field_is_422_30"),
            frozenset(ask.endpoint for ask in WITH_FIELDS),
            "it takes no fields (spec §1), or is refused whatever they are (spec §4.6)",
        ),
    ),
    FrameworkErrors.WRONG_RANGE: (
        FrameworkCover(
            Case(_GATE + "test_a_malformed_range_is_422_36"), _LISTS, "it is not a list"
        ),
    ),
    FrameworkErrors.UNAVAILABLE: (FrameworkCover(BROKEN),),
}
"""Rows that every endpoint shares; the first cover that has the endpoint counts."""


def find_cover(endpoint: Endpoint, row: EndpointErrors, server: str) -> tuple[Cover, str] | None:
    """The cover of one row on one server, and what the case's parameters must name; None: none."""
    if server == "engine" and endpoint in NOT_YET_ON_THE_ENGINE:
        return NOT_YET, ""
    if isinstance(row, FrameworkErrors):
        return _find_framework_cover(endpoint, row, server)
    covers = OWN.get(row)
    if covers is None:
        return None
    is_shared = sum(type(row) is other.refusals for other in ENDPOINTS) > 1
    return covers[SERVERS.index(server)], LABELS[endpoint] if is_shared else ""


def _find_framework_cover(
    endpoint: Endpoint, row: FrameworkErrors, server: str
) -> tuple[Cover, str] | None:
    is_open = server == "engine" and endpoint in NO_CAPABILITY_ON_THE_ENGINE
    if row is FrameworkErrors.NOT_CAPABLE and is_open:
        return OPEN_TO_ALL, ""
    found = FRAMEWORK.get(row)
    if found is None:
        return None
    for cover in found:
        if endpoint in cover.endpoints:
            return cover.case, LABELS[endpoint] if cover.is_per_endpoint else ""
    return Absent(found[0].otherwise), ""


LABELS: Mapping[Endpoint, str] = {ask.endpoint: ask.label for ask in ASKS}
