"""The one decision about a BackupSchedule: which Backup to create, cancel or expire, and when."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backup_operator.decisions.retention import find_expired, find_next_expiry
from backup_operator.decisions.schedule_facts import ScheduledBackup, ScheduleSeen, Standing
from backup_operator.decisions.schedule_steps import (
    CancelBackup,
    CreateBackupObject,
    ExpireBackup,
    Rest,
    ScheduleDecision,
    ScheduleReport,
    ScheduleStanding,
)
from backup_operator.decisions.timetable import Timetable
from backup_operator.resources.group import (
    API_VERSION,
    BACKUP,
    RUN_NOW_ANNOTATION,
    SCHEDULE_LABEL,
    SCHEDULED_AT_ANNOTATION,
)
from backup_operator.resources.parts import format_timestamp
from backup_operator.resources.schedule import BackupScheduleSpec, ConcurrencyPolicy

CLOCK_SLACK: Final = timedelta(minutes=10)
"""A stored time so far ahead of the clock means that the clock has gone back, or was wrong."""

LOOK_EVERY: Final = timedelta(minutes=1)
"""However far the next run is: a clock that is set tells nobody."""

EXPIRE_PAUSE: Final = timedelta(seconds=6)
"""Ten expiries a minute for each schedule: a mistaken retention can still be stopped."""

NAMES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a schedule is dealt with; ``due`` None: nothing is due."""

    timetable: Timetable
    observed: datetime
    due: datetime | None
    offset: timedelta


def decide_schedule(
    wanted: BackupScheduleSpec, seen: ScheduleSeen, now: datetime
) -> ScheduleDecision:
    """Choose the next step for one BackupSchedule from facts alone. Total: it never raises.

    Whoever carries the steps out asks again after each, until a Rest or a ScheduleReport is named.
    """
    if seen.metadata.is_deleting:
        return Rest()
    progress = _find_progress(wanted, seen, now)
    standing = ScheduleStanding(
        observed_schedule=describe(wanted), observed_time=progress.observed, reason="Scheduled"
    )
    manual = _decide_manual(wanted, seen, standing)
    if not isinstance(manual, ScheduleStanding):
        return manual
    standing = manual
    if wanted.suspend:
        standing = _pass_over(seen, progress, standing)
    elif progress.due is not None:
        scheduled = _decide_due(wanted, seen, progress.due, progress.offset, standing, now)
        if not isinstance(scheduled, ScheduleStanding):
            return scheduled
        standing = scheduled
    return _decide_retention(wanted, seen, progress, standing, now)


def describe(wanted: BackupScheduleSpec) -> str:
    """Write the schedule with its time zone, as it is told in the status."""
    return f"{wanted.schedule} {wanted.time_zone}"


def jitter_of(uid: str, longest: timedelta) -> timedelta:
    """Return how much later the schedule of this uid starts, in whole seconds below ``longest``."""
    seconds = int(longest.total_seconds())
    if not seconds:
        return timedelta(0)
    return timedelta(seconds=int(hashlib.sha256(uid.encode()).hexdigest(), 16) % seconds)


def name_scheduled(schedule: str, at: datetime) -> str:
    """Build the name of the Backup for a scheduled time, in UTC: ``nightly-20261128-0200``."""
    return f"{schedule}-{at.astimezone(UTC):%Y%m%d-%H%M}"


def name_manual(schedule: str, value: str) -> str:
    """Build the name of the Backup that a value of the run-now annotation asks for."""
    return f"{schedule}-now-{hashlib.sha256(value.encode()).hexdigest()[:8]}"


def build_backup(
    wanted: BackupScheduleSpec, seen: ScheduleSeen, step: CreateBackupObject
) -> dict[str, Any]:
    """Build the Backup object of a run. It has no owner (ADR 10): it outlives its schedule."""
    template = wanted.template
    annotations = dict(template.metadata.annotations)
    if step.at is not None:
        annotations[SCHEDULED_AT_ANNOTATION] = format_timestamp(step.at)
    labels: Mapping[str, str] = {
        **template.metadata.labels,
        SCHEDULE_LABEL: seen.metadata.name,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": BACKUP.kind,
        "metadata": {
            "name": step.name,
            "namespace": seen.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": template.spec.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude_none=True
        ),
    }


def _find_progress(wanted: BackupScheduleSpec, seen: ScheduleSeen, now: datetime) -> Progress:
    timetable = Timetable(wanted.schedule, wanted.time_zone)
    offset = jitter_of(seen.metadata.uid, wanted.jitter)
    until = now - offset
    observed = seen.status.observed_time
    if observed is None:
        observed = seen.metadata.creation_timestamp or now
    elif seen.status.observed_schedule not in {None, describe(wanted)}:
        observed = until  # a new schedule catches up with nothing
    if observed > now + CLOCK_SLACK:
        observed = until  # else nothing would run before the clock is there again
    due = timetable.latest(observed, until) if observed < until else None
    return Progress(timetable, observed, due, offset)


