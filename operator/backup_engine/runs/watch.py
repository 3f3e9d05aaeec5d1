"""Notices archives that went, and came back, behind the engine's back (spec §3.0, §13 no. 12)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from backup_api.backups import RecordStatus as Status
from backup_engine.archive.errors import StorageError
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.runs.capturing import UNVERIFIED
from backup_engine.runs.persistence import persist

logger = logging.getLogger(__name__)

PAGE_LENGTH: Final = 500
_WATCHED: Final = frozenset({Status.SUCCESS, Status.MISSING})


class ArchiveWatch:
    """Compares the records with the archive store, again and again."""

    def __init__(
        self, database: Database, open_store: Callable[[], ArchiveStore], interval_s: float
    ) -> None:
        self._database = database
        self._open_store = open_store
        self._interval_s = interval_s
        self._is_store_unwell = False

    async def run(self) -> None:
        """Scan until cancelled. A store that cannot be read says nothing about its archives."""
        while True:
            try:
                await self._scan()
                self._is_store_unwell = False
            except StorageError as trouble:
                if not self._is_store_unwell:  # once, not at every interval
                    logger.warning("the archives cannot be looked after: %s", trouble)
                self._is_store_unwell = True
            await asyncio.sleep(self._interval_s)

    async def _scan(self) -> None:
        # opened anew, for only then is a directory that vanished told from an empty one
        store = self._open_store()
        after_id = 0
        names: set[str] | None = None
        while page := await self._list_page(after_id):
            if names is None:  # one listing instead of a question per archive
                names = set(await store.list_names())
            for backup in page:
                await self._compare(store, backup, backup.archive_name in names)
            after_id = page[-1].id

    async def _compare(self, store: ArchiveStore, backup: StoredBackup, is_listed: bool) -> None:
        name = backup.archive_name
        if not is_listed:
            # looked at twice, for the archive may be younger than the listing
            if backup.record.status is Status.SUCCESS and await store.find_size(name) is None:
                await self._move(backup, Status.MISSING, {"is_valid": False})
                logger.warning("backup %d: %s is missing", backup.id, store.location(name))
            return
        if backup.record.status is Status.MISSING or backup.failure_reason == UNVERIFIED:
            verification = await verify_archive(store, name)
            changes = {
                "is_valid": verification.is_valid,
                "failure_reason": None if verification.is_valid else verification.reason,
                "failure_message": None if verification.is_valid else verification.message,
            }
            await self._move(backup, Status.SUCCESS, changes)
            logger.warning(
                "backup %d: %s was verified: %s",
                backup.id,
                store.location(name),
                "valid" if verification.is_valid else verification.message,
            )

    async def _list_page(self, after_id: int) -> list[StoredBackup]:
        async def list_page() -> list[StoredBackup]:
            async with self._database.reading() as connection:
                return await BackupRecords(connection).list_in(_WATCHED, after_id, PAGE_LENGTH)

        return await persist(list_page, "reading the records to look after")

    async def _move(self, backup: StoredBackup, to: Status, changes: Mapping[str, object]) -> None:
        async def move() -> bool:
            assert backup.record.status is not None
            async with self._database.writing() as connection:
                records = BackupRecords(connection)
                # a status that changed meanwhile wins over what was seen before
                return await records.move(backup.id, {backup.record.status}, to, changes)

        await persist(move, f"backup {backup.id}: writing {to}")
