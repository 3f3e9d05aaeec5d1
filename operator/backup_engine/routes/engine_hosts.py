"""``/backup_engine/hosts``: what the wire's hosts have no members for (docs/engine.md)."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.extensions.hosts import LIST_ENGINE_HOSTS, EngineHostRecord
from backup_engine.hosts import Hosts
from backup_engine.query.shapes import build_members
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_whole
from backup_engine.routes.parameters import convert_fields

_HOST: Final = build_members(EngineHostRecord)


def build_engine_host_routes(hosts: Hosts) -> APIRouter:
    """Build the route of hosts with the BackupHosts behind them."""
    router = APIRouter(tags=["engine"])

    @router.api_route(**document(LIST_ENGINE_HOSTS, list[EngineHostRecord]))
    async def list_engine_hosts(call: CurrentCall) -> Response:
        """List every host, staged or deployed, with its BackupHost."""
        selection = convert_fields(call.query().get("fields"), _HOST)
        elements = [host.model_dump(mode="json") for host in await hosts.describe()]
        return answer_whole(LIST_ENGINE_HOSTS, elements, selection)

    return router
