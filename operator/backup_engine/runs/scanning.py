"""Reads archives again, byte by byte, to find what rots unseen: the deep scan."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backup_engine.archive.errors import SigningError, StorageError
from backup_engine.archive.pacing import ReadPace
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.verifying import Verification
from backup_engine.records.backups import StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.verifications import VerificationRecords
from backup_engine.runs.persistence import persist
from backup_engine.runs.verifying import Verifier
from backup_engine.runs.watch import write_verdict

logger = logging.getLogger(__name__)

VERIFY_EVERY_S: Final = 7 * 24 * 3600.0
VERIFY_BYTES_PER_S: Final = 50_000_000
LOOK_EVERY_S: Final = 5.0
REST_S: Final = 300.0

_GONE: Final = "ArchiveMissing"
_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class ScanRules:
    """How old a verification may become, and how fast archives are read; None: without bound.

    What somebody asks for is noticed within ``look_every_s``. After trouble with a store its
    archives are left alone for ``rest_s``. Seconds.
    """

    every_s: float = VERIFY_EVERY_S
    bytes_per_s: float | None = VERIFY_BYTES_PER_S
    look_every_s: float = LOOK_EVERY_S
    rest_s: float = REST_S


class DeepScan:
    """Level-triggered: verifies what was asked for, then what was verified longest ago."""

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        verifier: Verifier,
        clock: Callable[[], datetime],
        rules: ScanRules,
    ) -> None:
        self._database = database
        self._places = places
        self._verifier = verifier
        self._clock = clock
        self._rules = rules
        self._pace = ReadPace(rules.bytes_per_s)
        self._resting: dict[str | None, float] = {}  # until when, by directory

    async def run(self) -> None:
        """Scan until cancelled; what a stop cut off is begun anew."""
        while True:
            if not await self.scan_one():
                await asyncio.sleep(self._rules.look_every_s)

    async def scan_one(self) -> bool:
        """Verify the archive that is due first; False: none is."""
        now_ms = self._now_ms()
        before_ms = now_ms - int(self._rules.every_s * _MS_PER_S)

        async def list_due() -> list[StoredBackup]:
            async with self._database.reading() as connection:
                return await VerificationRecords(connection).list_due(before_ms, 100)

        for backup in await persist(list_due, "looking for archives to verify"):
            if self._resting.get(backup.archive_directory, 0.0) > now_ms:
                continue
            try:
                verdict = await self._verify(backup)
            except (StorageError, SigningError) as trouble:  # says nothing about the archive
                logger.warning("backup %d: cannot be verified now: %s", backup.id, trouble)
                rest_ms = self._rules.rest_s * _MS_PER_S
                self._resting[backup.archive_directory] = now_ms + rest_ms
                continue
            if verdict is not None:
                await write_verdict(self._database, backup, verdict, self._now_ms())
                return True
        return False

    async def _verify(self, backup: StoredBackup) -> Verification | None:
        """Verify one archive; None: it is gone, which is for the light scan to tell."""
        store = self._places.open(backup.archive_directory)
        verdict = await self._verifier.verify(store, backup, self._pace)
        if verdict.reason == _GONE:
            return None
        if not verdict.is_valid or not backup.record.is_valid:
            log = logger.warning if verdict.is_valid else logger.error
            log("backup %d: %s: %s", backup.id, verdict.reason, verdict.message)
        return verdict

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)
