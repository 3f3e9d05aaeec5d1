"""``/help/endpoints`` and ``/help/resources`` (spec §8)."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.documentation import (
    EndpointDescription,
    GetDescriptionErrors,
    ResourceDescription,
)
from backup_api.endpoints import (
    GET_ENDPOINT_DESCRIPTION,
    GET_RESOURCE_DESCRIPTION,
    LIST_ENDPOINT_DESCRIPTIONS,
    LIST_RESOURCE_DESCRIPTIONS,
)
from backup_engine.auth.callers import Right
from backup_engine.auth.gate import Gate
from backup_engine.documentation import Documentation, add_slashes
from backup_engine.errors import RefusalError
from backup_engine.query.shapes import Members, Plain, PlainType, build_members
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element, answer_fixed_list
from backup_engine.routes.parameters import convert_fields, convert_id
from backup_engine.routes.table import RIGHTS

_METHODS: Final = Plain(
    PlainType.CHOICE,
    frozenset({"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"}),
)
_ENDPOINT: Final = Members(
    {**build_members(EndpointDescription).shapes, "http_method": _METHODS}  # spec §8
)
_RESOURCE: Final = build_members(ResourceDescription)

ReadDocumentation = Callable[[], Documentation]
"""Builds the rows at the first call and returns the same ones ever after; takes a while."""


def build_help_routes(read: ReadDocumentation, gate: Gate) -> APIRouter:
    """Build the routes; ``gate`` tells what each caller may."""
    router = APIRouter(tags=["help"])

    @router.api_route(**document(LIST_ENDPOINT_DESCRIPTIONS, list[EndpointDescription]))
    async def list_endpoints(call: CurrentCall) -> Response:
        """List the endpoints, once for each supported version (spec §8)."""
        rows = await _with_access(call, await _read())
        return answer_fixed_list(call, LIST_ENDPOINT_DESCRIPTIONS, rows, _ENDPOINT, add_slashes)

    @router.api_route(**document(GET_ENDPOINT_DESCRIPTION, EndpointDescription))
    async def get_endpoint(call: CurrentCall) -> Response:
        """Get the description of one endpoint (spec §8)."""
        selection = convert_fields(call.query().get("fields"), _ENDPOINT)
        rows = await _with_access(call, await _read())
        row = _find(rows, call.ids["endpoint_id"])
        return answer_element(GET_ENDPOINT_DESCRIPTION, row, selection)

    @router.api_route(**document(LIST_RESOURCE_DESCRIPTIONS, list[ResourceDescription]))
    async def list_resources(call: CurrentCall) -> Response:
        """List the tree of paths, once for each supported version (spec §8)."""
        rows = [each.model_dump(mode="json") for each in (await _read()).resources]
        return answer_fixed_list(call, LIST_RESOURCE_DESCRIPTIONS, rows, _RESOURCE, add_slashes)

    @router.api_route(**document(GET_RESOURCE_DESCRIPTION, ResourceDescription))
    async def get_resource(call: CurrentCall) -> Response:
        """Get one resource of the tree (spec §8)."""
        selection = convert_fields(call.query().get("fields"), _RESOURCE)
        rows = [each.model_dump(mode="json") for each in (await _read()).resources]
        row = _find(rows, call.ids["resource_id"])
        return answer_element(GET_RESOURCE_DESCRIPTION, row, selection)

    async def _read() -> Documentation:
        return await asyncio.to_thread(read)

    async def _with_access(call: Call, documentation: Documentation) -> list[dict[str, Any]]:
        rights = tuple(dict.fromkeys(RIGHTS.values()))  # each asked for once, not once per row
        answers = await asyncio.gather(
            *(gate.is_allowed(call.credential, right) for right in rights)
        )
        allowed: dict[Right | None, bool] = dict(zip(rights, answers, strict=True))
        return [
            {
                **row.model_dump(mode="json"),
                "caller_has_access": allowed[RIGHTS[documentation.served[row.id]]],
            }
            for row in documentation.endpoints
        ]

    return router


def _find(rows: Iterable[Mapping[str, Any]], text: str) -> Mapping[str, Any]:
    unknown = GetDescriptionErrors.UNKNOWN_ID
    wanted = convert_id(text, unknown, unknown)
    for row in rows:
        if row["id"] == wanted:
            return row
    raise RefusalError(unknown, f"There is nothing described under the id {wanted}")
