"""Facts about a BackupSchedule, as short as a test about one of them needs."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from backup_operator.decisions.schedule_facts import ScheduledBackup, ScheduleSeen, Standing
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.schedule import BackupScheduleSpec
from backup_operator.resources.schedule_status import BackupScheduleStatus

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def a_schedule(cron: str = "0 * * * *", **members: Any) -> BackupScheduleSpec:  # noqa: ANN401
    template = {"spec": {"backupType": "CONFIG"}}
    return BackupScheduleSpec.model_validate({"schedule": cron, "template": template, **members})


def a_backup(
    name: str,
    at: datetime,
    standing: Standing = Standing.GOOD,
    **more: Any,  # noqa: ANN401
) -> ScheduledBackup:
    return ScheduledBackup(name=name, uid=f"u-{name}", at=at, standing=standing, **more)


def schedule_seen(
    backups: Iterable[ScheduledBackup] = (),
    *,
    status: BackupScheduleStatus | None = None,
    created: datetime = NOON,
    annotations: dict[str, str] | None = None,
    taken: Iterable[str] = (),
    uid: str = "u-1",
    refusal: str | None = None,
) -> ScheduleSeen:
    backups = tuple(backups)
    metadata = ObjectMetadata(
        name="nightly",
        namespace="ops",
        uid=uid,
        generation=1,
        annotations=annotations or {},
        creation_timestamp=created,
    )
    return ScheduleSeen(
        metadata,
        status or BackupScheduleStatus(),
        backups,
        frozenset(taken) | {one.name for one in backups},
        refusal,
    )
