"""OpenAPI of the endpoints, from the contract's tables; FastAPI validates nothing by it."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict

from backup_api.endpoints import Endpoint
from backup_api.errors import ErrorBody, FrameworkErrors
from backup_api.wire import WireRequest

_TEXT: Final = {"type": "string"}
_LONG: Final = {"type": "integer", "format": "int64"}
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_TEXT_PLACEHOLDERS: Final = frozenset({"name", "flag"})
_VERSION: Final = {
    "name": "Version",
    "in": "header",
    "description": "API version, for example 26.0; absent: the newest",
    "schema": _TEXT,
}
_LIST: Final = (
    {"name": "Range", "in": "header", "description": "items=x-y, zero-based", "schema": _TEXT},
    {"name": "filter", "in": "query", "description": "condition on members", "schema": _TEXT},
)
_SORT: Final = {
    "name": "sort",
    "in": "query",
    "description": "[+|-]name{,[+|-]name}",
    "schema": _TEXT,
}


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
    has_fields: bool = True,
) -> RouteOptions:
    """Build the options of the route of ``endpoint``; ``headers`` are required ones by name."""
    fields: Mapping[str, Any] = {
        "name": "fields",
        "in": "header" if endpoint.method == "POST" else "query",  # spec §2.5
        "description": "members to return, for example id,name; absent: all",
        "schema": _TEXT,
    }
    parameters: list[Mapping[str, Any]] = [_VERSION, *([fields] if has_fields else [])]
    for name in _PLACEHOLDER.findall(endpoint.path):
        schema: Mapping[str, str] = _TEXT if name in _TEXT_PLACEHOLDERS else _LONG
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if endpoint.is_list:
        parameters += _LIST
    if endpoint.is_sortable:
        parameters.append(_SORT)
    for name, schema in (headers or {}).items():
        parameters.append({"name": name, "in": "header", "required": True, "schema": schema})
    extra: dict[str, Any] = {"parameters": parameters}
    if body is not None:
        content = {"application/json": {"schema": body.model_json_schema()}}
        extra["requestBody"] = {"required": True, "content": content}
    return RouteOptions(
        path=endpoint.path,
        methods=[endpoint.method],
        status_code=endpoint.success,
        response_model=answer,
        responses=_build_refusals(endpoint),
        openapi_extra=extra,
    )


def _build_refusals(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    texts: dict[int | str, list[str]] = {}
    for row in (*FrameworkErrors, *endpoint.refusals):
        texts.setdefault(row.http_status, []).append(
            f"{row.code}: {row.description or row.name.replace('_', ' ').capitalize()}"
        )
    return {
        status: {"model": ErrorBody, "description": "\n".join(lines)}
        for status, lines in texts.items()
    }
