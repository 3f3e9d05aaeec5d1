"""What is known about one BackupSchedule and its Backups at the moment of a decision."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from backup_operator.resources.backup_status import Phase
from backup_operator.resources.group import EXPIRED_ANNOTATION, SCHEDULED_AT_ANNOTATION
from backup_operator.resources.parts import ConditionStatus, ConditionType, ObjectMetadata
from backup_operator.resources.schedule_status import BackupScheduleStatus


class Standing(Enum):
    """What a schedule makes of one of its Backups."""

    ACTIVE = auto()
    GOOD = auto()  # finished, with a usable archive
    FAILED = auto()  # failed or cancelled: there is no archive
    DOUBTFUL = auto()  # finished, and the archive is missing or not valid today; it may come back


@dataclass(frozen=True, slots=True)
class ScheduledBackup:
    """One Backup of a schedule, as far as schedules care.

    ``at`` is the time that it was meant for; of one that was asked for by hand, its creation.
    """

    name: str
    uid: str
    at: datetime
    standing: Standing
    phase: str = ""
    completed_at: datetime | None = None
    is_cancelling: bool = False
    is_leaving: bool = False  # being deleted
    is_expired: bool = False  # and was marked so before it is deleted

    @property
    def age_key(self) -> tuple[datetime, datetime, str]:
        """Order of age, the oldest first; runs of one second are told apart by their ends."""
        return self.at, self.completed_at or self.at, self.name


@dataclass(frozen=True, slots=True)
class ScheduleSeen:
    """Everything that a decision about one BackupSchedule rests on.

    ``taken`` answers whether a Backup of a name exists, whosever it is. ``refusal``: why the
    cluster does not take the Backup.
    """

    metadata: ObjectMetadata
    status: BackupScheduleStatus
    backups: tuple[ScheduledBackup, ...]
    taken: Container[str]
    refusal: str | None = None


def read_scheduled_backup(
    body: Mapping[str, Any], conditions: Mapping[str, str]
) -> ScheduledBackup | None:
    """Read a Backup as its schedule sees it; ``conditions`` maps types to their status."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    at = parse_time(annotations.get(SCHEDULED_AT_ANNOTATION)) or parse_time(
        metadata.get("creationTimestamp")
    )
    if at is None:
        return None
    spec, status = body.get("spec"), body.get("status")
    spec = spec if isinstance(spec, dict) else {}
    status = status if isinstance(status, dict) else {}
    completed = status.get("timeCompleted")
    return ScheduledBackup(
        name=metadata["name"],
        uid=metadata["uid"],
        at=at,
        standing=_stand(conditions, status.get("phase")),
        phase=str(status.get("phase") or ""),
        completed_at=parse_time(completed if isinstance(completed, str) else None),
        is_cancelling=spec.get("cancel") is True,
        is_leaving=metadata.get("deletionTimestamp") is not None,
        is_expired=EXPIRED_ANNOTATION in annotations,
    )


def _stand(conditions: Mapping[str, str], phase: object) -> Standing:
    true, false = ConditionStatus.TRUE.value, ConditionStatus.FALSE.value
    if conditions.get(ConditionType.FINISHED) != true:
        return Standing.ACTIVE
    if conditions.get(ConditionType.COMPLETE) == true:
        is_invalid = conditions.get(ConditionType.VALID) == false
        return Standing.DOUBTFUL if is_invalid else Standing.GOOD
    return Standing.DOUBTFUL if phase == Phase.MISSING else Standing.FAILED


def parse_time(text: str | None) -> datetime | None:
    """Read RFC 3339; None where it is absent, unreadable or without a time zone."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
