"""What OpenAPI says of one endpoint, from the contract's tables; FastAPI validates nothing by it.

The whole document is put together in ``openapi.py``.
"""

import re
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypedDict

from pydantic import BaseModel

from backup_api import endpoints
from backup_api.backups import SORTABLE
from backup_api.endpoints import JSON, Endpoint
from backup_api.errors import EndpointErrors, FrameworkErrors
from backup_api.extensions.restores import PlanAction
from backup_api.restores import SORTABLE_RESTORES
from backup_api.wire import WireRequest
from backup_engine.query.shapes import Listing, Members, Shape, build_members
from backup_engine.routes.answers import ServerErrors, find_own_server_error
from backup_engine.routes.examples import BODIES, FILTERS, LINKS
from backup_engine.routes.table import EXTENSION_RIGHTS, RIGHTS

SCHEMAS: Final = "#/components/schemas/"
ERROR_BODY: Final = SCHEMAS + "ErrorBody"
_PARAMETERS: Final = "#/components/parameters/"
_RANGE: Final = _PARAMETERS + "Range"
_HEADERS: Final = "#/components/headers/"

_TEXT: Final = {"type": "string"}
_ID: Final = {"type": "integer", "format": "int64", "minimum": 1}
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_TEXT_PLACEHOLDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,255}$"},
    "flag": _TEXT,
    "namespace": _TEXT,
    "resource": _TEXT,
}
_BYTES: Final = {
    "name": "Range",
    "in": "header",
    "description": "bytes=x-y, as HTTP has it",
    "schema": _TEXT,
}
_WORDS: Final = {"form": ["stored", "restorable"], "action": [each.value for each in PlanAction]}
"""Queries of extensions that take certain words only."""

_EVERYWHERE: Final = {"X-Request-Id": {"$ref": _HEADERS + "X-Request-Id"}}
_DEPRECATED: Final = {"Deprecated": {"$ref": _HEADERS + "Deprecated"}}
_OF_STATUS: Final[Mapping[int, Mapping[str, Any]]] = {
    401: {name: {"$ref": _HEADERS + name} for name in ("WWW-Authenticate", "Retry-After")},
}


SORTABLES: Final[Mapping[Endpoint, Collection[str]]] = {
    endpoints.LIST_BACKUPS: SORTABLE,
    endpoints.LIST_RESTORES: SORTABLE_RESTORES,
}
"""Names that ``sort`` takes."""

_LOCATION: Final = ("app_deployment_location",)
LEFT_OUT: Final[Mapping[Endpoint, Collection[str]]] = {
    endpoints.CREATE_BACKUP: _LOCATION,
    endpoints.GET_BACKUP: _LOCATION,
    endpoints.CHANGE_BACKUP: _LOCATION,
    endpoints.DELETE_BACKUP: _LOCATION,
    endpoints.LIST_SERVERS: ("email_server_address",),
}
"""Members that the model of an answer has and this answer has not (spec §3.0, §8)."""


class RouteOptions(TypedDict):
    """Keyword arguments for a route of FastAPI."""

    path: str
    methods: list[str]
    status_code: int
    response_model: Any
    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]


