"""The status of a BackupSchedule: what ran, what runs, and what comes next."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from backup_operator.decisions.conditions import Judgement, merge_conditions, truth
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.schedule_facts import ScheduledBackup, Standing
from backup_operator.decisions.schedule_steps import ScheduleStanding
from backup_operator.resources.parts import ConditionStatus, ConditionType
from backup_operator.resources.schedule_status import BackupCounts, BackupScheduleStatus

MOST_NAMES: Final = 50


def build_schedule_status(
    generation: int,
    stored: BackupScheduleStatus,
    backups: Iterable[ScheduledBackup],
    standing: ScheduleStanding,
    now: datetime,
) -> BackupScheduleStatus:
    """Build the status that tells ``standing``; equal to ``stored`` where there is nothing new."""
    newest_first = sorted(backups, key=attrgetter("age_key"), reverse=True)
    counts = Counter(one.standing for one in newest_first)
    active = [one.name for one in newest_first if one.standing is Standing.ACTIVE]
    told = {
        "observed_schedule": standing.observed_schedule,
        "observed_time": standing.observed_time,
        "last_schedule_time": standing.last_schedule_time or stored.last_schedule_time,
        "last_missed_time": standing.last_missed_time or stored.last_missed_time,
        "last_run_now": standing.last_run_now or stored.last_run_now,
        "next_schedule_time": standing.next_schedule_time,
    }
    judged = (
        *judge_standing(standing.reason, standing.message, is_stalled=standing.is_stalled),
        *_judge_last(newest_first),
    )
    return stored.model_copy(
        update={
            **told,
            **_find_success(stored, newest_first),
            "observed_generation": generation,
            "active": tuple(active[:MOST_NAMES]),
            "counts": BackupCounts(
                active=counts[Standing.ACTIVE],
                succeeded=counts[Standing.GOOD],
                failed=counts[Standing.FAILED],
                doubtful=counts[Standing.DOUBTFUL],
            ),
            "conditions": merge_conditions(stored.conditions, judged, generation, now),
        }
    )


def invalid_schedule(
    generation: int, stored: BackupScheduleStatus, problem: str, now: datetime
) -> BackupScheduleStatus:
    """Build the status of a schedule whose spec breaks a rule and that therefore does nothing."""
    judged = judge_standing("InvalidSpec", problem, is_stalled=True)
    return stored.model_copy(
        update={
            "observed_generation": generation,
            "next_schedule_time": None,
            "conditions": merge_conditions(stored.conditions, judged, generation, now),
        }
    )


def judge_standing(reason: str, message: str, *, is_stalled: bool) -> tuple[Judgement, ...]:
    """Judge an object that is as it should be unless it needs people."""
    message = cut(message)
    return (
        Judgement(ConditionType.READY, truth(not is_stalled), reason, message),
        Judgement(ConditionType.RECONCILING, ConditionStatus.FALSE, reason, message),
        Judgement(ConditionType.STALLED, truth(is_stalled), reason, message),
    )


def _judge_last(newest_first: list[ScheduledBackup]) -> Iterable[Judgement]:
    """Judge how the latest finished Backup ended; nothing new where all have expired."""
    ended = next((one for one in newest_first if one.standing is not Standing.ACTIVE), None)
    if ended is None:
        return
    is_good = ended.standing is Standing.GOOD
    phase = ended.phase if is_good or ended.phase != "Succeeded" else "ArchiveInvalid"
    yield Judgement(
        ConditionType.LAST_BACKUP_SUCCEEDED,
        truth(is_good),
        phase or "Finished",
        f"Backup {ended.name} ended as {phase or 'unknown'}.",
    )


def _find_success(
    stored: BackupScheduleStatus, newest_first: list[ScheduledBackup]
) -> dict[str, Any]:
    good = [
        (one.completed_at or one.at, one.name)
        for one in newest_first
        if one.standing is Standing.GOOD
    ]
    if not good:
        return {}
    at, name = max(good)
    if stored.last_successful_time is not None and stored.last_successful_time >= at:
        return {}
    return {"last_successful_time": at, "last_successful_backup": name}
