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
from backup_engine.records.tables import VOLUME_RESTORE_TARGETS, VOLUME_RESTORES


@dataclass(frozen=True, slots=True)
class WantedVolume:
    """A wish that was checked: nothing in it is absent that has a default."""

    wish: VolumeWish
    snapshot_id: str


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

    async def add(
        self,
        backup_id: int,
        host_id: int,
        initiated_by: str,
        now_ms: int,
        volumes: Sequence[WantedVolume],
    ) -> int:
        """Store a restore that begins now; returns its id."""
        row = insert(VOLUME_RESTORES).values(
            backup_id=backup_id,
            host_id=host_id,
            initiated_by=initiated_by,
            status=VolumeRestoreStatus.INITIALIZING,
            time_initiated=now_ms,
        )
        added = await self._connection.scalar(row.returning(VOLUME_RESTORES.c.id))
        restore_id = int(added or 0)
        targets = [
            {
                "restore_id": restore_id,
                "number": number,
                "wish": wanted.wish.model_dump(mode="json"),
                "snapshot_id": wanted.snapshot_id,
                "status": VolumeStatus.PENDING,
                "bytes_done": 0,
                "files_done": 0,
            }
            for number, wanted in enumerate(volumes)
        ]
        await self._connection.execute(insert(VOLUME_RESTORE_TARGETS), targets)
        return restore_id

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
                WantedVolume(_wish(row), row["snapshot_id"]),
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