def _decide_manual(
    wanted: BackupScheduleSpec, seen: ScheduleSeen, standing: ScheduleStanding
) -> ScheduleStanding | ScheduleDecision:
    value = seen.metadata.annotations.get(RUN_NOW_ANNOTATION)
    if not value or value == seen.status.last_run_now:
        return standing
    name = name_manual(seen.metadata.name, value)
    if name in seen.taken:
        return replace(standing, last_run_now=value)
    return _make_room(wanted, seen, CreateBackupObject(name, None), standing)


def _decide_due(
    wanted: BackupScheduleSpec,
    seen: ScheduleSeen,
    due: datetime,
    offset: timedelta,
    standing: ScheduleStanding,
    now: datetime,
) -> ScheduleStanding | ScheduleDecision:
    name = name_scheduled(seen.metadata.name, due)
    if name in seen.taken:
        return replace(standing, observed_time=due, last_schedule_time=due)
    deadline = wanted.starting_deadline_seconds
    if deadline is not None and now > due + offset + timedelta(seconds=deadline):
        return replace(standing, observed_time=due, last_missed_time=due)
    return _make_room(wanted, seen, CreateBackupObject(name, due), standing)


def _pass_over(
    seen: ScheduleSeen, progress: Progress, standing: ScheduleStanding
) -> ScheduleStanding:
    """Leave out what is due; it may have been started right before the suspension."""
    if progress.due is None:
        return standing
    is_started = name_scheduled(seen.metadata.name, progress.due) in seen.taken
    return replace(
        standing,
        observed_time=progress.due,
        last_schedule_time=progress.due if is_started else None,
    )


def _make_room(
    wanted: BackupScheduleSpec,
    seen: ScheduleSeen,
    step: CreateBackupObject,
    standing: ScheduleStanding,
) -> ScheduleStanding | ScheduleDecision:
    """Create the Backup now, cancel what is in its way, or wait, as concurrencyPolicy says."""
    if seen.refusal is not None:
        return replace(standing, reason="BackupRefused", message=seen.refusal, is_stalled=True)
    active = [one for one in seen.backups if one.standing is Standing.ACTIVE and not one.is_leaving]
    if not active or wanted.concurrency_policy is ConcurrencyPolicy.ALLOW:
        return step
    if wanted.concurrency_policy is ConcurrencyPolicy.FORBID:
        message = f"A run is due and waits until {_names(active)} is finished."
        return replace(standing, reason="WaitingForActive", message=message)
    running = next((one for one in active if not one.is_cancelling), None)
    return CancelBackup(running.name, step.name) if running is not None else step


def _decide_retention(
    wanted: BackupScheduleSpec,
    seen: ScheduleSeen,
    progress: Progress,
    standing: ScheduleStanding,
    now: datetime,
) -> ScheduleDecision:
    following = progress.timetable.next_after(max(standing.observed_time, now - progress.offset))
    starts = None
    if following is not None and not wanted.suspend:
        starts = following + progress.offset
    standing = replace(standing, next_schedule_time=starts)
    if standing.reason == "Scheduled":
        standing = replace(standing, **_tell_next(wanted, starts))
    until = now + LOOK_EVERY
    if starts is not None:
        until = min(until, max(starts, now))
    expired = find_expired(seen.backups, wanted.retention, wanted.time_zone, now)
    if expired:
        return ScheduleReport(standing, until, ExpireBackup(expired[0].name))
    next_expiry = find_next_expiry(seen.backups, wanted.retention, now)
    if next_expiry is not None:
        until = min(until, next_expiry)
    return ScheduleReport(standing, until)


def _tell_next(wanted: BackupScheduleSpec, starts: datetime | None) -> dict[str, Any]:
    if wanted.suspend:
        return {"reason": "Suspended", "message": "spec.suspend is true: nothing is scheduled."}
    if starts is None:
        return {
            "reason": "NeverRuns",
            "message": "spec.schedule: no such time comes in fifty years; correct it.",
            "is_stalled": True,
        }
    return {"message": f"The next run starts at {format_timestamp(starts)}."}


def _names(active: list[ScheduledBackup]) -> str:
    names = ", ".join(one.name for one in active[:NAMES_SHOWN])
    return names if len(active) <= NAMES_SHOWN else f"{names} and {len(active) - NAMES_SHOWN} more"
