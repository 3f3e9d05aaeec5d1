"""Volumes and hooks of DATA backups, and their restores: use cases of the engine's extension."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backup_api.backups import NAME_PATTERN
from backup_api.extensions.hooks import BackupHook, ListBackupHooksErrors
from backup_api.extensions.volumes import (
    UNFINISHED,
    BackupVolume,
    CancelVolumeRestoreErrors,
    CreateVolumeRestore,
    CreateVolumeRestoreErrors,
    ListBackupVolumesErrors,
    ReadVolumeRestoreErrors,
    VolumeRestoreRecord,
    VolumeRestoreStatus,
)
from backup_engine.errors import RefusalError
from backup_engine.records.backup_hooks import BackupHookRecords
from backup_engine.records.backups import BackupRecords
from backup_engine.records.database import Database
from backup_engine.records.volume_restores import NewVolumeRestore, VolumeRestoreRecords
from backup_engine.records.volumes import BackupVolumeRecords
from backup_engine.volume_plans import VolumePlanner, no_executor
from backup_engine.volume_wishes import check_source, check_wishes, digest_request, find_source

_Refused: Final = CreateVolumeRestoreErrors
_KEY: Final = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class VolumeRestores:
    """The use cases; ``wake`` None: this engine has nothing to work on volumes with."""

    database: Database
    clock: Callable[[], datetime]
    planner: VolumePlanner
    wake: Callable[[], None] | None = None

    async def list_volumes(self, backup_id: int) -> list[BackupVolume]:
        """List the volumes of a backup; raises RefusalError."""
        async with self.database.reading() as connection:
            if await BackupRecords(connection).find(backup_id) is None:
                message = f"Backup {backup_id} was not found"
                raise RefusalError(ListBackupVolumesErrors.UNKNOWN_BACKUP, message)
            return await BackupVolumeRecords(connection).list_all(backup_id)

    async def list_hooks(self, backup_id: int) -> list[BackupHook]:
        """List the hooks of a backup; raises RefusalError."""
        async with self.database.reading() as connection:
            if await BackupRecords(connection).find(backup_id) is None:
                message = f"Backup {backup_id} was not found"
                raise RefusalError(ListBackupHooksErrors.UNKNOWN_BACKUP, message)
            return await BackupHookRecords(connection).list_all(backup_id)

    async def create(self, body: CreateVolumeRestore, initiated_by: str) -> VolumeRestoreRecord:
        """Record a restore and have it run; raises RefusalError before anything is written.

        Of a ``key`` that is known already the restore is returned that it stands for.
        """
        if self.wake is None:
            raise no_executor()
        check_source(body)
        request = _check_key(body)
        if (known := await self._find_known(body.key, request)) is not None:
            return known
        if body.approved_plan is not None:
            body = await self._check_plan(body)
        async with self.database.writing() as connection:
            source = await find_source(connection, body)
            new = NewVolumeRestore(
                backup_id=source.backup.id,
                host_id=source.backup.record.host_id or 0,
                initiated_by=initiated_by,
                time_initiated=int(self.clock().timestamp() * 1000),
                volumes=check_wishes(body.volumes, source.kept),
                key=body.key,
                request=request,
            )
            records = VolumeRestoreRecords(connection)
            restore_id = await records.add(new)
            stored = await records.find(restore_id) if restore_id is not None else None
        if stored is None:  # another request with this key was quicker
            stored = await self._find_known(body.key, request)
        assert stored is not None
        self.wake()
        return stored

    async def get(self, restore_id: int) -> VolumeRestoreRecord:
        """Get one restore; raises RefusalError."""
        async with self.database.reading() as connection:
            found = await VolumeRestoreRecords(connection).find(restore_id)
        if found is None:
            raise RefusalError(ReadVolumeRestoreErrors.UNKNOWN_RESTORE, _not_found(restore_id))
        return found

    async def list_all(self) -> list[VolumeRestoreRecord]:
        """List all restores by ascending id."""
        async with self.database.reading() as connection:
            return await VolumeRestoreRecords(connection).list_all()

    async def cancel(self, restore_id: int) -> VolumeRestoreRecord:
        """Have a restore stopped; raises RefusalError."""
        async with self.database.writing() as connection:
            records = VolumeRestoreRecords(connection)
            is_moved = await records.move(restore_id, UNFINISHED, VolumeRestoreStatus.CANCELLING)
            found = await records.find(restore_id)
        if found is None:
            raise RefusalError(CancelVolumeRestoreErrors.UNKNOWN_RESTORE, _not_found(restore_id))
        if not is_moved:
            message = f"The restore of volumes {restore_id} is {found.status} already"
            raise RefusalError(CancelVolumeRestoreErrors.ENDED, message)
        if self.wake is not None:
            self.wake()
        return found

    async def _find_known(self, key: str | None, request: str | None) -> VolumeRestoreRecord | None:
        if key is None:
            return None
        async with self.database.reading() as connection:
            records = VolumeRestoreRecords(connection)
            found = await records.find_key(key)
            if found is None:
                return None
            restore_id, former = found
            if former != request:
                message = f"Restore {restore_id} has the key {key}, and restores something else"
                raise RefusalError(_Refused.KEY_TAKEN, message)
            return await records.find(restore_id)

    async def _check_plan(self, body: CreateVolumeRestore) -> CreateVolumeRestore:
        """See that the plan is the approved one; returns the request for the backup in it."""
        plan = await self.planner.plan(body)
        if plan.digest != body.approved_plan:
            message = f"The plan is {plan.digest} now, and {body.approved_plan} was approved"
            raise RefusalError(_Refused.PLAN_CHANGED, message)
        pinned = {"backup_id": plan.backup_id, "host_id": None, "hostname": None}
        return body.model_copy(update={**pinned, "point_in_time": None})


def _check_key(body: CreateVolumeRestore) -> str | None:
    """Return the digest of a request that has a key; raises RefusalError if it is none."""
    if body.key is None:
        return None
    if _KEY.fullmatch(body.key) is None:
        message = "key: expected 1 to 100 of letters, digits, '_', '-' and '.'"
        raise RefusalError(_Refused.WRONG_KEY, message)
    return digest_request(body)


def _not_found(restore_id: int) -> str:
    return f"There is no restore of volumes {restore_id}"
