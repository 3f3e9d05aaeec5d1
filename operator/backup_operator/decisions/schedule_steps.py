"""The steps that a decision about a BackupSchedule can name."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStanding:
    """Where a schedule stands; a time that is None stays as it was stored, the next one aside."""

    observed_schedule: str
    observed_time: datetime
    reason: str
    message: str = ""
    is_stalled: bool = False
    last_schedule_time: datetime | None = None
    last_missed_time: datetime | None = None
    last_run_now: str | None = None
    next_schedule_time: datetime | None = None  # None: nothing is scheduled


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class CreateBackupObject:
    """Create the Backup of this name; ``at`` None: by hand and for no scheduled time.

    The name follows from the schedule and the time, so that a second attempt finds it taken.
    """

    name: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class CancelBackup:
    """Set spec.cancel of a Backup, which makes room for ``successor``."""

    name: str
    successor: str


@dataclass(frozen=True, slots=True)
class ExpireBackup:
    """Delete a Backup that the retention does not keep; its deletionPolicy decides the rest."""

    name: str


@dataclass(frozen=True, slots=True)
class ScheduleReport:
    """Tell ``standing``, expire one Backup if there is one to, and come back at ``until``."""

    standing: ScheduleStanding
    until: datetime
    expire: ExpireBackup | None = None


ScheduleDecision = Rest | CreateBackupObject | CancelBackup | ScheduleReport
