"""BackupSchedule: Backups by the clock, and how many of them are kept (architecture §2.5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from backup_operator.resources.backup import HOST_TWICE, BackupSpec
from backup_operator.resources.cron import Cron, ZoneName
from backup_operator.resources.durations import Between, Duration
from backup_operator.resources.group import RUN_NOW_ANNOTATION
from backup_operator.resources.parts import Flag, Integer, ObjectMetadata, ResourcePart
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.rules import CelRule, broken, with_rules
from backup_operator.resources.schedule_status import BackupScheduleStatus
from backup_operator.resources.spans import Age

LONGEST_NAME: Final = 63
"""A schedule's name is a label on its Backups."""

NAME_RULES: Final = (
    CelRule(
        f"size(self.metadata.name) <= {LONGEST_NAME}",
        f"metadata.name must have at most {LONGEST_NAME} characters, for it becomes a label",
    ),
)

ONE_BACKUP_ONLY: Final = "nothing: each backup gets a name of its own, and is cancelled by itself"
_OF_ONE_BACKUP: Final = ("name", "cancel")


class ConcurrencyPolicy(StrEnum):
    """What happens when a run is due while a Backup of an earlier one is not finished."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


def _shape_template(schema: dict[str, Any]) -> None:
    """Leave out what belongs to one Backup alone; a template may be changed at any time."""
    for name in _OF_ONE_BACKUP:
        schema["properties"].pop(name, None)
    for member in schema["properties"].values():
        if "description" in member:
            member["description"] = member["description"].replace(" Immutable.", "")
    rule = CelRule("!(has(self.hostId) && has(self.hostname))", HOST_TWICE, field="hostname")
    schema.update(with_rules(rule))


class BackupTemplateSpec(BackupSpec):
    """Spec of the Backups: that of a Backup without `name` and `cancel`."""

    model_config = ConfigDict(json_schema_extra=_shape_template)

    @model_validator(mode="after")
    def _is_for_many(self) -> Self:
        if self.name is not None or self.cancel:
            raise broken(ONE_BACKUP_ONLY)
        return self


class TemplateMetadata(ResourcePart):
    """Labels and annotations of the Backups, beside those of the operator."""

    labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default={}, max_length=50, description="Labels that every Backup gets."
    )
    annotations: dict[str, Annotated[str, Field(max_length=4096)]] = Field(
        default={}, max_length=50, description="Annotations that every Backup gets."
    )


class BackupTemplate(ResourcePart):
    """What the Backups look like; a change concerns those made afterwards."""

    metadata: TemplateMetadata = Field(
        default=TemplateMetadata(), description="Labels and annotations of the Backups."
    )
    spec: BackupTemplateSpec = Field(
        description="Spec of the Backups: that of a Backup without `name` and `cancel`."
    )


Count = Annotated[Integer, Field(ge=1, le=100_000)]


class Retention(ResourcePart):
    """Which finished Backups are kept; empty keeps all of them.

    What no rule keeps is expired: the Backup object is deleted, and its `deletionPolicy` decides
    whether the archive goes with it.
    """

    keep_last: Count | None = Field(
        default=None, description="Keep this many of the newest good Backups."
    )
    keep_hourly: Count | None = Field(
        default=None,
        description="Keep the newest good Backup of each of so many hours that have one.",
    )
    keep_daily: Count | None = Field(
        default=None,
        description="Keep the newest good Backup of each of so many days that have one.",
    )
    keep_weekly: Count | None = Field(
        default=None,
        description="Keep the newest good Backup of each of so many weeks that have one.",
    )
    keep_monthly: Count | None = Field(
        default=None,
        description="Keep the newest good Backup of each of so many months that have one.",
    )
    keep_yearly: Count | None = Field(
        default=None,
        description="Keep the newest good Backup of each of so many years that have one.",
    )
    max_age: Age | None = Field(
        default=None,
        description=(
            "Expire what is older, whichever rule would keep it; such as `30d` or `12h`. The"
            " newest good Backup stays all the same."
        ),
    )
    keep_failed: Annotated[Integer, Field(ge=0, le=100_000)] | None = Field(
        default=None,
        description=(
            "Keep this many of the newest failed and cancelled Backups; absent: all that `maxAge`"
            " allows."
        ),
    )

    @property
    def counts_good(self) -> bool:
        """Whether any rule limits the number of good Backups."""
        rules = (self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly)
        return any(rule is not None for rule in (*rules, self.keep_monthly, self.keep_yearly))


class BackupScheduleSpec(ResourcePart):
    """When Backups are made, what they look like, and which of them are kept."""

    schedule: Cron = Field(
        description=(
            "When to run: the five fields of cron, such as `0 3 * * *`, or a macro such as"
            " `@daily`. The day of week also takes `5L` (the last Friday of the month) and `1#2`"
            " (the second Monday), the day of month `L` (the last) and `LW` (the last weekday)."
        )
    )
    time_zone: ZoneName = Field(
        default="UTC",
        description=(
            "Time zone that `schedule` is meant in, such as `Europe/Berlin`. When clocks go"
            " forward, a fixed time in the hour that is left out runs right after it; when they"
            " go back, it runs once. `*` in minute or hour follows the real hours."
        ),
    )
    jitter: Annotated[Duration, Between("0s", "24h")] = Field(
        default=timedelta(0),
        description=(
            "Start up to this much later, by an amount that is always the same for one object, so"
            " that many schedules do not start at once."
        ),
    )
    starting_deadline_seconds: Annotated[Integer, Field(ge=1, le=31_536_000)] | None = Field(
        default=None,
        description=(
            "A run that could not be started for so long is missed and left out; absent: the"
            " latest one is always caught up with, however late, and never more than one."
        ),
    )
    concurrency_policy: ConcurrencyPolicy = Field(
        default=ConcurrencyPolicy.FORBID,
        description=(
            "What to do while a Backup of an earlier run is not finished: Forbid waits for it,"
            " Allow creates another one beside it, Replace cancels it first."
        ),
    )
    suspend: Flag = Field(
        default=False,
        description=(
            "True: nothing runs until it is false again, and what falls in between is left out."
            f" Annotation `{RUN_NOW_ANNOTATION}` works all the same."
        ),
    )
    template: BackupTemplate = Field(description="What the Backups look like.")
    retention: Retention = Field(
        default=Retention(),
        description="Which finished Backups are kept; empty keeps all of them.",
    )


@dataclass(frozen=True, slots=True)
class BackupScheduleResource:
    """A BackupSchedule as the cluster holds it.

    ``unreadable_status`` lists paths of stored status that broke a rule and count as absent.
    """

    metadata: ObjectMetadata
    spec: BackupScheduleSpec
    status: BackupScheduleStatus
    unreadable_status: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a raw object; raises InvalidSpecError if metadata or spec break a rule."""
        status, unreadable = read_status(BackupScheduleStatus, body)
        spec = parse_spec(BackupScheduleSpec, body)
        return cls(ObjectMetadata.from_body(body), spec, status, unreadable)
