"""What a BackupSchedule says of itself: what ran, what runs, and what comes next."""

from typing import Annotated

from pydantic import Field

from backup_operator.resources.parts import (
    Conditions,
    Count,
    ObjectStatus,
    ResourcePart,
    Timestamp,
)
from backup_operator.resources.rules import LIST_TYPE


class BackupCounts(ResourcePart):
    """How many Backups of the schedule exist."""

    active: Count = Field(default=0, description="Backups that are not finished.")
    succeeded: Count = Field(default=0, description="Backups with a usable archive.")
    failed: Count = Field(default=0, description="Backups that failed or were cancelled.")
    doubtful: Count = Field(
        default=0,
        description=(
            "Backups that finished, but whose archive is missing or not valid at present; they"
            " are expired by age alone, and only once a newer good one exists."
        ),
    )


class BackupScheduleStatus(ObjectStatus):
    """What ran, what runs, and what comes next."""

    observed_schedule: str | None = Field(
        default=None,
        description=(
            "Schedule and time zone that `observedTime` belongs to; when they change, nothing"
            " before the change is caught up with."
        ),
    )
    observed_time: Timestamp | None = Field(
        default=None,
        description=(
            "Everything scheduled up to this time is dealt with: started, missed or left out."
        ),
    )
    last_schedule_time: Timestamp | None = Field(
        default=None, description="Scheduled time of the latest run that was started."
    )
    last_missed_time: Timestamp | None = Field(
        default=None,
        description="Scheduled time of the latest run that `startingDeadlineSeconds` left out.",
    )
    last_successful_time: Timestamp | None = Field(
        default=None, description="When the latest good Backup was completed."
    )
    last_successful_backup: str | None = Field(
        default=None, description="Name of the latest good Backup; it may have expired since."
    )
    last_run_now: str | None = Field(
        default=None, description="Value of the annotation that the latest manual run came of."
    )
    next_schedule_time: Timestamp | None = Field(
        default=None, description="When the next run starts, jitter included; absent: suspended."
    )
    active: Annotated[tuple[str, ...], Field(max_length=50)] = Field(
        default=(),
        description="Names of the Backups that are not finished, at most 50.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    counts: BackupCounts = Field(
        default=BackupCounts(), description="How many Backups of the schedule exist."
    )
    conditions: Conditions = Field(
        default=(),
        description=(
            "State of the object, one entry for each type: LastBackupSucceeded tells how the"
            " latest finished Backup ended; Ready says whether the schedule runs as it should;"
            " Reconciling and Stalled are for tools that follow kstatus."
        ),
    )
