"""Rows of restores of volumes, and of what each is to restore."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.extensions.volumes import (
    RestoredVolume,
    VolumeRestoreRecord,
    VolumeRestoreStatus,
    VolumeStatus,
    VolumeWish,
)
from backup_engine.records.inserting import insert_unless_taken
from backup_engine.records.tables import VOLUME_RESTORE_TARGETS, VOLUME_RESTORES


@dataclass(frozen=True, slots=True)
class WantedVolume:
    """A wish that was checked: nothing in it is absent that has a default."""

    wish: VolumeWish
    snapshot_id: str
    size: int | None = None  # bytes of the snapshot; None: paths of it are wished for
    files: int | None = None


@dataclass(frozen=True, slots=True)
class NewVolumeRestore:
    """A restore to be stored; ``request`` is the digest of what the ``key`` stands for."""

    backup_id: int
    host_id: int
    initiated_by: str
    time_initiated: int  # epoch ms
    volumes: Sequence[WantedVolume]
    key: str | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """One volume of a restore as the engine works on it."""

    number: int
    wanted: WantedVolume
    status: VolumeStatus


class VolumeRestoreRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, new: NewVolumeRestore) -> int | None:
        """Store a restore that begins now; returns its id, None if its key is taken."""
        row = insert_unless_taken(self._connection.dialect.name, VOLUME_RESTORES).values(
            backup_id=new.backup_id,
            host_id=new.host_id,
            initiated_by=new.initiated_by,
            status=VolumeRestoreStatus.INITIALIZING,
            time_initiated=new.time_initiated,
            key=new.key,
            request=new.request,
        )
        restore_id = await self._connection.scalar(row.returning(VOLUME_RESTORES.c.id))
        if restore_id is None:
            return None
        targets = [
            {
                "restore_id": restore_id,
                "number": number,
                "wish": wanted.wish.model_dump(mode="json"),
                "snapshot_id": wanted.snapshot_id,
                "status": VolumeStatus.PENDING,
                "bytes_done": 0,
                "files_done": 0,
                "size": wanted.size,
                "files": wanted.files,
            }
            for number, wanted in enumerate(new.volumes)
        ]
        await self._connection.execute(insert(VOLUME_RESTORE_TARGETS), targets)
        return int(restore_id)

    async def find_key(self, key: str) -> tuple[int, str | None] | None:
        """Return id and request of the restore that has this key, or None."""
        rows = await self._connection.execute(
            select(VOLUME_RESTORES.c.id, VOLUME_RESTORES.c.request).where(
                VOLUME_RESTORES.c.key == key
            )
        )
        row = rows.one_or_none()
        return (row.id, row.request) if row is not None else None

    async def find(self, restore_id: int) -> VolumeRestoreRecord | None:
        """Return one restore as the wire has it, or None."""
        found = await self._list(VOLUME_RESTORES.c.id == restore_id)
        return found[0] if found else None

    async def list_all(self) -> list[VolumeRestoreRecord]:
        """List all by ascending id."""
        return await self._list(VOLUME_RESTORES.c.id > 0)

    async def list_in(self, statuses: Collection[VolumeRestoreStatus]) -> list[VolumeRestoreRecord]:
        """List those in one of ``statuses`` by ascending id."""
        return await self._list(VOLUME_RESTORES.c.status.in_(sorted(statuses)))

    async def list_targets(self, restore_id: int) -> list[StoredTarget]:
        """List what one restore is to restore, in the order of the request."""
        return [
            StoredTarget(
                row["number"],
                WantedVolume(_wish(row), row["snapshot_id"], row["size"], row["files"]),
                VolumeStatus(row["status"]),
            )
            for row in await self._targets([restore_id])
        ]

    async def move(
        self,
        restore_id: int,
        leaving: Collection[VolumeRestoreStatus],
        to: VolumeRestoreStatus,
        changes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Move a restore on; False, and nothing written, if it is in none of ``leaving``."""
        changed = await self._connection.execute(
            update(VOLUME_RESTORES)
            .where(
                VOLUME_RESTORES.c.id == restore_id,
                VOLUME_RESTORES.c.status.in_(sorted(leaving)),
            )
            .values(status=to, **(changes or {}))
        )
        return changed.rowcount == 1

    async def note_progress(
        self, restore_id: int, number: int, bytes_done: int, files_done: int
    ) -> None:
        """Write how far a volume is, unless it has ended meanwhile: its last figures are exact."""
        table = VOLUME_RESTORE_TARGETS
        await self._connection.execute(
            update(table)
            .where(
                table.c.restore_id == restore_id,
                table.c.number == number,
                table.c.status == VolumeStatus.IN_PROGRESS,
            )
            .values(bytes_done=bytes_done, files_done=files_done)
        )

    async def note(self, restore_id: int, number: int, changes: Mapping[str, Any]) -> None:
        """Write columns of one volume."""
        await self._connection.execute(
            update(VOLUME_RESTORE_TARGETS)
            .where(
                VOLUME_RESTORE_TARGETS.c.restore_id == restore_id,
                VOLUME_RESTORE_TARGETS.c.number == number,
            )
            .values(**changes)
        )

    async def _list(self, where: Any) -> list[VolumeRestoreRecord]:  # noqa: ANN401 - a condition
        rows = await self._connection.execute(
            select(VOLUME_RESTORES).where(where).order_by(VOLUME_RESTORES.c.id)
        )
        found = rows.mappings().all()
        targets = await self._targets([row["id"] for row in found])
        return [
            VolumeRestoreRecord.model_validate(
                {
                    **row,
                    "volumes": tuple(
                        _restored(each) for each in targets if each["restore_id"] == row["id"]
                    ),
                }
            )
            for row in found
        ]

    async def _targets(self, restore_ids: Sequence[int]) -> Sequence[RowMapping]:
        table = VOLUME_RESTORE_TARGETS
        rows = await self._connection.execute(
            select(table)
            .where(table.c.restore_id.in_(restore_ids))
            .order_by(table.c.restore_id, table.c.number)
        )
        return rows.mappings().all()


def _wish(row: RowMapping) -> VolumeWish:
    return VolumeWish.model_validate({**row["wish"], "paths": tuple(row["wish"]["paths"])})


def _restored(row: RowMapping) -> RestoredVolume:
    return RestoredVolume.model_validate({**row["wish"], **row})
