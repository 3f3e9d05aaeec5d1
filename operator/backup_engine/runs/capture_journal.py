"""The journal of one capture, in the engine's database (ADR 8)."""

from collections.abc import Awaitable, Callable

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_engine.capture.errors import CaptureError
from backup_engine.records.capture_journal import CaptureJournalRecords
from backup_engine.records.database import Database
from backup_engine.runs.persistence import persist

Confirm = Callable[[AsyncConnection], Awaitable[None]]


class DatabaseJournal:
    """Waits for a database that is away; the capture goes on meanwhile.

    ``confirm`` begins each transaction that writes: it raises if the capture is another's by now.
    """

    def __init__(self, database: Database, backup_id: int, confirm: Confirm) -> None:
        self._database = database
        self._backup_id = backup_id
        self._confirm = confirm

    async def read(self) -> list[str]:
        """Return all entries in their order."""

        async def read() -> list[str]:
            async with self._database.reading() as connection:
                return await CaptureJournalRecords(connection).list_entries(self._backup_id)

        return await persist(read, f"backup {self._backup_id}: reading its journal")

    async def append(self, sequence: int, entry: str) -> None:
        """Write an entry; raises CaptureError (TakenOver) if another process wrote that one."""

        async def append() -> bool:
            try:
                async with self._database.writing() as connection:
                    await self._confirm(connection)
                    records = CaptureJournalRecords(connection)
                    await records.append(self._backup_id, sequence, entry)
            except IntegrityError:  # or the answer to our own commit was lost
                return (await self.read())[sequence : sequence + 1] == [entry]
            return True

        if not await persist(append, f"backup {self._backup_id}: writing its journal"):
            raise CaptureError("TakenOver", "another process goes on with this capture")

    async def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` entries."""

        async def truncate() -> None:
            async with self._database.writing() as connection:
                await self._confirm(connection)
                await CaptureJournalRecords(connection).truncate(self._backup_id, length)

        await persist(truncate, f"backup {self._backup_id}: truncating its journal")
