"""Rows of the journal of captures: what each running one has finished (ADR 8)."""

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_engine.records.tables import CAPTURE_JOURNAL


class CaptureJournalRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_entries(self, backup_id: int) -> list[str]:
        """List the entries of one capture in their order."""
        rows = await self._connection.execute(
            select(CAPTURE_JOURNAL.c.entry)
            .where(CAPTURE_JOURNAL.c.backup_id == backup_id)
            .order_by(CAPTURE_JOURNAL.c.sequence)
        )
        return list(rows.scalars())

    async def append(self, backup_id: int, sequence: int, entry: str) -> None:
        """Append an entry; raises IntegrityError if another process has written that one."""
        await self._connection.execute(
            insert(CAPTURE_JOURNAL).values(backup_id=backup_id, sequence=sequence, entry=entry)
        )

    async def truncate(self, backup_id: int, length: int) -> None:
        """Keep the first ``length`` entries."""
        await self._connection.execute(
            delete(CAPTURE_JOURNAL).where(
                CAPTURE_JOURNAL.c.backup_id == backup_id, CAPTURE_JOURNAL.c.sequence >= length
            )
        )
