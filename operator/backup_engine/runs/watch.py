"""Notices archives that went, changed size, or came back (spec §3.0, §13 no. 12): the light scan.

One LIST of each directory tells presence and size of all archives in it. What that leaves open, an
archive that is back or has another size, is read from its first byte to its last.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backup_api.backups import BackupType
from backup_api.backups import RecordStatus as Status
from backup_engine.archive.errors import SigningError, StorageError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import Verification
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.verifications import VerificationRecords
from backup_engine.runs.persistence import persist
from backup_engine.runs.verifying import Verifier, describe_verification

logger = logging.getLogger(__name__)

PAGE_LENGTH: Final = 500
_WATCHED: Final = frozenset({Status.SUCCESS, Status.MISSING})
_MISSING: Final = "ArchiveMissing"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A directory of archives as one look found it; sizes in bytes."""

    store: ArchiveStore
    sizes: Mapping[str, int]


class ArchiveWatch:
    """Compares the records with the archive store, again and again."""

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        verifier: Verifier,
        clock: Callable[[], datetime],
        interval_s: float,
    ) -> None:
        self._database = database
        self._places = places
        self._verifier = verifier
        self._clock = clock
        self._interval_s = interval_s
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
                    await self._compare(look.store, backup, look.sizes.get(backup.archive_name))
                except (StorageError, SigningError) as trouble:
                    self._note_unwell(directory, trouble)
                    seen[directory] = None
            after_id = page[-1].id
        for directory, look in seen.items():
            if look is not None:
                await self._note_look(directory)

    async def _look(self, directory: str | None) -> "_Seen | None":
        """List a directory: one question instead of one per archive; None: it cannot be read."""
        try:
            # opened anew, for only then is a directory that vanished told from an empty one
            store = self._places.open(directory)
            sizes = await store.list_sizes()
        except StorageError as trouble:
            self._note_unwell(directory, trouble)
            return None
        self._unwell.discard(directory)
        return _Seen(store, sizes)

    def _note_unwell(self, directory: str | None, trouble: StorageError | SigningError) -> None:
        if directory not in self._unwell:  # once, not at every interval
            logger.warning("the archives cannot be looked after: %s", trouble)
        self._unwell.add(directory)

    async def _compare(
        self, store: ArchiveStore, backup: StoredBackup, size_bytes: int | None
    ) -> None:
        record, name = backup.record, backup.archive_name
        if size_bytes is None:
            # looked at twice, for the archive may be younger than the listing
            if record.status is Status.SUCCESS and await store.is_gone(name):
                lost = f"{store.location(name)} is missing"
                await self._move(
                    backup,
                    Status.MISSING,
                    {"is_valid": False},
                    {"reason": _MISSING, "message": lost, "time_requested": None},
                )
                logger.warning("backup %d: %s", backup.id, lost)
            return
        if record.status is Status.MISSING or size_bytes != record.size_on_disk:
            verdict = await self._verifier.verify(store, backup)
            await write_verdict(self._database, backup, verdict, self._now_ms(), size_bytes)
            logger.warning(
                "backup %d: %s was verified: %s",
                backup.id,
                store.location(name),
                "valid" if verdict.is_valid else verdict.message,
            )

    async def _list_page(self, after_id: int) -> list[StoredBackup]:
        async def list_page() -> list[StoredBackup]:
            async with self._database.reading() as connection:
                return await BackupRecords(connection).list_in(
                    _WATCHED, after_id, PAGE_LENGTH, BackupType.CONFIG
                )

        return await persist(list_page, "reading the records to look after")

    async def _note_look(self, directory: str | None) -> None:
        async def note() -> None:
            async with self._database.writing() as connection:
                await VerificationRecords(connection).note_look(directory, self._now_ms())

        await persist(note, "noting a look at the archives")

    async def _move(
        self,
        backup: StoredBackup,
        to: Status,
        changes: Mapping[str, object],
        known: Mapping[str, object],
    ) -> None:
        async def move() -> None:
            await _write(self._database, backup, to, changes, known)

        await persist(move, f"backup {backup.id}: writing {to}")

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


async def write_verdict(
    database: Database,
    backup: StoredBackup,
    verdict: Verification,
    now_ms: int,
    size_bytes: int | None = None,
) -> None:
    """Record what a verification found: the backup is SUCCESS, valid or not (spec §13 no. 12).

    ``size_bytes`` None: as it was. Waits for a database that is away.
    """
    changes: dict[str, object] = {"is_valid": verdict.is_valid}
    if size_bytes is not None:
        changes["size_on_disk"] = size_bytes
    known = describe_verification(verdict, now_ms)

    async def write() -> None:
        await _write(database, backup, Status.SUCCESS, changes, known)

    await persist(write, f"backup {backup.id}: writing its verification")


async def _write(
    database: Database,
    backup: StoredBackup,
    to: Status,
    changes: Mapping[str, object],
    known: Mapping[str, object],
) -> None:
    assert backup.record.status is not None
    async with database.writing() as connection:
        # a status that changed meanwhile wins over what was seen before
        if await BackupRecords(connection).move(backup.id, {backup.record.status}, to, changes):
            await VerificationRecords(connection).note(backup.id, known)