def document(
    endpoint: Endpoint,
    answer: object,
    *,
    body: type[WireRequest] | None = None,
    headers: Mapping[str, Mapping[str, Any]] | None = None,
    queries: Mapping[str, str] | None = None,
    has_fields: bool = True,
    has_bytes: bool = False,
) -> RouteOptions:
    """Build the options of the route of ``endpoint``, which answers with the model ``answer``.

    ``headers`` are required ones by name. ``queries`` are optional parameters of extensions with
    their descriptions; lists of those that know no filter take Range all the same.
    ``has_bytes``: Range is one of bytes.
    """
    element = typing.get_args(answer)[0] if typing.get_origin(answer) is list else answer
    parameters: list[Mapping[str, Any]] = [{"$ref": _PARAMETERS + "Version"}]
    if has_fields and isinstance(element, type) and issubclass(element, BaseModel):
        members = build_members(element, LEFT_OUT.get(endpoint, ()))
        parameters.append(_build_fields(endpoint, members))
    for name in _PLACEHOLDER.findall(endpoint.path):
        schema = _TEXT_PLACEHOLDERS.get(name, _ID)
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    parameters += _build_list_parameters(endpoint, element, queries or {}, has_bytes)
    for name, schema in (headers or {}).items():
        parameters.append({"name": name, "in": "header", "required": True, "schema": schema})
    extra: dict[str, Any] = {"parameters": parameters}
    if body is not None:
        extra["requestBody"] = _build_request(endpoint, body)
    rows = [*_list_framework_rows(endpoint, body, headers, has_fields), *endpoint.refusals]
    if {"$ref": _RANGE} in parameters and not endpoint.is_list:
        rows.append(FrameworkErrors.WRONG_RANGE)
    success: dict[int | str, dict[str, Any]] = {endpoint.success: _build_success(endpoint)}
    if has_bytes:
        success |= {206: {**success[endpoint.success], "description": "The part asked for"}}
    return RouteOptions(
        path=endpoint.path,
        methods=[endpoint.method],
        status_code=endpoint.success,
        response_model=answer,
        responses={**success, **_build_refusals(rows)},
        openapi_extra=extra,
    )


def _build_list_parameters(
    endpoint: Endpoint, element: object, queries: Mapping[str, str], has_bytes: bool
) -> list[Mapping[str, Any]]:
    parameters: list[Mapping[str, Any]] = []
    if endpoint.is_list:
        parameters += [
            {"$ref": _RANGE},
            _build_filter(endpoint, getattr(element, "__name__", "any")),
        ]
    if endpoint.is_sortable:
        parameters.append(_build_sort(SORTABLES[endpoint]))
    elif has_bytes:
        parameters.append(_BYTES)
    elif "kind" in queries and not endpoint.is_list:
        parameters.append({"$ref": _RANGE})
    for name, text in queries.items():
        schema = {"type": "string", "enum": _WORDS[name]} if name in _WORDS else _TEXT
        parameters.append({"name": name, "in": "query", "description": text, "schema": schema})
    return parameters


def _build_fields(endpoint: Endpoint, members: Members) -> Mapping[str, Any]:
    names = ", ".join(members.shapes)
    plain = [name for name, shape in members.shapes.items() if _find_inner(shape) is None]
    return {
        "name": "fields",
        "in": "header" if endpoint.method == "POST" else "query",  # spec §2.5
        "description": f"Members to return, sub-members in brackets; absent: all. One of {names}",
        "schema": {"type": "string", "pattern": f"^({_build_list(members)})?$"},
        "example": ",".join(plain[:3]),
    }


def _build_list(members: Members) -> str:
    """Build a pattern for what ``fields`` takes: exactly that, so that a generator can use it."""
    names: list[str] = []
    for name in (*members.shapes, *members.aliases):
        inner = _find_inner(members.shapes[members.aliases.get(name, name)])
        names.append(name if inner is None else rf"{name} *(\({_build_list(inner)}\) *)?")
    one = f" *({'|'.join(names)}) *"
    return f"{one}(,{one})*"


def _find_inner(shape: Shape) -> Members | None:
    inner = shape.element if isinstance(shape, Listing) else shape
    return inner if isinstance(inner, Members) else None


def _build_filter(endpoint: Endpoint, element: str) -> Mapping[str, Any]:
    return {
        "name": "filter",
        "in": "query",
        "description": "Condition on members: = != < <= > >=, in, between, is null, like, ilike, "
        "contains, joined by and, or, not and brackets. URL-encode it once",
        "schema": {"type": "string", "format": f"{element}-filter"},
        **({"example": FILTERS[endpoint]} if endpoint in FILTERS else {}),
    }


def _build_sort(sortable: Collection[str]) -> Mapping[str, Any]:
    names = "|".join(sorted(sortable))
    one = f"[+-]? *({names}) *"
    return {
        "name": "sort",
        "in": "query",
        "description": "[+|-]name{,[+|-]name}: ascending or descending; encode + as %2B. "
        f"Sortable are {', '.join(sorted(sortable))}",
        "schema": {"type": "string", "pattern": f"^({one}(,{one})*)?$"},
        "example": "-time_initiated",
    }


