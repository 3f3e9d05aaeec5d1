"""How the engine protects the archives it makes, and judges those it finds (spec §10, signing)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from backup_engine.archive.encryption import NO_IDENTITIES, NO_RECIPIENTS, Identities, Recipients
from backup_engine.archive.pacing import UNPACED, ReadPace
from backup_engine.archive.protection import Protection
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.trust import Trust
from backup_engine.archive.verifying import Verification, verify_archive


@dataclass(frozen=True, slots=True)
class Safekeeping:
    """Keys, and what is asked of an archive; ``signing`` None: nothing is signed or judged so."""

    signing: SigningDirectory | None = None
    recipients: Recipients = NO_RECIPIENTS
    identities: Identities = NO_IDENTITIES
    is_signature_required: bool = False

    async def protection(self, clock: Callable[[], datetime]) -> Protection:
        """Return how to protect an archive begun now; raises SigningError."""
        if self.signing is None:
            return Protection(self.recipients)
        # files, which may also have been renewed since the last archive
        signer = await asyncio.to_thread(self.signing.ensure_signer, clock())
        return Protection(self.recipients, signer)

    async def open(self, store: ArchiveStore, name: str) -> ArchiveReader:
        """Open an archive with the keys held, its signature judged; raises ArchiveError."""
        trust = await self._read_trust()
        reader = store.reader(name)
        return await ArchiveReader.open(reader, trust=trust, identities=self.identities)

    async def verify(
        self, store: ArchiveStore, name: str, pace: ReadPace = UNPACED
    ) -> Verification:
        """Check an archive from its first byte to its last, no faster than ``pace``.

        Raises StorageError if the store cannot be read, SigningError if the truststore cannot.
        """
        trust = await self._read_trust()
        return await verify_archive(store, name, trust=trust, identities=self.identities, pace=pace)

    async def _read_trust(self) -> Trust | None:
        if self.signing is None:
            return None
        return await asyncio.to_thread(
            self.signing.load_trust, is_signature_required=self.is_signature_required
        )


UNPROTECTED = Safekeeping()
