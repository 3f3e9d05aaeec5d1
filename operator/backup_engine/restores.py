"""What can be done with restores: the use cases behind ``…/restores`` (spec §4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_api.backups import BackupRecord, BackupType, RecordStatus
from backup_api.hosts import HostRecord
from backup_api.paging import ItemRange, Page
from backup_api.restores import (
    NEED_DEPLOYMENT,
    CreateRestore,
    CreateRestoreErrors,
    DeleteRestoreErrors,
    GetRestoreErrors,
    LaunchRestore,
    LaunchRestoreErrors,
    RestoreGroup,
    RestoreRecord,
    RestoreStatus,
)
from backup_engine.errors import RefusalError
from backup_engine.query.binding import Bound
from backup_engine.query.matching import fulfils
from backup_engine.query.sort import SortKey
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.exclusion import (
    BackupRunningError,
    RestoreRunningError,
    lock_beginnings,
)
from backup_engine.records.restore_plans import RestorePlanRecords
from backup_engine.records.restores import (
    NewRestore,
    RestoreOpenError,
    RestoreRecords,
    StoredRestore,
)
from backup_engine.runs.origins import Origins


@dataclass(frozen=True, slots=True)
class Restores:
    """The use cases; each that leaves work to do wakes the restorer."""

    database: Database
    console: HostRecord
    origins: Origins
    clock: Callable[[], datetime]
    wake_restorer: Callable[[], None]

    async def create(self, body: CreateRestore, initiated_by: str) -> RestoreRecord:
        """Record a PENDING restore (spec §4.2).

        Raises RefusalError with the first row that applies: members by code number, then the
        backup, then conflicts (spec §14).
        """
        backup_id, groups = check_create_members(body)
        async with self.database.reading() as connection:
            backup = check_backup(backup_id, await BackupRecords(connection).find(backup_id))
            if await RestoreRecords(connection).find_open() is not None:
                raise _another_is_open()
        is_elsewhere = await self.origins.is_elsewhere(backup)
        async with self.database.writing() as connection:
            # looked at again, for it may have gone meanwhile
            backup = check_backup(backup_id, await BackupRecords(connection).find(backup_id))
            new = build_new_restore(
                backup, groups, initiated_by, self.console.id, self._now_ms(), is_elsewhere
            )
            try:
                stored = await RestoreRecords(connection).add(new)
            except RestoreOpenError as clash:
                raise _another_is_open() from clash
            await RestorePlanRecords(connection).add(stored.id)
        return stored.record

    async def get(self, restore_id: int) -> RestoreRecord:
        """Get one restore; raises RefusalError with GetRestoreErrors.UNKNOWN_RESTORE."""
        async with self.database.reading() as connection:
            stored = await RestoreRecords(connection).find(restore_id)
        if stored is None:
            raise RefusalError(GetRestoreErrors.UNKNOWN_RESTORE, not_found(restore_id))
        return stored.record

    async def list_page(
        self, condition: Bound | None, order: Sequence[SortKey], items: ItemRange | None
    ) -> Page[RestoreRecord]:
        """Filter, sort and cut the list of all restores; ``items`` None is the whole list.

        Filtered here and not by the database, for ``groups`` is a list; restores are few.
        """
        async with self.database.reading() as connection:
            records = await RestoreRecords(connection).list_all(order)
        if condition is not None:
            records = [each for each in records if fulfils(each.model_dump(mode="json"), condition)]
        first, last = (items.first, items.last) if items is not None else (0, len(records))
        return Page(tuple(records[first : last + 1]), first, len(records))

    async def launch(self, restore_id: int, body: LaunchRestore) -> RestoreRecord:
        """Launch a PENDING restore (spec §4.4); raises RefusalError."""
        async with self.database.writing() as connection:
            await lock_beginnings(connection)
            restores = RestoreRecords(connection)
            check_launch(restore_id, await restores.find(restore_id), body)
            try:
                is_launched = await restores.launch(restore_id, self._now_ms())
            except BackupRunningError as clash:
                message = "A backup runs; wait for its end, or cancel it"
                raise RefusalError(LaunchRestoreErrors.BACKUP_RUNNING, message) from clash
            except RestoreRunningError as clash:
                message = "Another restore runs, whose record was deleted; wait for its end"
                raise RefusalError(LaunchRestoreErrors.RESTORE_RUNNING, message) from clash
            launched = await restores.find(restore_id)
            if launched is None or not is_launched:  # deleted at this very moment
                raise RefusalError(LaunchRestoreErrors.UNKNOWN_RESTORE, not_found(restore_id))
            await RestorePlanRecords(connection).stop(restore_id)
        self.wake_restorer()
        return launched.record

    async def delete(self, restore_id: int) -> None:
        """Drop the record of a restore that is not over (spec §4.5); what runs runs on.

        Raises RefusalError.
        """
        async with self.database.writing() as connection:
            restores = RestoreRecords(connection)
            if not await restores.drop(restore_id):
                stored = await restores.find(restore_id)
                if stored is None:
                    raise RefusalError(DeleteRestoreErrors.UNKNOWN_RESTORE, not_found(restore_id))
                message = f"Restore {restore_id} is {stored.record.status}; only open ones can go"
                raise RefusalError(DeleteRestoreErrors.FINISHED, message)
        self.wake_restorer()

    def _now_ms(self) -> int:
        return int(self.clock().timestamp() * 1000)


def check_create_members(body: CreateRestore) -> tuple[int, tuple[str, ...]]:
    """Check the members by code number (spec §4.2, §14); raises RefusalError."""
    if body.backup_id is None:
        raise RefusalError(CreateRestoreErrors.BACKUP_MISSING, "backup_id is missing")
    if not body.groups:
        raise RefusalError(CreateRestoreErrors.GROUPS_MISSING, "groups is missing or empty")
    if not NEED_DEPLOYMENT.isdisjoint(body.groups) and (
        RestoreGroup.DEPLOYMENT_CONFIG not in body.groups
    ):
        needing = ", ".join(sorted(NEED_DEPLOYMENT))
        message = f"groups: DEPLOYMENT_CONFIG has to accompany any of {needing}"
        raise RefusalError(CreateRestoreErrors.DEPLOYMENT_MISSING, message)
    for group in body.groups:
        if group not in set(RestoreGroup):
            message = f"groups: there is no group {group[:40]!r}"
            raise RefusalError(CreateRestoreErrors.GROUP_UNKNOWN, message)
    return body.backup_id, body.groups


def check_backup(backup_id: int, stored: StoredBackup | None) -> StoredBackup:
    """Check that a backup can be restored (codes 1003 to 1007); raises RefusalError."""
    if stored is None:
        message = f"There is no backup {backup_id}"
        raise RefusalError(CreateRestoreErrors.BACKUP_UNKNOWN, message)
    record = stored.record
    if record.type is not BackupType.CONFIG:
        message = f"Backup {record.id} is of type {record.type}; only CONFIG can be restored"
        raise RefusalError(CreateRestoreErrors.NOT_CONFIG, message)
    if record.status is not RecordStatus.SUCCESS:
        message = f"Backup {record.id} is {record.status}, not SUCCESS"
        raise RefusalError(CreateRestoreErrors.NOT_SUCCESSFUL, message)
    if not record.is_valid:
        message = f"The archive of backup {record.id} is not valid; its verification says why"
        raise RefusalError(CreateRestoreErrors.NOT_VALID, message)
    if not record.is_version_compatible:
        message = f"The archive of backup {record.id} is of version {record.version}"
        raise RefusalError(CreateRestoreErrors.NOT_COMPATIBLE, message)
    return stored


def check_launch(restore_id: int, stored: StoredRestore | None, body: LaunchRestore) -> None:
    """Check everything that is no conflict with other jobs; raises RefusalError."""
    if stored is None:
        raise RefusalError(LaunchRestoreErrors.UNKNOWN_RESTORE, not_found(restore_id))
    if stored.record.status is not RestoreStatus.PENDING:
        message = f"Restore {restore_id} is {stored.record.status}, not PENDING"
        raise RefusalError(LaunchRestoreErrors.NOT_PENDING, message)
    if body.status != RestoreStatus.REQUESTING:
        message = "status can only be changed to REQUESTING"
        raise RefusalError(LaunchRestoreErrors.WRONG_STATUS, message)


def build_new_restore(
    backup: StoredBackup,
    groups: tuple[str, ...],
    initiated_by: str,
    host_id: int,
    now_ms: int,
    is_elsewhere: bool,
) -> NewRestore:
    """Build the record of a restore that is asked for now."""
    record = backup.record
    return NewRestore(
        initiated_by=initiated_by,
        host_id=host_id,
        time_initiated=now_ms,
        is_cross_deployment_restore=is_elsewhere,
        backup_id=record.id,
        backup_name=record.name or "",
        backup_version=record.version or "",
        backup_filename=find_filename(record) or backup.archive_name,
        groups=groups,
    )


def find_filename(record: BackupRecord) -> str:
    """Return the last part of ``content_file_path`` (spec §14 no. 25)."""
    return (record.content_file_path or "").rpartition("/")[2]


def not_found(restore_id: int) -> str:
    """Say that there is no such restore."""
    return f"Restore {restore_id} was not found"


def _another_is_open() -> RefusalError:
    message = "Another restore is pending or running; drop its record, or wait for its end"
    return RefusalError(CreateRestoreErrors.ANOTHER_IS_OPEN, message)
