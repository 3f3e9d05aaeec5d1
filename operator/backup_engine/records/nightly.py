"""Which nightly runs have begun: one per host and night, on however many engines."""

from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import BackupType
from backup_engine.records.tables import NIGHTLY_RUNS

_RUN: Final = NIGHTLY_RUNS.c


class AlreadyBegunError(Exception):
    """The run of this night has begun, here or in another engine."""


class NightlyRuns:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find_latest(self, host_id: int, backup_type: BackupType) -> int | None:
        """Find when the latest run was due, epoch ms; None: there was none yet."""
        query = select(func.max(_RUN.due)).where(
            _RUN.host_id == host_id, _RUN.type == backup_type.value
        )
        latest: int | None = (await self._connection.execute(query)).scalar_one()
        return latest

    async def add(self, due_ms: int, host_id: int, backup_type: BackupType) -> None:
        """Note that the run due at ``due_ms`` begins, and forget those before it.

        Apart from the record, which may be deleted: a run must not begin anew because of that.
        Raises AlreadyBegunError.
        """
        row = insert(NIGHTLY_RUNS).values(due=due_ms, host_id=host_id, type=backup_type.value)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(row)
        except IntegrityError as clash:
            raise AlreadyBegunError from clash
        await self._connection.execute(
            delete(NIGHTLY_RUNS).where(
                _RUN.due < due_ms, _RUN.host_id == host_id, _RUN.type == backup_type.value
            )
        )
