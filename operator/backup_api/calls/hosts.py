"""Calls of the deployment hosts, their tunnels and their servers (spec §6, §8)."""

from typing import Final

from pydantic import TypeAdapter

from backup_api import endpoints
from backup_api.calls.calling import Calls, Ids
from backup_api.hosts import ChangeAllocation, HostRecord
from backup_api.servers import ServerRecord
from backup_api.tunnels import ChangeTunnel, TunnelRecord

_HOST: Final = TypeAdapter(HostRecord)
_HOSTS: Final = TypeAdapter(tuple[HostRecord, ...])
_TUNNEL: Final = TypeAdapter(TunnelRecord)
_TUNNELS: Final = TypeAdapter(tuple[TunnelRecord, ...])
_SERVER: Final = TypeAdapter(ServerRecord)
_SERVERS: Final = TypeAdapter(tuple[ServerRecord, ...])


class HostCalls(Calls):
    """Read hosts and what belongs to them, change allocations and tunnels.

    Lists come whole: a deployment has few hosts.
    """

    async def list_hosts(self, *, filter_by: str | None = None) -> tuple[HostRecord, ...]:
        """List the deployed hosts (spec §6.1)."""
        return await self._get(endpoints.LIST_HOSTS, _HOSTS, filter_by=filter_by)

    async def get_host(self, host_id: int) -> HostRecord:
        """Get a deployed host; 404/1002 is GetHostErrors.UNKNOWN_HOST (spec §6.1)."""
        return await self._get(endpoints.GET_HOST, _HOST, ids={"id": host_id})

    async def change_allocation(self, host_id: int, body: ChangeAllocation) -> HostRecord:
        """Change EPS or FPM of a deployed host, in force at once (spec §6.2)."""
        return await self._post(endpoints.CHANGE_ALLOCATION, _HOST, body, ids={"id": host_id})

    async def list_staged_hosts(self, *, filter_by: str | None = None) -> tuple[HostRecord, ...]:
        """List the hosts as the next deploy makes them (spec §6.1)."""
        return await self._get(endpoints.LIST_STAGED_HOSTS, _HOSTS, filter_by=filter_by)

    async def get_staged_host(self, host_id: int) -> HostRecord:
        """Get a staged host; 404/1006 is GetStagedHostErrors.UNKNOWN_HOST (spec §6.1)."""
        return await self._get(endpoints.GET_STAGED_HOST, _HOST, ids={"id": host_id})

    async def list_tunnels(
        self, host_id: int, *, filter_by: str | None = None
    ) -> tuple[TunnelRecord, ...]:
        """List the tunnels of a deployed host (spec §6.3)."""
        ids = {"id": host_id}
        return await self._get(endpoints.LIST_TUNNELS, _TUNNELS, ids=ids, filter_by=filter_by)

    async def list_staged_tunnels(
        self, host_id: int, *, filter_by: str | None = None
    ) -> tuple[TunnelRecord, ...]:
        """List the tunnels of a host as the next deploy makes them (spec §6.3)."""
        endpoint = endpoints.LIST_STAGED_TUNNELS
        return await self._get(endpoint, _TUNNELS, ids={"id": host_id}, filter_by=filter_by)

    async def change_tunnel(self, host_id: int, name: str, reverse_source: bool) -> TunnelRecord:
        """Change from which end a staged tunnel is opened (spec §6.3); it needs a deploy."""
        body = ChangeTunnel(reverse_source=reverse_source)
        ids: Ids = {"id": host_id, "name": name}
        return await self._post(endpoints.CHANGE_TUNNEL, _TUNNEL, body, ids=ids)

    async def list_servers(self, *, filter_by: str | None = None) -> tuple[ServerRecord, ...]:
        """List the servers behind the hosts (spec §8)."""
        return await self._get(endpoints.LIST_SERVERS, _SERVERS, filter_by=filter_by)

    async def get_server(self, server_id: int) -> ServerRecord:
        """Get one server, with the address of its mail server (spec §8)."""
        return await self._get(endpoints.GET_SERVER, _SERVER, ids={"server_id": server_id})
