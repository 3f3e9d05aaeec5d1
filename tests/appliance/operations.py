"""What each endpoint does once the general checks are passed (spec §3, §6.1, §7, §8)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.callers import Caller
from appliance.filters import Predicate
from appliance.hosts import CONSOLE
from appliance.selection import Projection, SortKey, cut, in_order
from appliance.shapes import DELETABLE, RUNNING, STORES_EVENTS
from appliance.state import BUILD, ApplianceState, Backup
from appliance.versions import list_versions
from appliance.wire import Answer, Record, Refusal

_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """One checked request."""

    caller: Caller
    project: Projection
    resource_id: str = ""
    backup_type: str = ""
    body: Record = field(default_factory=dict)
    window: tuple[int, int] | None = None
    sort: tuple[SortKey, ...] = ()
    matches: Predicate = lambda _: True


Operation = Callable[[ApplianceState, Call], Answer]


def list_backups(state: ApplianceState, call: Call) -> Answer:
    """List them (spec §3.1)."""
    return _listed([backup.record() for backup in state.backups.values()], call)


def get_backup(state: ApplianceState, call: Call) -> Answer:
    """Get one (spec §3.3)."""
    return Answer(200, call.project(_backup(state, call).record()))


def create_backup(state: ApplianceState, call: Call) -> Answer:
    """Create one (spec §3.2), all checks in the order of spec §14."""
    name = _checked_name(call.body.get("name"))
    if "configuration_id" not in call.body:
        raise _semantic(1006, "The configuration id is missing")
    description = _checked_description(call.body)
    if call.body["configuration_id"] != 1:
        raise _semantic(1007, f"No backup configuration {call.body['configuration_id']}")
    host_id = call.body.get("host_id", CONSOLE)
    assert isinstance(host_id, int)
    _check_host(state, host_id, call.backup_type)
    _check_conflicts(state, name, host_id)
    backup = Backup(
        id=state.take_id(),
        host_id=host_id,
        name=name,
        description=description,
        type=call.backup_type,
        time_initiated=state.clock.now_ms(),
        intiated_by=call.caller.label,
    )
    state.backups[backup.id] = backup
    return Answer(201, call.project(backup.record()))


def change_backup(state: ApplianceState, call: Call) -> Answer:
    """Change the description (spec §3.4)."""
    backup = _backup(state, call)
    description = _checked_description(call.body)
    if description is not None:
        backup.description = description
    return Answer(200, call.project(backup.record()))


def delete_backup(state: ApplianceState, call: Call) -> Answer:
    """Cancel or delete (spec §3.5)."""
    backup = _backup(state, call)
    if backup.status not in DELETABLE:
        raise _semantic(1017, f"Backup {backup.id} is {backup.status}")
    state.leave(backup)
    return Answer(202, call.project(backup.record()))


def list_hosts(state: ApplianceState, call: Call) -> Answer:
    """List the hosts (spec §6.1)."""
    return _listed(list(state.hosts.values()), call)


def get_host(state: ApplianceState, call: Call) -> Answer:
    """Get one host (spec §6.1)."""
    host_id = _number(call.resource_id)
    if host_id is not None and host_id <= 0:
        raise Refusal(422, 1003, f"Host id {host_id} is not positive", "Host id must be positive.")
    host = state.hosts.get(host_id) if host_id is not None else None
    if host is None:
        raise Refusal(404, 1002, f"Host {call.resource_id} was not found", "No such host.")
    return Answer(200, call.project(host))


def get_deploy_status(state: ApplianceState, _: Call) -> Answer:
    """Get the running or the last deploy (spec §7.1)."""
    return Answer(200, state.deploy_status())


def start_deploy(state: ApplianceState, call: Call) -> Answer:
    """Deploy (spec §7.2, §14 no. 4 and 5)."""
    deploy_type = call.body.get("type", "INCREMENTAL")
    if deploy_type not in {"INCREMENTAL", "FULL"}:
        raise _semantic(1005, f"Unknown deploy type {deploy_type!r}")
    if state.is_deploying:
        raise _conflict(1002, "A deploy is already in progress")
    if deploy_type == "INCREMENTAL" and not state.has_staged_change:
        raise _conflict(1004, "No changes to deploy")
    state.start_deploy(deploy_type, call.caller.label)
    return Answer(200, state.deploy_status())


def about(_: ApplianceState, call: Call) -> Answer:
    """Tell the product version (spec §8)."""
    told: Record = {
        "build_version": BUILD,
        "external_version": "7.5.0",
        "release_name": "7.5.0 UpdatePackage 12",
        "fips_enabled": False,
    }
    return Answer(200, call.project(told))


def versions(_: ApplianceState, call: Call) -> Answer:
    """List the API versions (spec §8)."""
    return _listed(list_versions(), call)


def get_version(_: ApplianceState, call: Call) -> Answer:
    """Get one API version (spec §8)."""
    for version in list_versions():
        if version["id"] == _number(call.resource_id):
            return Answer(200, call.project(version))
    raise Refusal(404, 1002, f"Version {call.resource_id} was not found", "No such version.")


def _listed(rows: list[Record], call: Call) -> Answer:
    matching = [row for row in rows if call.matches(row)]
    kept, content_range = cut(in_order(matching, call.sort), call.window)
    headers = {"Content-Range": content_range}
    return Answer(200, [call.project(row) for row in kept], headers)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _backup(state: ApplianceState, call: Call) -> Backup:
    number = _number(call.resource_id)
    backup = state.backups.get(number) if number is not None else None
    if backup is None:
        message = f"Backup {call.resource_id[:40]} was not found"
        raise Refusal(404, 1001, message, "No backup with this identifier.")
    return backup


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise _semantic(1002, "The name is null or empty")
    if len(name) > 100:
        raise _semantic(1003, "The name is longer than 100 characters")
    if _NAME.fullmatch(name) is None:
        raise _semantic(1004, "The name may hold letters, digits, '_', '-' and '.' only")
    return name


def _checked_description(body: Record) -> str | None:
    description = body.get("description")
    if not isinstance(description, str):
        return None
    if len(description) > 255:
        raise _semantic(1008, "The description is longer than 255 characters")
    return description


def _check_host(state: ApplianceState, host_id: int, backup_type: str) -> None:
    host = state.hosts.get(host_id)
    if host is None:
        raise _semantic(1009, f"There is no host {host_id}")
    if host["status"] != "Active":
        raise _semantic(1010, f"Host {host_id} is not active")
    components = host["components"]
    assert isinstance(components, list)
    if backup_type == "CONFIG" and "magistrate" not in components:
        raise _semantic(1012, f"Host {host_id} is not the Console")
    if backup_type == "DATA" and STORES_EVENTS.isdisjoint(map(str, components)):
        raise _semantic(1013, f"Host {host_id} stores no event or flow data")
    if backup_type == "DATA" and host_id not in state.hosts_with_data_backup:
        raise _semantic(1014, f"Host {host_id} is not enabled for data backups")


def _check_conflicts(state: ApplianceState, name: str, host_id: int) -> None:
    backups = state.backups.values()
    if any(backup.name == name and not backup.is_scheduled for backup in backups):
        raise _conflict(1005, f"The name {name} is already used")
    if state.is_restoring:
        raise _conflict(1016, "A restore is in progress")
    if any(backup.host_id == host_id and backup.status in RUNNING for backup in backups):
        raise _conflict(1015, f"A backup is already in progress on host {host_id}")
    if not state.is_deployed:
        raise _conflict(1011, "The staged configuration has not been deployed")


def _semantic(code: int, message: str) -> Refusal:
    return Refusal(422, code, message, message.split(" ", 1)[0] + " is not acceptable.")


def _conflict(code: int, message: str) -> Refusal:
    return Refusal(409, code, message, "The request conflicts with the current state.")
