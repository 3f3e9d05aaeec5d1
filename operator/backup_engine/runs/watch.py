"""Notices archives that went, and came back, behind the engine's back (spec §3.0, §13 no. 12)."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backup_api.backups import RecordStatus as Status
from backup_engine.archive.errors import SigningError, StorageError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.store import ArchiveStore
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.runs.capturing import UNVERIFIED
from backup_engine.runs.persistence import persist
from backup_engine.runs.safekeeping import UNPROTECTED, Safekeeping

logger = logging.getLogger(__name__)

PAGE_LENGTH: Final = 500
_WATCHED: Final = frozenset({Status.SUCCESS, Status.MISSING})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A directory of archives as one look found it."""

    store: ArchiveStore
    names: frozenset[str]


class ArchiveWatch:
    """Compares the records with the archive store, again and again."""

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        interval_s: float,
        safekeeping: Safekeeping = UNPROTECTED,
    ) -> None:
        self._database = database
        self._places = places
        self._interval_s = interval_s
        self._safekeeping = safekeeping
        self._unwell: set[str | None] = set()

    async def run(self) -> None:
        """Scan until cancelled. A store that cannot be read says nothing about its archives."""
        while True:
            await self._scan()
            await asyncio.sleep(self._interval_s)

    async def _scan(self) -> None:
        after_id = 0
        seen: dict[str | None, _Seen | None] = {}
        while page := await self._list_page(after_id):
            for backup in page:
                directory = backup.archive_directory
                if directory not in seen:
                    seen[directory] = await self._look(directory)
                look = seen[directory]
                if look is None:
                    continue
                try:
                    await self._compare(look.store, backup, backup.archive_name in look.names)
                except (StorageError, SigningError) as trouble:
                    self._note_unwell(directory, trouble)
                    seen[directory] = None
            after_id = page[-1].id

    async def _look(self, directory: str | None) -> "_Seen | None":
        """List a directory: one question instead of one per archive; None: it cannot be read."""
        try:
            # opened anew, for only then is a directory that vanished told from an empty one
            store = self._places.open(directory)
            names = frozenset(await store.list_names())
        except StorageError as trouble:
            self._note_unwell(directory, trouble)
            return None
        self._unwell.discard(directory)
        return _Seen(store, names)

    def _note_unwell(self, directory: str | None, trouble: StorageError | SigningError) -> None:
        if directory not in self._unwell:  # once, not at every interval
            logger.warning("the archives cannot be looked after: %s", trouble)
        self._unwell.add(directory)

    async def _compare(self, store: ArchiveStore, backup: StoredBackup, is_listed: bool) -> None:
        name = backup.archive_name
        if not is_listed:
            # looked at twice, for the archive may be younger than the listing
            if backup.record.status is Status.SUCCESS and await store.find_size(name) is None:
                await self._move(backup, Status.MISSING, {"is_valid": False})
                logger.warning("backup %d: %s is missing", backup.id, store.location(name))
            return
        if backup.record.status is Status.MISSING or backup.failure_reason == UNVERIFIED:
            verification = await self._safekeeping.verify(store, name)
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
