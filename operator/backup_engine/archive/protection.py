"""What protects a new archive: whom it is encrypted to, and who signs it."""

from dataclasses import dataclass
from typing import Final

from backup_engine.archive.encryption import NO_RECIPIENTS, Recipients
from backup_engine.archive.signing import Signer


@dataclass(frozen=True, slots=True)
class Protection:
    """Handed to a capture; no recipients: not encrypted, None as signer: not signed."""

    recipients: Recipients = NO_RECIPIENTS
    signer: Signer | None = None


UNPROTECTED: Final = Protection()
