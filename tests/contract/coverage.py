"""Which case covers each row of the code tables, on each server, or why none can."""

from collections.abc import Mapping
from dataclasses import dataclass

from backup_api import errors
from backup_api.endpoints import CREATE_BACKUP, ENDPOINTS, Endpoint
from backup_api.errors import EndpointErrors, FrameworkErrors
from contract.places import (
    ASKS,
    LISTS,
    NO_CAPABILITY_ON_THE_ENGINE,
    NOT_YET_ON_THE_ENGINE,
    WITH_BODY,
    WITH_FIELDS,
)

SERVERS = ("appliance", "engine")


@dataclass(frozen=True, slots=True)
class Case:
    """A test of this suite, as ``file::function``."""

    test: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Why no case can exist."""

    reason: str


Cover = Case | Absent

BROKEN = Absent(
    "a server in good health never answers so; tests/api plays it as a fault for the client"
)
NO_STAGING = Absent("the engine has no staged configuration yet, so it serves no deploy")
ONE_HOST = Absent("the engine's only host is the Console, which is always active")
OPEN_TO_ALL = Absent(
    "any known caller may read hosts and versions; spec §2.2 speaks of the backup endpoints only"
)
NO_RESTORES = Absent("the engine runs no restores yet")
NO_TEXT = Absent("the reference publishes neither text nor cause (spec §7.2)")

_CREATE = "test_create_backup.py::"
_CONFLICT = "test_create_conflicts.py::"
_ONE = "test_one_backup.py::"
_WRONG_MEMBER = Case(_CREATE + "test_a_wrong_member_is_refused")
_UNFIT_HOST = Case(_CONFLICT + "test_an_unfit_host_is_refused")


def _both(case: Cover) -> tuple[Cover, Cover]:
    return case, case


OWN: Mapping[EndpointErrors, tuple[Cover, Cover]] = {
    errors.ListBackupsErrors.WRONG_SORT: _both(
        Case("test_list_backups.py::test_other_names_are_not_sortable")
    ),
    errors.ListBackupsErrors.UNREADABLE: _both(BROKEN),
    errors.ListBackupsErrors.UNREADABLE_LOCATION: _both(BROKEN),
    errors.CreateBackupErrors.NAME_EMPTY: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.NAME_TOO_LONG: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.NAME_CHARACTERS: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.NAME_TAKEN: _both(Case(_CONFLICT + "test_a_taken_name_is_409_1005")),
    errors.CreateBackupErrors.CONFIGURATION_MISSING: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.CONFIGURATION_UNKNOWN: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.DESCRIPTION_TOO_LONG: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.HOST_UNKNOWN: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.HOST_NOT_ACTIVE: (_UNFIT_HOST, ONE_HOST),
    errors.CreateBackupErrors.NOT_DEPLOYED: (
        Case(_CONFLICT + "test_a_staged_change_has_to_be_deployed_409_1011"),
        NO_STAGING,
    ),
    errors.CreateBackupErrors.NOT_THE_CONSOLE: (_UNFIT_HOST, ONE_HOST),
    errors.CreateBackupErrors.NO_DATA_ON_HOST: _both(
        Case(_CONFLICT + "test_a_host_without_data_has_no_data_backup_422_1013")
    ),
    errors.CreateBackupErrors.HOST_NOT_ENABLED: (
        _UNFIT_HOST,
        Absent("no host of the engine stores data yet, so 1013 always comes first"),
    ),
    errors.CreateBackupErrors.HOST_BUSY: _both(
        Case(_CONFLICT + "test_one_backup_at_a_time_runs_on_a_host_409_1015")
    ),
    errors.CreateBackupErrors.RESTORE_RUNNING: (
        Case(_CONFLICT + "test_a_restore_blocks_every_host_409_1016"),
        NO_RESTORES,
    ),
    errors.CreateBackupErrors.NOT_CREATED: _both(BROKEN),
    errors.GetBackupErrors.UNKNOWN_BACKUP: _both(
        Case(_ONE + "test_get_of_an_unknown_backup_is_404_1001")
    ),
    errors.GetBackupErrors.UNREADABLE: _both(BROKEN),
    errors.ChangeBackupErrors.UNKNOWN_BACKUP: _both(
        Case(_ONE + "test_change_of_an_unknown_backup_is_404_1001")
    ),
    errors.ChangeBackupErrors.DESCRIPTION_TOO_LONG: _both(
        Case(_ONE + "test_a_longer_description_is_422_1008")
    ),
    errors.ChangeBackupErrors.NOT_UPDATED: _both(BROKEN),
    errors.DeleteBackupErrors.UNKNOWN_BACKUP: _both(
        Case(_ONE + "test_delete_of_an_unknown_backup_is_404_1001")
    ),
    errors.DeleteBackupErrors.ALREADY_LEAVING: (
        Case(_ONE + "test_a_second_delete_is_422_1017"),
        Case(_ONE + "test_of_many_deletes_one_is_accepted_and_others_are_422_1017"),
    ),
    errors.DeleteBackupErrors.NOT_DELETED: _both(BROKEN),
    errors.ListHostsErrors.UNREADABLE: _both(BROKEN),
    errors.GetHostErrors.UNKNOWN_HOST: _both(
        Case("test_hosts.py::test_an_unknown_host_is_404_1002")
    ),
    errors.GetHostErrors.WRONG_ID: _both(
        Case("test_hosts.py::test_an_id_that_is_not_positive_is_422_1003")
    ),
    errors.GetHostErrors.UNREADABLE: _both(BROKEN),
    errors.GetDeployErrors.UNREADABLE: (BROKEN, NO_STAGING),
    errors.StartDeployErrors.BUSY_OR_NOTHING: (
        Case("test_deploy.py::test_a_deploy_that_runs_is_409_1002"),
        NO_STAGING,
    ),
    errors.StartDeployErrors.REFUSED: (NO_TEXT, NO_STAGING),
    errors.StartDeployErrors.NOTHING_TO_DEPLOY: (
        Case("test_deploy.py::test_nothing_to_deploy_is_409_1004"),
        NO_STAGING,
    ),
    errors.StartDeployErrors.WRONG_TYPE: (
        Case("test_deploy.py::test_an_unknown_type_is_422_1005"),
        NO_STAGING,
    ),
    errors.StartDeployErrors.NOT_STARTED: (BROKEN, NO_STAGING),
    errors.AboutErrors.UNREADABLE: _both(BROKEN),
    errors.ListVersionsErrors.UNREADABLE: _both(BROKEN),
    errors.GetVersionErrors.UNKNOWN_VERSION: _both(
        Case("test_self_description.py::test_an_unknown_version_is_404_1002")
    ),
    errors.GetVersionErrors.UNREADABLE: _both(BROKEN),
}
"""Rows of the endpoints' own tables: on the appliance, on the engine."""


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
        FrameworkCover(Case(_GATE + "test_an_answer_that_is_not_accepted_is_406")),
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
            "it takes no fields (spec §1)",
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
    if not isinstance(row, FrameworkErrors):
        covers = OWN.get(row)
        return None if covers is None else (covers[SERVERS.index(server)], "")
    if server == "engine" and endpoint in NOT_YET_ON_THE_ENGINE:
        return NO_STAGING, ""
    if (
        server == "engine"
        and row is FrameworkErrors.NOT_CAPABLE
        and endpoint in NO_CAPABILITY_ON_THE_ENGINE
    ):
        return OPEN_TO_ALL, ""
    found = FRAMEWORK.get(row)
    if found is None:
        return None
    for cover in found:
        if endpoint in cover.endpoints:
            return cover.case, LABELS[endpoint] if cover.is_per_endpoint else ""
    return Absent(found[0].otherwise), ""


LABELS: Mapping[Endpoint, str] = {ask.endpoint: ask.label for ask in ASKS}
