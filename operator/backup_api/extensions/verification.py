"""Whether the archive of a backup is any good, since when that is known, and why not.

The record's ``is_valid`` says no more than yes or no (spec §3.0); this is the rest of it.
"""

from enum import StrEnum
from typing import Annotated, Final

from backup_api.endpoints import Endpoint
from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSION_BACKUPS
from backup_api.wire import WireRecord, known_word


class VerificationVerdict(StrEnum):
    """What is known of an archive."""

    VALID = "VALID"
    INVALID = "INVALID"
    UNKNOWN = "UNKNOWN"  # never verified, or its store could not be read; says nothing about it


class VerificationDepth(StrEnum):
    """How closely the archive was last looked at; each includes the ones before."""

    PRESENCE = "PRESENCE"  # it exists and has its size
    STORED_BYTES = "STORED_BYTES"  # each stored byte and the signature: needs no key
    CONTENTS = "CONTENTS"  # every object, decrypted where need be


class ValidityCriterion(StrEnum):
    """Which criterion an archive that is not valid fails.

    The first six are the reasons of spec §3.0, translated to clusters (docs/api.md); an appliance
    has no words for the others.
    """

    MANIFEST_INCOMPLETE = "MANIFEST_INCOMPLETE"
    MANIFEST_UNREADABLE = "MANIFEST_UNREADABLE"
    CLUSTER_ROLE = "CLUSTER_ROLE"
    PRODUCT_NAME = "PRODUCT_NAME"
    CLUSTER_NAME = "CLUSTER_NAME"
    ADDRESS = "ADDRESS"
    PRESENCE = "PRESENCE"  # the archive is gone
    FORMAT = "FORMAT"  # it needs a newer program, or is made to do harm
    CHECKSUM = "CHECKSUM"  # bytes changed, moved, or contradict one another
    SIGNATURE = "SIGNATURE"  # missing although required, or not trusted
    KEY = "KEY"  # no key that the engine holds opens it


class BackupVerification(WireRecord):
    """What the engine knows of the archive of one backup; None means not known.

    ``reason`` is a stable CamelCase word: Verified, StoredBytesVerified, or why not
    (docs/archive-format.md lists them); ``message`` explains it to people and names no secret.
    ``time_requested`` is set while a verification that somebody asked for has not ended.
    """

    backup_id: int
    verdict: Annotated[VerificationVerdict, known_word(VerificationVerdict)] = (
        VerificationVerdict.UNKNOWN
    )
    reason: str | None = None
    criterion: Annotated[ValidityCriterion | None, known_word(ValidityCriterion)] = None
    message: str | None = None
    depth: Annotated[VerificationDepth | None, known_word(VerificationDepth)] = None
    time_verified: int | None = None  # epoch ms, end of the last look at every byte
    time_seen: int | None = None  # epoch ms, of the last look at presence and size
    time_requested: int | None = None  # epoch ms
    is_version_compatible: bool | None = None
    incompatibilities: tuple[str, ...] = ()  # kinds, or the format, that could not be restored
    conversions: tuple[str, ...] = ()  # kinds that go to another version than they were captured in


class GetVerificationErrors(EndpointErrors):
    """Refusals of GET /backup_engine/backups/{id}/verification."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The verification could not be read."


class StartVerificationErrors(EndpointErrors):
    """Refusals of POST /backup_engine/backups/{id}/verification."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    NO_ARCHIVE = 422, 1005, FINAL, "The backup has not succeeded, so there is no archive."
    NOT_STARTED = 500, 1000, TRANSIENT, "The verification could not be asked for."


_PATH: Final = EXTENSION_BACKUPS + "/{id}/verification"

GET_VERIFICATION: Final = Endpoint("GET", _PATH, 200, GetVerificationErrors)
START_VERIFICATION: Final = Endpoint("POST", _PATH, 202, StartVerificationErrors)

VERIFICATION_EXTENSION: Final = (GET_VERIFICATION, START_VERIFICATION)
"""Every endpoint of this extension."""
