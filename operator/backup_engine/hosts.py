"""What can be done with the hosts, their tunnels and servers (spec §6, §8)."""

import re
from collections.abc import Iterable
from typing import Final, NoReturn

from backup_api.errors import EndpointErrors
from backup_api.extensions.hosts import EngineHostRecord, EngineHostType
from backup_api.hosts import (
    EPS_BLOCK,
    FPM_BLOCK,
    LEAST_ALLOCATION,
    ChangeAllocation,
    ChangeAllocationErrors,
    HostRecord,
    HostStatus,
)
from backup_api.servers import GetServerErrors, ServerRecord
from backup_api.tunnels import ChangeTunnelErrors, TunnelRecord
from backup_engine.errors import RefusalError
from backup_engine.host_definition import HostSource, HostVersion
from backup_engine.product import Product
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.runs.host_views import build_deployed, build_staged

_TUNNEL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_SERVER_STATUS: Final = "ACTIVE"


class Hosts:
    """The hosts as they are staged and deployed: the console, and what BackupHosts describe."""

    def __init__(self, database: Database, product: Product) -> None:
        self._database = database
        self._product = product

    async def list_deployed(self) -> list[HostRecord]:
        """List the deployed hosts by ascending id."""
        return [each for host in await self._list() if (each := self._deployed(host)) is not None]

    async def list_staged(self) -> list[HostRecord]:
        """List the staged hosts by ascending id."""
        return [build_staged(host, self._product) for host in await self._list()]

    async def get_deployed(self, host_id: int, unknown: EndpointErrors) -> HostRecord:
        """Get one deployed host; raises RefusalError with ``unknown``."""
        return _find(await self.list_deployed(), host_id, unknown)

    async def get_staged(self, host_id: int, unknown: EndpointErrors) -> HostRecord:
        """Get one staged host; raises RefusalError with ``unknown``."""
        return _find(await self.list_staged(), host_id, unknown)

    async def change_allocation(self, host_id: int, body: ChangeAllocation) -> NoReturn:
        """Refuse to change an allocation: always, for there is no licence pool to take it from.

        The rules before that one are told first, by code number (spec §6.2, §14).
        """
        await self.get_deployed(host_id, ChangeAllocationErrors.UNKNOWN_HOST)
        check_allocation(body)
        if body.eps_allocation is not None:
            message = "The licence pool has 0 EPS left: this engine counts no events"
            raise RefusalError(ChangeAllocationErrors.EPS_ABOVE_POOL, message)
        message = "The licence pool has 0 FPM left: this engine counts no flows"
        raise RefusalError(ChangeAllocationErrors.FPM_ABOVE_POOL, message)

    async def list_tunnels(
        self, host_id: int, unknown: EndpointErrors, *, staged: bool
    ) -> tuple[TunnelRecord, ...]:
        """List the tunnels of a host: there are none; raises RefusalError with ``unknown``."""
        await (self.get_staged if staged else self.get_deployed)(host_id, unknown)
        return ()

    async def change_tunnel(self, host_id: int, name: str) -> NoReturn:
        """Refuse to change a tunnel: no host has one (spec §6.3)."""
        await self.get_staged(host_id, ChangeTunnelErrors.UNKNOWN_HOST)
        if not _TUNNEL_NAME.fullmatch(name):
            message = "A tunnel name has 1 to 255 letters, digits, '_', '-' and '.'"
            raise RefusalError(ChangeTunnelErrors.WRONG_TUNNEL_NAME, message)
        message = f"Host {host_id} has no tunnel {name!r}"
        raise RefusalError(ChangeTunnelErrors.UNKNOWN_TUNNEL, message)

    async def list_servers(self) -> tuple[ServerRecord, ...]:
        """List the servers: one behind each deployed host (spec §14 no. 8)."""
        hosts = await self.list_deployed()
        return tuple(build_server(host) for host in hosts if host.status is not HostStatus.DELETED)

    async def get_server(self, server_id: int) -> ServerRecord:
        """Get one server; raises RefusalError with GetServerErrors.UNKNOWN_SERVER."""
        for server in await self.list_servers():
            if server.server_id == server_id:
                return server
        message = f"Server {server_id} was not found"
        raise RefusalError(GetServerErrors.UNKNOWN_SERVER, message)

    async def describe(self) -> list[EngineHostRecord]:
        """List what the wire's hosts have no members for (docs/engine.md)."""
        return [self._describe(host) for host in await self._list()]

    async def _list(self) -> list[StoredHost]:
        async with self._database.reading() as connection:
            return await HostRecords(connection).list_all()

    def _deployed(self, host: StoredHost) -> HostRecord | None:
        return build_deployed(host, self._product)

    def _describe(self, host: StoredHost) -> EngineHostRecord:
        deployed = build_deployed(host, self._product)
        version = host.staged or host.deployed
        source = version.source if version is not None else None
        return EngineHostRecord(
            id=host.id,
            hostname=host.name,
            type=EngineHostType.CONSOLE if host.is_console else EngineHostType.DATA,
            resource_name=source.name if source is not None else None,
            resource_uid=source.uid if source is not None else None,
            staged_generation=_generation(host.staged, of=source),
            # of another BackupHost that was the console before, the generation would mislead
            deployed_generation=_generation(host.deployed, of=source),
            staged_status=build_staged(host, self._product).status,
            deployed_status=deployed.status if deployed is not None else None,
            is_deploy_pending=host.is_pending,
            reason=host.reason,
            message=host.message,
        )


