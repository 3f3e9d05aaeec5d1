"""What the endpoints of backups and versions do once the general checks are passed."""

import re
from collections.abc import Callable, Mapping
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
    ids: Mapping[str, str] = field(default_factory=dict)
    backup_type: str = ""
    body: Record = field(default_factory=dict)
    window: tuple[int, int] | None = None
    sort: tuple[SortKey, ...] = ()
    matches: Predicate = lambda _: True

    @property
    def resource_id(self) -> str:
        """The first id in the path; empty if there is none."""
        return next(iter(self.ids.values()), "")


Operation = Callable[[ApplianceState, Call], Answer]


def list_backups(state: ApplianceState, call: Call) -> Answer:
    """List them (spec §3.1)."""
    return listed([backup.record() for backup in state.backups.values()], call)


def get_backup(state: ApplianceState, call: Call) -> Answer:
    """Get one (spec §3.3)."""
    return Answer(200, call.project(_backup(state, call).record()))


def create_backup(state: ApplianceState, call: Call) -> Answer:
    """Create one (spec §3.2), all checks in the order of spec §14."""
    name = _checked_name(call.body.get("name"))
    if "configuration_id" not in call.body:
        raise semantic(1006, "The configuration id is missing")
    description = _checked_description(call.body)
    if call.body["configuration_id"] != 1:
        raise semantic(1007, f"No backup configuration {call.body['configuration_id']}")
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
        raise semantic(1017, f"Backup {backup.id} is {backup.status}")
    state.leave(backup)
    return Answer(202, call.project(backup.record()))


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
    return listed(list_versions(), call)


def get_version(_: ApplianceState, call: Call) -> Answer:
    """Get one API version (spec §8)."""
    for version in list_versions():
        if version["id"] == number(call.resource_id):
            return Answer(200, call.project(version))
    raise Refusal(404, 1002, f"Version {call.resource_id} was not found", "No such version.")


def listed(rows: list[Record], call: Call, identity: str = "id") -> Answer:
    """Filter, sort, cut and project a list (spec §2.10)."""
    matching = [row for row in rows if call.matches(row)]
    kept, content_range = cut(in_order(matching, call.sort, identity), call.window)
    headers = {"Content-Range": content_range}
    return Answer(200, [call.project(row) for row in kept], headers)


def number(text: str) -> int | None:
    """Read an id of a path; None: no id (spec §14 no. 13)."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _backup(state: ApplianceState, call: Call) -> Backup:
    backup_id = number(call.resource_id)
    backup = state.backups.get(backup_id) if backup_id is not None else None
    if backup is None:
        message = f"Backup {call.resource_id[:40]} was not found"
        raise Refusal(404, 1001, message, "No backup with this identifier.")
    return backup


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise semantic(1002, "The name is null or empty")
    if len(name) > 100:
        raise semantic(1003, "The name is longer than 100 characters")
    if _NAME.fullmatch(name) is None:
        raise semantic(1004, "The name may hold letters, digits, '_', '-' and '.' only")
    return name


def _checked_description(body: Record) -> str | None:
    description = body.get("description")
    if not isinstance(description, str):
        return None
    if len(description) > 255:
        raise semantic(1008, "The description is longer than 255 characters")
    return description


def _check_host(state: ApplianceState, host_id: int, backup_type: str) -> None:
    host = state.hosts.get(host_id)
    if host is None:
        raise semantic(1009, f"There is no host {host_id}")
    if host["status"] != "Active":
        raise semantic(1010, f"Host {host_id} is not active")
    components = host["components"]
    assert isinstance(components, list)
    if backup_type == "CONFIG" and "magistrate" not in components:
        raise semantic(1012, f"Host {host_id} is not the Console")
    if backup_type == "DATA" and STORES_EVENTS.isdisjoint(map(str, components)):
        raise semantic(1013, f"Host {host_id} stores no event or flow data")
    if backup_type == "DATA" and host_id not in state.deployed.data_hosts:
        raise semantic(1014, f"Host {host_id} is not enabled for data backups")


def _check_conflicts(state: ApplianceState, name: str, host_id: int) -> None:
    backups = state.backups.values()
    if any(backup.name == name and not backup.is_scheduled for backup in backups):
        raise conflict(1005, f"The name {name} is already used")
    if state.restores.is_running:
        raise conflict(1016, "A restore is in progress")
    if any(backup.host_id == host_id and backup.status in RUNNING for backup in backups):
        raise conflict(1015, f"A backup is already in progress on host {host_id}")
    if not state.is_deployed:
        raise conflict(1011, "The staged configuration has not been deployed")


def semantic(code: int, message: str) -> Refusal:
    """Build a 422."""
    return Refusal(422, code, message, message.split(" ", 1)[0] + " is not acceptable.")


def conflict(code: int, message: str) -> Refusal:
    """Build a 409."""
    return Refusal(409, code, message, "The request conflicts with the current state.")
