"""What the endpoints of restores do (spec §4)."""

from appliance.operations import Call, conflict, listed, number, semantic
from appliance.restores import Restore
from appliance.shapes import GROUPS, OPEN_RESTORE, RUNNING
from appliance.state import ApplianceState, Backup
from appliance.wire import Answer, Json, Refusal

_NEED_DEPLOYMENT = frozenset({"INSTALLED_APPS_CONFIG", "OFFENSES_DATA"})


def list_restores(state: ApplianceState, call: Call) -> Answer:
    """List them (spec §4.1)."""
    return listed([restore.record() for restore in state.restores.records.values()], call)


def get_restore(state: ApplianceState, call: Call) -> Answer:
    """Get one (spec §4.3)."""
    return Answer(200, call.project(_restore(state, call).record()))


def create_restore(state: ApplianceState, call: Call) -> Answer:
    """Create a pending one (spec §4.2); members, then the backup, then conflicts (spec §14)."""
    if "backup_id" not in call.body:
        raise semantic(1002, "The backup id is null or empty")
    groups = _checked_groups(call.body.get("groups"))
    backup = _checked_backup(state, call.body["backup_id"])
    if state.restores.has_open:
        raise conflict(1011, "Another restore is pending or in progress")
    restore = Restore(
        id=state.restores.next_id,
        initiated_by=call.caller.label,
        time_initiated=state.clock.now_ms(),
        backup_id=backup.id,
        backup_name=backup.name,
        backup_filename=(backup.content_file_path or "").rpartition("/")[2],
        groups=groups,
    )
    state.restores.next_id += 1
    state.restores.records[restore.id] = restore
    return Answer(201, call.project(restore.record()))


def launch_restore(state: ApplianceState, call: Call) -> Answer:
    """Launch it (spec §4.4)."""
    restore = _restore(state, call)
    if restore.status != "PENDING":
        raise semantic(1012, f"Restore {restore.id} is {restore.status}")
    if call.body.get("status") != "REQUESTING":
        raise semantic(1013, "The status can only be changed to REQUESTING")
    if state.restores.is_rebalancing:
        raise conflict(1014, "Data is being rebalanced")
    if any(backup.status in RUNNING for backup in state.backups.values()):
        raise conflict(1015, "A backup is in progress")
    if state.restores.is_running:
        raise conflict(1016, "A restore is in progress")
    state.restores.launch(restore)
    return Answer(200, call.project(restore.record()))


def delete_restore(state: ApplianceState, call: Call) -> Answer:
    """Drop the record (spec §4.5)."""
    restore = _restore(state, call)
    if restore.status not in OPEN_RESTORE:
        raise semantic(1017, f"Restore {restore.id} is {restore.status}")
    state.restores.drop(restore)
    return Answer(204, None)


def refuse_internal(_: ApplianceState, call: Call) -> Answer:
    """Refuse haAction and updateiptablesprefile (spec §4.6)."""
    raise Refusal(404, 1001, f"There is nothing to act on {call.resource_id[:40]}", "Not found.")


def _restore(state: ApplianceState, call: Call) -> Restore:
    restore_id = number(call.resource_id)
    restore = state.restores.records.get(restore_id) if restore_id is not None else None
    if restore is None:
        message = f"Restore {call.resource_id[:40]} was not found"
        raise Refusal(404, 1001, message, "No restore with this identifier.")
    return restore


def _checked_groups(sent: Json) -> list[str]:
    if not isinstance(sent, list) or not sent:
        raise semantic(1008, "The groups are null or empty")
    groups = [str(group) for group in sent]
    if not _NEED_DEPLOYMENT.isdisjoint(groups) and "DEPLOYMENT_CONFIG" not in groups:
        raise semantic(1009, "DEPLOYMENT_CONFIG has to accompany these groups")
    unknown = sorted(set(groups) - GROUPS)
    if unknown:
        raise semantic(1010, f"Unknown group {unknown[0]!r}")
    return groups


def _checked_backup(state: ApplianceState, backup_id: Json) -> Backup:
    backup = state.backups.get(backup_id) if isinstance(backup_id, int) else None
    if backup is None:
        raise semantic(1003, f"There is no backup {backup_id}")
    if backup.type != "CONFIG":
        raise semantic(1004, f"Backup {backup.id} is of type {backup.type}")
    if backup.status != "SUCCESS":
        raise semantic(1005, f"Backup {backup.id} is {backup.status}")
    if not backup.is_valid:
        raise semantic(1006, f"Backup {backup.id} is not valid")
    if not backup.is_version_compatible:
        raise semantic(1007, f"Backup {backup.id} has another version")
    return backup
