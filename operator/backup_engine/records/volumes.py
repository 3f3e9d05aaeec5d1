"""Rows of the volumes of DATA backups."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.extensions.volumes import BackupVolume, VolumeStatus
from backup_engine.host_definition import VolumeSnapshotMode
from backup_engine.records.tables import BACKUP_VOLUMES
from backup_engine.volumes.volume import ChosenVolume, Volume, VolumePolicy


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """One volume of a backup: what was chosen, and what became of it."""

    chosen: ChosenVolume
    status: VolumeStatus
    snapshot_id: str | None


class BackupVolumeRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, backup_id: int, chosen: Iterable[ChosenVolume]) -> None:
        """Keep what a backup is about: from now on no selector is asked again."""
        rows = [
            {
                "backup_id": backup_id,
                "namespace": one.volume.namespace,
                "claim": one.volume.claim,
                "tolerate_empty": one.policy.tolerate_empty,
                "tolerate_unreadable": one.policy.tolerate_unreadable,
                "status": VolumeStatus.PENDING,
                "size_bytes": 0,
                "files": 0,
                "unreadable_files": 0,
                "bytes_done": 0,
                "files_done": 0,
                "message": one.trouble,
                "volume_snapshot": one.policy.volume_snapshot,
                "volume_snapshot_class": one.policy.volume_snapshot_class,
            }
            for one in chosen
        ]
        await self._connection.execute(insert(BACKUP_VOLUMES), rows)

    async def list_stored(self, backup_id: int) -> list[StoredVolume]:
        """List the volumes of a backup by namespace and claim; empty: not chosen yet."""
        return [_stored(row) for row in await self._rows(backup_id)]

    async def list_all(self, backup_id: int) -> list[BackupVolume]:
        """List them as the wire has them."""
        return [_volume(row) for row in await self._rows(backup_id)]

    async def list_snapshots(self, backup_ids: Sequence[int]) -> dict[int, set[str]]:
        """Return the ids of the snapshots that each of these backups consists of."""
        rows = await self._connection.execute(
            select(BACKUP_VOLUMES.c.backup_id, BACKUP_VOLUMES.c.snapshot_id).where(
                BACKUP_VOLUMES.c.backup_id.in_(backup_ids),
                BACKUP_VOLUMES.c.snapshot_id.is_not(None),
            )
        )
        found: dict[int, set[str]] = {backup_id: set() for backup_id in backup_ids}
        for backup_id, snapshot_id in rows:
            found[backup_id].add(snapshot_id)
        return found

    async def note(self, backup_id: int, volume: Volume, changes: Mapping[str, Any]) -> None:
        """Write columns of one volume."""
        await self._connection.execute(
            update(BACKUP_VOLUMES)
            .where(
                BACKUP_VOLUMES.c.backup_id == backup_id,
                BACKUP_VOLUMES.c.namespace == volume.namespace,
                BACKUP_VOLUMES.c.claim == volume.claim,
            )
            .values(**changes)
        )

    async def remove(self, backup_id: int) -> None:
        """Forget the volumes of a backup."""
        await self._connection.execute(
            delete(BACKUP_VOLUMES).where(BACKUP_VOLUMES.c.backup_id == backup_id)
        )

    async def _rows(self, backup_id: int) -> Sequence[RowMapping]:
        found = await self._connection.execute(
            select(BACKUP_VOLUMES)
            .where(BACKUP_VOLUMES.c.backup_id == backup_id)
            .order_by(BACKUP_VOLUMES.c.namespace, BACKUP_VOLUMES.c.claim)
        )
        return found.mappings().all()


def _stored(row: RowMapping) -> StoredVolume:
    status = VolumeStatus(row["status"])
    chosen = ChosenVolume(
        Volume(row["namespace"], row["claim"]),
        VolumePolicy(
            row["tolerate_empty"],
            row["tolerate_unreadable"],
            VolumeSnapshotMode(row["volume_snapshot"]),
            row["volume_snapshot_class"],
        ),
        row["message"] if status is VolumeStatus.PENDING else None,
    )
    return StoredVolume(chosen, status, row["snapshot_id"])


def _volume(row: RowMapping) -> BackupVolume:
    return BackupVolume.model_validate({**row, "size": row["size_bytes"]})
