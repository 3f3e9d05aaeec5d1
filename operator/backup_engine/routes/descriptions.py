"""What the server tells about itself: about and versions (spec §8)."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.about import ApiVersion, SystemAbout
from backup_api.endpoints import ABOUT, GET_VERSION, LIST_VERSIONS
from backup_api.errors import GetVersionErrors
from backup_engine.errors import RefusalError
from backup_engine.query.shapes import build_members
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.help import ReadDocumentation
from backup_engine.routes.listing import answer_element, answer_fixed_list
from backup_engine.routes.parameters import convert_fields, convert_id

_ABOUT_MEMBERS: Final = build_members(SystemAbout)
_VERSION_MEMBERS: Final = build_members(ApiVersion)


def build_about_routes(
    about: SystemAbout, versions: Sequence[ApiVersion], read: ReadDocumentation
) -> APIRouter:
    """Build the routes of ``/system/about`` and ``/help/versions``; ``read`` knows the roots."""
    router = APIRouter(tags=["descriptions"])
    by_id = {version.id: version for version in versions}

    @router.api_route(**document(ABOUT, SystemAbout))
    async def get_about(call: CurrentCall) -> Response:
        """Get the product version (spec §8)."""
        selection = convert_fields(call.query().get("fields"), _ABOUT_MEMBERS)
        return answer_element(ABOUT, about.model_dump(mode="json"), selection)

    @router.api_route(**document(LIST_VERSIONS, list[ApiVersion]))
    async def list_versions(call: CurrentCall) -> Response:
        """List the versions of the API that are accepted (spec §8)."""
        elements = await asyncio.to_thread(_dump, versions)
        return answer_fixed_list(call, LIST_VERSIONS, elements, _VERSION_MEMBERS)

    @router.api_route(**document(GET_VERSION, ApiVersion))
    async def get_version(call: CurrentCall) -> Response:
        """Get one version of the API (spec §8)."""
        selection = convert_fields(call.query().get("fields"), _VERSION_MEMBERS)
        unknown = GetVersionErrors.UNKNOWN_VERSION
        version_id = convert_id(call.ids["id"], unknown, unknown)
        if version_id not in by_id:
            raise RefusalError(unknown, f"Version {version_id} was not found")
        (element,) = await asyncio.to_thread(_dump, [by_id[version_id]])
        return answer_element(GET_VERSION, element, selection)

    def _dump(chosen: Sequence[ApiVersion]) -> list[dict[str, Any]]:
        documentation = read()
        return [
            {**each.model_dump(mode="json"), "root_resource_ids": documentation.roots(each.version)}
            for each in chosen
        ]

    return router
