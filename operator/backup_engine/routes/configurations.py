"""``…/scheduled_backup_configurations``, staged and deployed (spec §5)."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.configurations import (
    BackupConfigurationRecord,
    ChangeConfiguration,
    ChangeConfigurationErrors,
    GetConfigurationErrors,
)
from backup_api.endpoints import (
    CHANGE_CONFIGURATION,
    GET_CONFIGURATION,
    GET_STAGED_CONFIGURATION,
    LIST_CONFIGURATIONS,
    LIST_STAGED_CONFIGURATIONS,
    Endpoint,
)
from backup_engine.configurations import Configurations
from backup_engine.product import CONFIGURATION_ID
from backup_engine.query.shapes import build_members
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element, answer_whole
from backup_engine.routes.parameters import convert_body, convert_fields, convert_id

MEMBERS: Final = build_members(BackupConfigurationRecord)

_Get = Callable[[int], Awaitable[BackupConfigurationRecord]]


def build_configuration_routes(configurations: Configurations) -> APIRouter:
    """Build the routes; the two views differ in what they read only."""
    router = APIRouter(tags=["configurations"])

    @router.api_route(**document(LIST_CONFIGURATIONS, list[BackupConfigurationRecord]))
    async def list_configurations(call: CurrentCall) -> Response:
        """List the deployed configurations: there is one (spec §5.1)."""
        return await _list(call, LIST_CONFIGURATIONS, configurations.get_deployed)

    @router.api_route(**document(GET_CONFIGURATION, BackupConfigurationRecord))
    async def get_configuration(call: CurrentCall) -> Response:
        """Get one deployed configuration (spec §5.1)."""
        return await _get(call, GET_CONFIGURATION, configurations.get_deployed)

    @router.api_route(**document(LIST_STAGED_CONFIGURATIONS, list[BackupConfigurationRecord]))
    async def list_staged_configurations(call: CurrentCall) -> Response:
        """List the staged configurations: there is one (spec §5.1)."""
        return await _list(call, LIST_STAGED_CONFIGURATIONS, configurations.get_staged)

    @router.api_route(**document(GET_STAGED_CONFIGURATION, BackupConfigurationRecord))
    async def get_staged_configuration(call: CurrentCall) -> Response:
        """Get one staged configuration (spec §5.1)."""
        return await _get(call, GET_STAGED_CONFIGURATION, configurations.get_staged)

    @router.api_route(
        **document(CHANGE_CONFIGURATION, BackupConfigurationRecord, body=ChangeConfiguration)
    )
    async def change_configuration(call: CurrentCall) -> Response:
        """Change the staged configuration (spec §5.2); a deploy brings it into force."""
        selection = convert_fields(call.headers.get("fields"), MEMBERS)
        body = convert_body(call.body, ChangeConfiguration, "backupConfiguration")
        unknown = ChangeConfigurationErrors.UNKNOWN_CONFIGURATION
        configuration_id = convert_id(call.ids["id"], unknown, unknown)
        changed = await configurations.change(configuration_id, body)
        call.subject = f"configuration {configuration_id} staged"
        return answer_element(CHANGE_CONFIGURATION, changed.model_dump(mode="json"), selection)

    return router


async def _list(call: Call, endpoint: Endpoint, get: _Get) -> Response:
    selection = convert_fields(call.query().get("fields"), MEMBERS)
    only = await get(CONFIGURATION_ID)
    return answer_whole(endpoint, [only.model_dump(mode="json")], selection)


async def _get(call: Call, endpoint: Endpoint, get: _Get) -> Response:
    selection = convert_fields(call.query().get("fields"), MEMBERS)
    unknown = GetConfigurationErrors.UNKNOWN_CONFIGURATION
    found = await get(convert_id(call.ids["id"], unknown, unknown))
    return answer_element(endpoint, found.model_dump(mode="json"), selection)
