"""``…/deployment/hosts`` with their tunnels, and ``/system/servers`` (spec §6, §8)."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NoReturn, TypeAlias

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.endpoints import (
    CHANGE_ALLOCATION,
    CHANGE_TUNNEL,
    GET_HOST,
    GET_SERVER,
    GET_STAGED_HOST,
    HA_ACTION,
    LIST_HOSTS,
    LIST_SERVERS,
    LIST_STAGED_HOSTS,
    LIST_STAGED_TUNNELS,
    LIST_TUNNELS,
    UPDATE_IPTABLES,
    Endpoint,
)
from backup_api.errors import EndpointErrors, GetHostErrors
from backup_api.hosts import (
    ChangeAllocation,
    ChangeAllocationErrors,
    GetStagedHostErrors,
    HostRecord,
)
from backup_api.restores import InternalOperationErrors
from backup_api.servers import GetServerErrors, ServerRecord
from backup_api.tunnels import ChangeTunnel, ChangeTunnelErrors, ListTunnelsErrors, TunnelRecord
from backup_engine.errors import RefusalError
from backup_engine.hosts import Hosts
from backup_engine.product import COMPONENTS
from backup_engine.query.shapes import Listing, Members, Plain, PlainType, build_members
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_element, answer_fixed_list
from backup_engine.routes.parameters import convert_body, convert_fields, convert_id

GetHost: TypeAlias = Callable[[int, EndpointErrors], Awaitable[HostRecord]]

# the contract's model takes any component, as a client must; a filter knows the words (spec §6.0)
_COMPONENTS: Final = Listing(Plain(PlainType.CHOICE, COMPONENTS))
_HOST: Final = Members({**build_members(HostRecord).shapes, "components": _COMPONENTS})
_TUNNEL: Final = build_members(TunnelRecord)
_SERVER: Final = build_members(ServerRecord)
_SINGLE_ONLY: Final = frozenset({"email_server_address"})
_LISTED_SERVER: Final = build_members(ServerRecord, without=_SINGLE_ONLY)


def build_host_routes(hosts: Hosts) -> APIRouter:
    """Build the routes of hosts, staged and deployed."""
    router = APIRouter(tags=["hosts"])

    @router.api_route(**document(LIST_HOSTS, list[HostRecord]))
    async def list_hosts(call: CurrentCall) -> Response:
        """List the deployed hosts (spec §6.1)."""
        return _list(call, LIST_HOSTS, await hosts.list_deployed())

    @router.api_route(**document(GET_HOST, HostRecord))
    async def get_host(call: CurrentCall) -> Response:
        """Get one deployed host (spec §6.1)."""
        unknown, wrong = GetHostErrors.UNKNOWN_HOST, GetHostErrors.WRONG_ID
        return await _get(call, GET_HOST, unknown, wrong, hosts.get_deployed)

    @router.api_route(**document(LIST_STAGED_HOSTS, list[HostRecord]))
    async def list_staged_hosts(call: CurrentCall) -> Response:
        """List the staged hosts (spec §6.1)."""
        return _list(call, LIST_STAGED_HOSTS, await hosts.list_staged())

    @router.api_route(**document(GET_STAGED_HOST, HostRecord))
    async def get_staged_host(call: CurrentCall) -> Response:
        """Get one staged host (spec §6.1)."""
        unknown, wrong = GetStagedHostErrors.UNKNOWN_HOST, GetStagedHostErrors.WRONG_ID
        return await _get(call, GET_STAGED_HOST, unknown, wrong, hosts.get_staged)

    @router.api_route(**document(CHANGE_ALLOCATION, HostRecord, body=ChangeAllocation))
    async def change_allocation(call: CurrentCall) -> Response:
        """Refuse to change EPS or FPM: there is no licence pool (spec §6.2)."""
        convert_fields(call.headers.get("fields"), _HOST)
        body = convert_body(call.body, ChangeAllocation, "host")
        unknown = ChangeAllocationErrors.UNKNOWN_HOST
        await hosts.change_allocation(convert_id(call.ids["id"], unknown, unknown), body)

    def _list(call: Call, endpoint: Endpoint, found: Iterable[HostRecord]) -> Response:
        elements = [host.model_dump(mode="json") for host in found]
        return answer_fixed_list(call, endpoint, elements, _HOST)

    async def _get(
        call: Call,
        endpoint: Endpoint,
        unknown: EndpointErrors,
        wrong: EndpointErrors,
        get: GetHost,
    ) -> Response:
        selection = convert_fields(call.query().get("fields"), _HOST)
        host = await get(convert_id(call.ids["id"], unknown, wrong), unknown)
        return answer_element(endpoint, host.model_dump(mode="json"), selection)

    return router


def build_tunnel_routes(hosts: Hosts) -> APIRouter:
    """Build the routes of tunnels: no host has one."""
    router = APIRouter(tags=["tunnels"])

    @router.api_route(**document(LIST_TUNNELS, list[TunnelRecord]))
    async def list_tunnels(call: CurrentCall) -> Response:
        """List the tunnels of a deployed host (spec §6.3)."""
        return await _list(call, LIST_TUNNELS, staged=False)

    @router.api_route(**document(LIST_STAGED_TUNNELS, list[TunnelRecord]))
    async def list_staged_tunnels(call: CurrentCall) -> Response:
        """List the tunnels of a staged host (spec §6.3)."""
        return await _list(call, LIST_STAGED_TUNNELS, staged=True)

    @router.api_route(**document(CHANGE_TUNNEL, TunnelRecord, body=ChangeTunnel))
    async def change_tunnel(call: CurrentCall) -> Response:
        """Refuse to turn a tunnel: there is none (spec §6.3)."""
        convert_fields(call.headers.get("fields"), _TUNNEL)
        convert_body(call.body, ChangeTunnel, "tunnel")
        unknown, wrong = ChangeTunnelErrors.UNKNOWN_HOST, ChangeTunnelErrors.WRONG_HOST_ID
        await hosts.change_tunnel(convert_id(call.ids["id"], unknown, wrong), call.ids["name"])

    async def _list(call: Call, endpoint: Endpoint, *, staged: bool) -> Response:
        # before the host is looked for: parameters are checked first (spec §14)
        answer = answer_fixed_list(call, endpoint, (), _TUNNEL)
        unknown, wrong = ListTunnelsErrors.UNKNOWN_HOST, ListTunnelsErrors.WRONG_HOST_ID
        host_id = convert_id(call.ids["id"], unknown, wrong)
        tunnels = await hosts.list_tunnels(host_id, unknown, staged=staged)
        assert not tunnels
        return answer

    return router


def build_server_routes(hosts: Hosts) -> APIRouter:
    """Build the routes of ``/system/servers``."""
    router = APIRouter(tags=["servers"])

    @router.api_route(**document(LIST_SERVERS, list[ServerRecord]))
    async def list_servers(call: CurrentCall) -> Response:
        """List the servers behind the hosts (spec §8)."""
        elements = [
            server.model_dump(mode="json", exclude=set(_SINGLE_ONLY))
            for server in await hosts.list_servers()
        ]
        return answer_fixed_list(call, LIST_SERVERS, elements, _LISTED_SERVER)

    @router.api_route(**document(GET_SERVER, ServerRecord))
    async def get_server(call: CurrentCall) -> Response:
        """Get one server (spec §8)."""
        selection = convert_fields(call.query().get("fields"), _SERVER)
        unknown, wrong = GetServerErrors.UNKNOWN_SERVER, GetServerErrors.WRONG_ID
        server = await hosts.get_server(convert_id(call.ids["server_id"], unknown, wrong))
        return answer_element(GET_SERVER, server.model_dump(mode="json"), selection)

    return router


def build_refused_routes() -> APIRouter:
    """Build the routes of what an engine without high availability has nothing to do for."""
    router = APIRouter(tags=["high availability"])

    @router.api_route(**document(HA_ACTION, None))
    async def act(call: CurrentCall) -> Response:
        """Refuse an HA action (spec §4.6)."""
        _refuse(call)

    @router.api_route(**document(UPDATE_IPTABLES, None))
    async def update_iptables(call: CurrentCall) -> Response:
        """Refuse to change packet filters (spec §4.6)."""
        _refuse(call)

    def _refuse(call: Call) -> NoReturn:
        message = f"{call.caller.name}: this engine has no HA standby and no packet filters"
        raise RefusalError(InternalOperationErrors.UNKNOWN, message)

    return router
