"""What can be done with the hosts, their tunnels and servers (spec §6, §8)."""

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from backup_api.errors import EndpointErrors
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

_TUNNEL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_SERVER_STATUS: Final = "ACTIVE"


class Hosts:
    """The hosts, which are made with the engine: staged and deployed are always the same."""

    def __init__(self, hosts: Sequence[HostRecord]) -> None:
        self._by_id = {host.id: host for host in hosts}

    @property
    def all(self) -> tuple[HostRecord, ...]:
        """Every host, by ascending id."""
        return tuple(self._by_id[host_id] for host_id in sorted(self._by_id))

    def get(self, host_id: int, unknown: EndpointErrors) -> HostRecord:
        """Get one host; raises RefusalError with ``unknown``."""
        if host_id not in self._by_id:
            raise RefusalError(unknown, f"Host {host_id} was not found")
        return self._by_id[host_id]

    def change_allocation(self, host_id: int, body: ChangeAllocation) -> NoReturn:
        """Refuse to change an allocation: always, for there is no licence pool to take it from.

        The rules before that one are told first, by code number (spec §6.2, §14).
        """
        self.get(host_id, ChangeAllocationErrors.UNKNOWN_HOST)
        check_allocation(body)
        if body.eps_allocation is not None:
            message = "The licence pool has 0 EPS left: this engine counts no events"
            raise RefusalError(ChangeAllocationErrors.EPS_ABOVE_POOL, message)
        message = "The licence pool has 0 FPM left: this engine counts no flows"
        raise RefusalError(ChangeAllocationErrors.FPM_ABOVE_POOL, message)

    def list_tunnels(self, host_id: int, unknown: EndpointErrors) -> tuple[TunnelRecord, ...]:
        """List the tunnels of a host: there are none; raises RefusalError with ``unknown``."""
        self.get(host_id, unknown)
        return ()

    def change_tunnel(self, host_id: int, name: str) -> NoReturn:
        """Refuse to change a tunnel: no host has one (spec §6.3)."""
        self.get(host_id, ChangeTunnelErrors.UNKNOWN_HOST)
        if not _TUNNEL_NAME.fullmatch(name):
            message = "A tunnel name has 1 to 255 letters, digits, '_', '-' and '.'"
            raise RefusalError(ChangeTunnelErrors.WRONG_TUNNEL_NAME, message)
        message = f"Host {host_id} has no tunnel {name!r}"
        raise RefusalError(ChangeTunnelErrors.UNKNOWN_TUNNEL, message)

    def list_servers(self) -> tuple[ServerRecord, ...]:
        """List the servers: one behind each host (spec §14 no. 8)."""
        return tuple(build_server(host) for host in self.all)

    def get_server(self, server_id: int) -> ServerRecord:
        """Get one server; raises RefusalError with GetServerErrors.UNKNOWN_SERVER."""
        for server in self.list_servers():
            if server.server_id == server_id:
                return server
        message = f"Server {server_id} was not found"
        raise RefusalError(GetServerErrors.UNKNOWN_SERVER, message)


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
