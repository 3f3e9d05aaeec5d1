"""How the engine protects the archives it makes, and judges those it finds (spec §10, signing)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from backup_engine.archive.encryption import NO_IDENTITIES, NO_RECIPIENTS, Identities, Recipients
from backup_engine.archive.protection import Protection
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
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

    async def verify(self, store: ArchiveStore, name: str) -> Verification:
        """Check an archive from its first byte to its last.

        Raises StorageError if the store cannot be read, SigningError if the truststore cannot.
        """
        if self.signing is None:
            return await verify_archive(store, name, identities=self.identities)
        trust = await asyncio.to_thread(
            self.signing.load_trust, is_signature_required=self.is_signature_required
        )
        return await verify_archive(store, name, trust=trust, identities=self.identities)


UNPROTECTED = Safekeeping()
