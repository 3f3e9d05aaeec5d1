"""The status of a Restore: what its record says, the plan, and where it stands."""

from datetime import datetime
from typing import Any, Final

from backup_api.extensions.volumes import VolumeRestoreRecord
from backup_operator.decisions.adoption import wire_time
from backup_operator.decisions.conditions import Judgement, merge_conditions, truth
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.restore_facts import RestoreSeen, RestoreStanding, RestoreView
from backup_operator.decisions.restore_plan import MOST_ITEMS, tell_counts, tell_failure
from backup_operator.decisions.volume_standings import tell_volume_progress, tell_volumes
from backup_operator.resources.parts import ConditionStatus, ConditionType
from backup_operator.resources.readable import format_elapsed
from backup_operator.resources.restore_status import (
    RestorePhase,
    RestoreStatus,
    ToldProgress,
)

LONGEST_WORD: Final = 1024


def build_restore_status(
    seen: RestoreSeen, standing: RestoreStanding, now: datetime
) -> RestoreStatus:
    """Build the status that tells ``standing``; equal to the stored one where nothing is new."""
    stored = seen.status
    generation = seen.metadata.generation
    update: dict[str, Any] = {
        "observed_generation": generation,
        "phase": standing.phase or stored.phase or RestorePhase.PENDING,
        "failure": standing.failure,
    }
    if standing.plan is not None:
        update["plan"] = standing.plan
        if standing.plan.source is not None:
            update |= {
                "backup_id": standing.plan.source.id,
                "backup_name": standing.plan.source.name,
            }
    if seen.memory.view is not None:
        update |= mirror(stored, seen.memory.view)
    if seen.memory.volumes is not None and seen.memory.volumes.record is not None:
        update |= mirror_volumes(seen.memory.volumes.record)
    has_plan = standing.plan is not None or stored.plan is not None
    is_approved = standing.is_approved or stored.launch is not None
    judged = _judge(standing, has_plan=has_plan, is_approved=is_approved)
    update["conditions"] = merge_conditions(
        stored.conditions,
        judged,
        generation,
        now,
        drop=frozenset({ConditionType.CREDENTIALS_WANTED}),
    )
    return stored.model_copy(update=update)


def mirror(stored: RestoreStatus, view: RestoreView) -> dict[str, Any]:
    """Translate what the engine says of the restore; what it forgets at the end is kept."""
    record = view.record
    if record is None:
        return {}
    start, end = wire_time(record.time_initiated), wire_time(record.time_completed)
    members: dict[str, Any] = {
        "status": record.status.value if record.status is not None else None,
        "host_id": record.host_id,
        "initiated_by": _word(record.initiated_by),
        "is_cross_deployment_restore": record.is_cross_deployment_restore,
        "backup_id": record.backup_id or stored.backup_id,
        "backup_name": _word(record.backup_name),
        "backup_version": _word(record.backup_version),
        "backup_filename": _word(record.backup_filename),
        "time_initiated": start,
        "time_completed": end,
        "duration": format_elapsed(start, end) if start and end else None,
    }
    progress = view.progress
    if progress is not None and stored.launch is not None:
        members["progress"] = ToldProgress(
            summary=f"{max(0, progress.settled)} of {max(0, progress.total)}",
            settled=max(0, progress.settled),
            total=max(0, progress.total),
            failed=max(0, progress.failed),
            remaining=max(0, progress.remaining),
            counts=tell_counts(progress.counts),
        )
        members["failures"] = tuple(tell_failure(one) for one in view.failures[:MOST_ITEMS])
    return members


def mirror_volumes(record: VolumeRestoreRecord) -> dict[str, Any]:
    """Translate what the engine says of a restore of volumes."""
    start, end = wire_time(record.time_initiated), wire_time(record.time_completed)
    return {
        "status": record.status.value if record.status is not None else None,
        "host_id": record.host_id,
        "backup_id": record.backup_id,
        "initiated_by": _word(record.initiated_by),
        "time_initiated": start,
        "time_completed": end,
        "duration": format_elapsed(start, end) if start and end else None,
        "progress": tell_volume_progress(record),
        "volumes": tell_volumes(record),
    }


def _judge(
    standing: RestoreStanding, *, has_plan: bool, is_approved: bool
) -> tuple[Judgement, ...]:
    reason, message = standing.reason, cut(standing.message)
    over, good = standing.is_over, standing.is_good
    bad = over and not good
    ended = reason if over else "NotFinished"
    told = message if over else "The restore has not finished."
    failed = over and standing.failure is not None
    waits = not over and not good
    wanted = (
        (Judgement(ConditionType.CREDENTIALS_WANTED, ConditionStatus.TRUE, reason, message),)
        if standing.wants_credentials
        else ()
    )
    plan = ("PlanReady", "status.plan tells what would change.")
    no_plan = ("NoPlanYet", "No plan has been computed yet.")
    approval = ("Approved", "The plan is approved.")
    no_approval = ("NotApproved", "The plan has not been approved.")
    return (
        Judgement(ConditionType.READY, truth(good), reason, message),
        Judgement(ConditionType.RECONCILING, truth(waits), reason, message),
        Judgement(ConditionType.STALLED, truth(standing.is_stalled or bad), reason, message),
        Judgement(ConditionType.PLANNED, truth(has_plan), *(plan if has_plan else no_plan)),
        Judgement(
            ConditionType.APPROVED,
            truth(is_approved),
            *(approval if is_approved else no_approval),
        ),
        Judgement(ConditionType.COMPLETE, truth(over and good), ended, told),
        Judgement(ConditionType.FAILED, truth(failed), ended, told),
        Judgement(ConditionType.FINISHED, truth(over), ended, told),
        *wanted,
    )


def _word(text: str | None) -> str | None:
    return cut(text, LONGEST_WORD) if text is not None else None
