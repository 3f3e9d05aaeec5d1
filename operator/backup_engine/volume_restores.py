"""Volumes and hooks of DATA backups, and their restores: use cases of the engine's extension."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import BackupType, RecordStatus
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
    VolumeWish,
)
from backup_engine.errors import RefusalError
from backup_engine.records.backup_hooks import BackupHookRecords
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.volume_restores import VolumeRestoreRecords, WantedVolume
from backup_engine.records.volumes import BackupVolumeRecords
from backup_engine.volumes.volume import Volume, parse_volume

MOST_TARGETS: Final = 100
MOST_PATHS: Final = 100

_Refused: Final = CreateVolumeRestoreErrors


@dataclass(frozen=True, slots=True)
class VolumeRestores:
    """The use cases; ``wake`` None: this engine has nothing to work on volumes with."""

    database: Database
    clock: Callable[[], datetime]
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
        """Record a restore and have it run; raises RefusalError before anything is written."""
        if self.wake is None:
            message = "Start the engine with --mover-image, or with --volumes-dir"
            raise RefusalError(_Refused.NO_EXECUTOR, message)
        if (body.backup_id is None) == (body.host_id is None):
            message = "Give either backup_id, or host_id with or without point_in_time"
            raise RefusalError(_Refused.NO_BACKUP_NAMED, message)
        async with self.database.writing() as connection:
            backup = await self._find_backup(connection, body)
            kept = {
                Volume(each.namespace, each.claim): each.snapshot_id
                for each in await BackupVolumeRecords(connection).list_all(backup.id)
                if each.snapshot_id is not None
            }
            wanted = check_wishes(body.volumes, kept)
            records = VolumeRestoreRecords(connection)
            now_ms = int(self.clock().timestamp() * 1000)
            host_id = backup.record.host_id or 0
            restore_id = await records.add(backup.id, host_id, initiated_by, now_ms, wanted)
            stored = await records.find(restore_id)
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

    async def _find_backup(
        self, connection: AsyncConnection, body: CreateVolumeRestore
    ) -> StoredBackup:
        records = BackupRecords(connection)
        if body.backup_id is not None:
            backup = await records.find(body.backup_id)
            if backup is None:
                message = f"There is no backup {body.backup_id}"
                raise RefusalError(_Refused.UNKNOWN_BACKUP, message)
        else:
            backup = await records.find_newest_good(
                body.host_id or 0, BackupType.DATA, body.point_in_time
            )
            if backup is None:
                message = f"Host {body.host_id} has no valid DATA backup from that time or before"
                raise RefusalError(_Refused.UNKNOWN_BACKUP, message)
        record = backup.record
        if record.type is not BackupType.DATA or record.status is not RecordStatus.SUCCESS:
            message = f"Backup {backup.id} is a {record.type} backup in state {record.status}"
            raise RefusalError(_Refused.NOT_RESTORABLE, message)
        if not record.is_valid:
            message = f"Backup {backup.id} is not valid; ask for its verification to see why"
            raise RefusalError(_Refused.NOT_RESTORABLE, message)
        return backup


def check_wishes(
    wishes: Iterable[VolumeWish], kept: Mapping[Volume, str]
) -> tuple[WantedVolume, ...]:
    """Check what is asked for against the snapshots that are kept. Pure; raises RefusalError."""
    checked: list[WantedVolume] = []
    targets: set[tuple[str | None, str | None]] = set()
    for wish in wishes:
        source = _parse(wish.namespace, wish.claim, _Refused.UNKNOWN_VOLUME)
        snapshot_id = kept.get(source)
        if snapshot_id is None:
            message = f"The backup has no volume {source}"
            raise RefusalError(_Refused.UNKNOWN_VOLUME, message)
        target = _parse(
            wish.target_namespace or source.namespace,
            wish.target_claim or source.claim,
            _Refused.WRONG_TARGET,
        )
        full = wish.model_copy(
            update={
                "target_namespace": target.namespace,
                "target_claim": target.claim,
                "paths": tuple(_check_path(each) for each in wish.paths),
            }
        )
        if len(full.paths) > MOST_PATHS:
            message = f"{len(full.paths)} paths of one volume; at most {MOST_PATHS}"
            raise RefusalError(_Refused.WRONG_PATH, message)
        if wish.size is not None and wish.size <= 0:
            raise RefusalError(_Refused.WRONG_TARGET, f"{target}: size is no number of bytes")
        key = (full.target_namespace, full.target_claim)
        if key in targets:
            message = f"{target} is the target of two volumes"
            raise RefusalError(_Refused.WRONG_TARGET, message)
        targets.add(key)
        checked.append(WantedVolume(full, snapshot_id))
    if not checked:
        raise RefusalError(_Refused.NO_VOLUMES, "volumes is missing or empty")
    if len(checked) > MOST_TARGETS:
        message = f"{len(checked)} volumes in one restore; at most {MOST_TARGETS}"
        raise RefusalError(_Refused.NO_VOLUMES, message)
    return tuple(checked)


def _parse(namespace: str | None, claim: str | None, row: CreateVolumeRestoreErrors) -> Volume:
    try:
        return parse_volume(namespace or "", claim or "")
    except ValueError as trouble:
        raise RefusalError(row, str(trouble)) from trouble


def _check_path(text: str) -> str:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        message = f"{text!r} is no path inside a volume, such as data/base"
        raise RefusalError(_Refused.WRONG_PATH, message)
    return str(path)


def _not_found(restore_id: int) -> str:
    return f"There is no restore of volumes {restore_id}"
