"""OpenAPI of the endpoints, from the contract's tables; FastAPI validates nothing by it."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict

from backup_api.endpoints import JSON, Endpoint
from backup_api.errors import ErrorBody, FrameworkErrors
from backup_api.wire import WireRequest

_TEXT: Final = {"type": "string"}
_LONG: Final = {"type": "integer", "format": "int64"}
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_TEXT_PLACEHOLDERS: Final = frozenset({"name", "flag", "namespace", "resource"})
_VERSION: Final = {
    "name": "Version",
    "in": "header",
    "description": "API version, for example 26.0; absent: the newest",
    "schema": _TEXT,
}
_RANGE: Final = {
    "name": "Range",
    "in": "header",
    "description": "items=x-y, zero-based",
    "schema": _TEXT,
}
_BYTES: Final = {
    "name": "Range",
    "in": "header",
    "description": "bytes=x-y, as HTTP has it",
    "schema": _TEXT,
}
_LIST: Final = (
    _RANGE,
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
    queries: Mapping[str, str] | None = None,
    has_fields: bool = True,
    has_bytes: bool = False,
) -> RouteOptions:
    """Build the options of the route of ``endpoint``; ``headers`` are required ones by name.

    ``queries`` are optional parameters of extensions with their descriptions; lists of those that
    know no filter take Range all the same. ``has_bytes``: Range is one of bytes.
    """
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
    elif has_bytes:
        parameters.append(_BYTES)
    elif queries and "kind" in queries and not endpoint.is_list:
        parameters.append(_RANGE)
    for name, description in (queries or {}).items():
        parameters.append(
            {"name": name, "in": "query", "description": description, "schema": _TEXT}
        )
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
        responses={**_describe_success(endpoint), **_build_refusals(endpoint)},
        openapi_extra=extra,
    )


def _describe_success(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    others = [media_type for media_type in endpoint.media_types if media_type != JSON]
    if not others:
        return {}
    return {endpoint.success: {"content": {media_type: {} for media_type in others}}}


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