def _build_request(endpoint: Endpoint, body: type[WireRequest]) -> dict[str, Any]:
    # the definitions inside are moved to the components when the document is put together
    content: dict[str, Any] = {"schema": body.model_json_schema(ref_template=SCHEMAS + "{model}")}
    if endpoint in BODIES:
        content["example"] = BODIES[endpoint]
    return {"required": True, "content": {"application/json": content}}


def _build_success(endpoint: Endpoint) -> dict[str, Any]:
    headers = {**_EVERYWHERE, **_DEPRECATED}
    if endpoint.is_list:
        headers["Content-Range"] = {"$ref": _HEADERS + "Content-Range"}
    success: dict[str, Any] = {"description": "Done", "headers": headers}
    others = [media_type for media_type in endpoint.media_types if media_type != JSON]
    if others:
        success["content"] = {media_type: {} for media_type in others}
    if endpoint in LINKS:
        success["links"] = {
            f"{name} this": {"operationId": name, "parameters": {"id": place}}
            for name, place in LINKS[endpoint].items()
        }
    return success


def _list_framework_rows(
    endpoint: Endpoint,
    body: type[WireRequest] | None,
    headers: Mapping[str, object] | None,
    has_fields: bool,
) -> Iterable[EndpointErrors]:
    """List what the checks before the endpoint may answer (spec §14 "Order of checks")."""
    is_post = endpoint.method == "POST"
    own_error = find_own_server_error(endpoint)
    rows: Mapping[EndpointErrors, bool] = {
        ServerErrors.BAD_SYNTAX: True,
        ServerErrors.HEADERS_TOO_LONG: True,
        ServerErrors.TARGET_TOO_LONG: True,
        FrameworkErrors.NO_CREDENTIALS: True,
        FrameworkErrors.NOT_CAPABLE: {**RIGHTS, **EXTENSION_RIGHTS}.get(endpoint) is not None,
        FrameworkErrors.UNKNOWN_PATH: "{" in endpoint.path,
        FrameworkErrors.NOT_ACCEPTABLE: JSON in endpoint.media_types
        or len(endpoint.media_types) > 1,
        ServerErrors.TOO_SLOW: is_post,
        FrameworkErrors.BODY_TOO_LARGE: True,
        FrameworkErrors.WRONG_CONTENT_TYPE: is_post,
        FrameworkErrors.WRONG_VERSION: True,
        FrameworkErrors.MISSING_PARAMETER: bool(headers),
        FrameworkErrors.MISSING_BODY: body is not None,
        FrameworkErrors.NOT_CONVERTIBLE: True,
        FrameworkErrors.UNKNOWN_FIELD: has_fields,
        FrameworkErrors.WRONG_RANGE: endpoint.is_list,
        ServerErrors.INTERNAL: own_error is ServerErrors.INTERNAL,
        ServerErrors.UNAVAILABLE: True,
    }
    return (row for row, may_come in rows.items() if may_come)


def _build_refusals(rows: Iterable[EndpointErrors]) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int, list[EndpointErrors]] = {}
    for row in rows:
        by_status.setdefault(row.http_status, []).append(row)
    return {status: _build_refusal(status, group) for status, group in sorted(by_status.items())}


def _build_refusal(status: int, rows: list[EndpointErrors]) -> dict[str, Any]:
    codes = {row.code: row for row in sorted(rows, key=lambda row: row.code)}
    lines = [f"- {code}: {describe_row(row)}" for code, row in codes.items()]
    # beside the reference, for a generator of clients then knows one type of error
    schema = {"$ref": ERROR_BODY, "properties": {"code": {"enum": list(codes)}}}
    return {
        "description": "\n".join(lines),
        "headers": {**_EVERYWHERE, **_OF_STATUS.get(status, {})},
        "content": {"application/json": {"schema": schema}},
    }


def describe_row(row: EndpointErrors) -> str:
    """Say what a row means: its own text, or else its name as a sentence."""
    return row.description or f"{row.name.replace('_', ' ').capitalize()}."
