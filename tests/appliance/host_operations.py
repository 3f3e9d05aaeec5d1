"""What the endpoints of hosts, tunnels and servers do (spec §6, §8)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.operations import Call, Operation, listed, number, semantic
from appliance.settings import Settings
from appliance.state import ApplianceState
from appliance.wire import Answer, Json, Record, Refusal

_TUNNEL_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_LEAST = 200


@dataclass(frozen=True, slots=True)
class View:
    """Deployed or staged, with its codes for a host id that is unknown or not positive."""

    is_staged: bool
    unknown: int
    not_positive: int

    def settings(self, state: ApplianceState) -> Settings:
        """What is read."""
        return state.staged if self.is_staged else state.deployed


DEPLOYED = View(is_staged=False, unknown=1002, not_positive=1003)
STAGED = View(is_staged=True, unknown=1006, not_positive=1007)
DEPLOYED_TUNNELS = View(is_staged=False, unknown=1009, not_positive=1010)
STAGED_TUNNELS = View(is_staged=True, unknown=1009, not_positive=1010)
_CHANGED_TUNNEL = View(is_staged=True, unknown=1013, not_positive=1011)


def listing_hosts(view: View) -> Operation:
    """Build the list of one view (spec §6.1)."""
    return lambda state, call: listed(list(view.settings(state).hosts.values()), call)


def getting_host(view: View) -> Operation:
    """Build the single read of one view (spec §6.1)."""
    return lambda state, call: Answer(200, call.project(_host(view, state, call)))


def listing_tunnels(view: View) -> Operation:
    """Build the list of tunnels of one view (spec §6.3)."""

    def list_tunnels(state: ApplianceState, call: Call) -> Answer:
        host = _host(view, state, call)
        rows = view.settings(state).tunnels.get(_long(host["id"]), [])
        return listed(rows, call, "name")

    return list_tunnels


def change_tunnel(state: ApplianceState, call: Call) -> Answer:
    """Change the end that opens a staged tunnel (spec §6.3)."""
    host = _host(_CHANGED_TUNNEL, state, call)
    name = call.ids["name"]
    if _TUNNEL_NAME.fullmatch(name) is None:
        raise semantic(1010, "The tunnel name is not valid")
    found = [one for one in state.staged.tunnels.get(_long(host["id"]), []) if one["name"] == name]
    if not found:
        raise Refusal(404, 1012, f"Tunnel {name[:40]} was not found", "No such tunnel.")
    [tunnel] = found
    ends = (host, state.staged.hosts[_long(tunnel["remote_host_id"])])
    if any("magistrate" in _list(end["components"]) for end in ends):
        raise semantic(1014, "A Console is at one end of the tunnel")
    if "reverse_source" not in call.body:
        raise semantic(1016, "The parameter reverse_source is missing")
    tunnel["reverse_source"] = call.body["reverse_source"]
    return Answer(200, call.project(tunnel))


def change_allocation(state: ApplianceState, call: Call) -> Answer:
    """Change EPS and FPM, in force at once (spec §6.2, §14 no. 21)."""
    host_id = number(call.resource_id)
    host = state.deployed.hosts.get(host_id) if host_id is not None else None
    if host is None:
        raise Refusal(404, 1010, f"Host {call.resource_id[:40]} was not found", "No such host.")
    if not call.body:
        raise semantic(1009, "Neither eps_allocation nor fpm_allocation is given")
    eps = _Rate("eps", call.body, host, 500, state.eps_pool)
    fpm = _Rate("fpm", call.body, host, 10_000, state.fpm_pool)
    checks: Mapping[int, bool] = {
        1011: eps.is_no_multiple,
        1012: fpm.is_no_multiple,
        1013: eps.is_too_low,
        1014: fpm.is_too_low,
        1016: host["license_serial_number"] is not None,
        1017: eps.is_above_hardware,
        1018: fpm.is_above_hardware,
        1019: eps.is_above_pool,
        1020: fpm.is_above_pool,
    }
    for code, is_wrong in checks.items():
        if is_wrong:
            raise Refusal(417, code, f"The allocation {call.body} is not possible", "")
    state.eps_pool -= eps.growth
    state.fpm_pool -= fpm.growth
    for view in state.views():
        view.hosts[_long(host["id"])].update(call.body)
    return Answer(200, call.project(host))


class _Rate:
    def __init__(self, unit: str, body: Record, host: Record, block: int, pool: int) -> None:
        name = f"{unit}_allocation"
        before = _long(host[name])
        wanted = _long(body.get(name, before))
        self.growth = wanted - before
        self.is_no_multiple = wanted % block != 0
        self.is_too_low = wanted < _LEAST
        self.is_above_hardware = wanted > _long(host[f"{unit}_rate_hardware_limit"])
        self.is_above_pool = self.growth > pool


def list_servers(state: ApplianceState, call: Call) -> Answer:
    """List the servers, one per host (spec §14 no. 8)."""
    return listed([_server(host) for host in state.hosts.values()], call, "server_id")


def get_server(state: ApplianceState, call: Call) -> Answer:
    """Get one server (spec §8)."""
    server_id = number(call.resource_id)
    if server_id is not None and server_id <= 0:
        raise semantic(1005, f"Server id {server_id} is not positive")
    for host in state.hosts.values():
        if host["primary_server_id"] == server_id:
            server: Record = {**_server(host), "email_server_address": "localhost"}
            return Answer(200, call.project(server))
    raise Refusal(404, 1002, f"Server {call.resource_id[:40]} was not found", "No such server.")


def _server(host: Record) -> Record:
    return {
        "server_id": host["primary_server_id"],
        "managed_host_id": host["id"],
        "hostname": host["hostname"],
        "private_ip": host["private_ip"],
        "status": "ACTIVE",
    }


def _host(view: View, state: ApplianceState, call: Call) -> Record:
    host_id = number(call.ids["id"])
    if host_id is not None and host_id <= 0:
        message = f"Host id {host_id} is not positive"
        raise Refusal(422, view.not_positive, message, "Host id must be positive.")
    host = view.settings(state).hosts.get(host_id) if host_id is not None else None
    if host is None:
        message = f"Host {call.ids['id'][:40]} was not found"
        raise Refusal(404, view.unknown, message, "No such host.")
    return host


def _long(value: Json) -> int:
    assert isinstance(value, int)
    return value


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value
