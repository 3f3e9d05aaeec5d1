"""What the endpoints of configurations and of the deploy do (spec §5, §7)."""

from pathlib import PurePosixPath

from appliance.operations import Call, Operation, conflict, number, semantic
from appliance.settings import DAY_MS, LONGEST_LIMITS_MS, MINUTE_MS
from appliance.shapes import PRIORITIES, STORES_EVENTS
from appliance.state import ApplianceState
from appliance.wire import Answer, Json, Record, Refusal

_LIMITS = ("data_backup_time_limit", "configuration_backup_time_limit")


def listing_configurations(is_staged: bool) -> Operation:
    """Build the list of one view (spec §5.1)."""
    return lambda state, call: Answer(200, [call.project(_view(state, is_staged))])


def getting_configuration(is_staged: bool) -> Operation:
    """Build the single read of one view (spec §5.1)."""

    def get_configuration(state: ApplianceState, call: Call) -> Answer:
        _check_id(call)
        return Answer(200, call.project(_view(state, is_staged)))

    return get_configuration


def change_configuration(state: ApplianceState, call: Call) -> Answer:
    """Change the staged one (spec §5.2, §14 no. 19)."""
    _check_id(call)
    change = call.body
    _check_members(state, change)
    if "backup_directory_path" in change:
        _check_directory(state, change["backup_directory_path"])
    wanted: Record = {**state.staged.configuration, **_rounded(change)}
    _check_times(wanted)
    _check_hosts(state, change)
    state.staged.configuration = wanted
    return Answer(200, call.project(wanted))


def get_deploy_status(state: ApplianceState, _: Call) -> Answer:
    """Get the running or the last deploy (spec §7.1)."""
    return Answer(200, state.deploy_status())


def start_deploy(state: ApplianceState, call: Call) -> Answer:
    """Deploy (spec §7.2, §14 no. 4 and 5)."""
    deploy_type = call.body.get("type", "INCREMENTAL")
    if deploy_type not in {"INCREMENTAL", "FULL"}:
        raise semantic(1005, f"Unknown deploy type {deploy_type!r}")
    assert isinstance(deploy_type, str)
    if state.is_deploying:
        raise conflict(1002, "A deploy is already in progress")
    if deploy_type == "INCREMENTAL" and state.is_deployed:
        raise conflict(1004, "No changes to deploy")
    state.start_deploy(deploy_type, call.caller.label)
    return Answer(200, state.deploy_status())


def _view(state: ApplianceState, is_staged: bool) -> Record:
    return (state.staged if is_staged else state.deployed).configuration


def _check_id(call: Call) -> None:
    if number(call.resource_id) != 1:
        message = f"Configuration {call.resource_id[:40]} was not found"
        raise Refusal(404, 1001, message, "No such configuration.")


def _check_members(state: ApplianceState, change: Record) -> None:
    null = [name for name, value in change.items() if value is None]
    if null:
        raise semantic(1002, f"The member {null[0]} is null")
    for name in ("data_backup_priority", "configuration_backup_priority"):
        if name in change and change[name] not in PRIORITIES:
            raise semantic(1002, f"{name} is none of {', '.join(sorted(PRIORITIES))}")
    ids = []
    for row in _rows(change):
        if None in row.values() or "host_id" not in row:
            raise semantic(1002, "A member of data_backup_host_configuration is null")
        ids.append(row["host_id"])
    if len(set(ids)) < len(ids) or not {one for one in ids if isinstance(one, int)} <= set(
        state.hosts
    ):
        raise semantic(1002, f"The hosts {ids} are not known, or listed twice")


def _check_directory(state: ApplianceState, path: Json) -> None:
    assert isinstance(path, str)
    if not path.startswith("/"):
        raise semantic(1004, "backup_directory_path is not absolute")
    plain = str(PurePosixPath(path))
    if plain not in state.directories | state.files:
        raise semantic(1003, "backup_directory_path does not exist")
    if plain in state.files:
        raise semantic(1005, "backup_directory_path is not a directory")


def _rounded(change: Record) -> Record:
    """Cut to whole days and minutes; a host row gets the flags it lacks (spec §5.0)."""
    rounded = dict(change)
    for name, unit in (("backup_retention_period", DAY_MS), *((one, MINUTE_MS) for one in _LIMITS)):
        value = rounded.get(name)
        if isinstance(value, int):
            rounded[name] = value - value % unit
    if "data_backup_host_configuration" in rounded:
        off: Record = {"event_data_backup_enabled": False, "flow_data_backup_enabled": False}
        rounded["data_backup_host_configuration"] = [
            {"host_id": row["host_id"], **off, **row} for row in _rows(change)
        ]
    return rounded


def _check_times(wanted: Record) -> None:
    if _long(wanted["backup_retention_period"]) < DAY_MS:
        raise semantic(1006, "backup_retention_period is less than one day")
    limits = [_long(wanted[name]) for name in _LIMITS]
    if min(limits) < MINUTE_MS:
        raise semantic(1007, "config_backup_time_limit or data_backup_time_limit is invalid")
    if sum(limits) > LONGEST_LIMITS_MS:
        raise semantic(1008, "The time limits together exceed 1440 minutes")


def _check_hosts(state: ApplianceState, change: Record) -> None:
    hosts = [state.hosts[_long(row["host_id"])] for row in _rows(change)]
    for host in hosts:
        if host["status"] != "Active":
            raise semantic(1009, f"Host {host['id']} is not active")
    for host in hosts:
        components = host["components"]
        assert isinstance(components, list)
        if STORES_EVENTS.isdisjoint(map(str, components)):
            raise semantic(1010, f"Host {host['id']} stores no event or flow data")


def _rows(change: Record) -> list[Record]:
    rows = change.get("data_backup_host_configuration") or []
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]


def _long(value: Json) -> int:
    assert isinstance(value, int)
    return value