def _find(hosts: Iterable[HostRecord], host_id: int, unknown: EndpointErrors) -> HostRecord:
    for host in hosts:
        if host.id == host_id:
            return host
    raise RefusalError(unknown, f"Host {host_id} was not found")


def _generation(version: HostVersion | None, of: HostSource | None) -> int | None:
    """Return the generation of ``version`` if it was read from the same BackupHost as ``of``."""
    found = version.source if version is not None else None
    is_same = found is not None and of is not None and found.uid == of.uid
    return found.generation if found is not None and is_same else None


def check_allocation(body: ChangeAllocation) -> None:
    """Check blocks and minimum (codes 1009 to 1014); raises RefusalError."""
    eps, fpm = body.eps_allocation, body.fpm_allocation
    if eps is None and fpm is None:
        message = "neither eps_allocation nor fpm_allocation is given"
        raise RefusalError(ChangeAllocationErrors.INVALID, message)
    if eps is not None and eps % EPS_BLOCK:
        message = f"eps_allocation {eps} is no multiple of {EPS_BLOCK}"
        raise RefusalError(ChangeAllocationErrors.EPS_NO_MULTIPLE, message)
    if fpm is not None and fpm % FPM_BLOCK:
        message = f"fpm_allocation {fpm} is no multiple of {FPM_BLOCK}"
        raise RefusalError(ChangeAllocationErrors.FPM_NO_MULTIPLE, message)
    if eps is not None and eps < LEAST_ALLOCATION:
        message = f"eps_allocation {eps} is below {LEAST_ALLOCATION}"
        raise RefusalError(ChangeAllocationErrors.EPS_TOO_LOW, message)
    if fpm is not None and fpm < LEAST_ALLOCATION:
        message = f"fpm_allocation {fpm} is below {LEAST_ALLOCATION}"
        raise RefusalError(ChangeAllocationErrors.FPM_TOO_LOW, message)


def build_server(host: HostRecord) -> ServerRecord:
    """Build the server behind ``host``; it has the host's own id unless the host says otherwise."""
    is_active = host.status is HostStatus.ACTIVE
    return ServerRecord(
        server_id=host.primary_server_id or host.id,
        managed_host_id=host.id,
        hostname=host.hostname,
        private_ip=host.private_ip,
        status=_SERVER_STATUS if is_active or host.status is None else host.status.value,
    )
