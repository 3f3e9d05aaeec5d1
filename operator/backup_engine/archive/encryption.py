"""Encryption of members with age (age-encryption.org/v1), X25519 keys only.

All cryptography is pyrage's, the Python bindings of rage. It holds the interpreter lock while it
computes; a sink written in Python gives the event loop its turn after each 64 KiB.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Final

import pyrage
from pyrage import x25519

from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveLockedError,
    KeyFileError,
)
from backup_engine.archive.manifest import ENCRYPTION_AGE, ENCRYPTION_NONE

PRIVATE_MODE: Final = 0o600

_NOT_OURS: Final = "No matching keys found"  # pyrage has one class for all: a test pins the text
_RECIPIENT: Final = re.compile(r"age1[0-9a-z]+")


class _Sink(BytesIO):
    """A buffer whose ``write`` is Python code, hence a moment at which threads can change."""

    def write(self, content: object) -> int:
        return super().write(content)  # type: ignore[arg-type]


class Recipients:
    """The public keys an archive is encrypted to: each of their owners can open it alone.

    Without any, nothing is encrypted.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Take public keys as ``age1…``; raises KeyFileError for one that is not."""
        self.keys: Final = tuple(dict.fromkeys(keys))
        self._recipients = [_parse_recipient(key) for key in self.keys]

    @property
    def encryption(self) -> str:
        """The manifest's word for what ``encrypt`` does."""
        return ENCRYPTION_AGE if self.keys else ENCRYPTION_NONE

    def encrypt(self, content: bytes) -> bytes:
        """Encrypt ``content`` as one age file; as it is if there is no recipient. CPU only.

        Each call draws new keys: the same content never gives the same bytes twice.
        """
        if not self.keys:
            return content
        sink = _Sink()
        pyrage.encrypt_io(BytesIO(content), sink, self._recipients)
        return sink.getvalue()


@dataclass(frozen=True, slots=True)
class Identities:
    """Private keys held, and the files they are from, for messages."""

    keys: tuple[x25519.Identity, ...] = field(default=(), repr=False)
    sources: tuple[str, ...] = ()

    def decrypt(self, path: str, content: bytes) -> bytes:
        """Decrypt one member; ``path`` is for messages. CPU only.

        Raises ArchiveLockedError if no key fits (IdentityMismatch) or none is held
        (IdentityMissing), ArchiveDamagedError if the member was changed.
        """
        if not self.keys:
            raise ArchiveLockedError(
                "IdentityMissing",
                f"{path} is encrypted; give the identity file of one of its recipients",
            )
        sink = _Sink()
        try:
            pyrage.decrypt_io(BytesIO(content), sink, self.keys)
        except (pyrage.DecryptError, OSError) as trouble:  # the latter for a damaged body
            if str(trouble) == _NOT_OURS:
                raise ArchiveLockedError(
                    "IdentityMismatch",
                    f"{path} is encrypted to other recipients than the identities of"
                    f" {', '.join(self.sources)}; an age file does not tell to which",
                ) from trouble
            raise ArchiveDamagedError(
                "DecryptionFailed", f"{path} is no intact age file: {trouble}"
            ) from trouble
        return sink.getvalue()


NO_RECIPIENTS: Final = Recipients()
NO_IDENTITIES: Final = Identities()


def load_recipients(files: Sequence[Path]) -> list[str]:
    """Read recipient files: a public key a line, ``#`` begins a comment; raises KeyFileError."""
    found = []
    for file in files:
        keys = _read_lines(file)
        if not keys:
            raise KeyFileError(f"recipient file {file}: holds no public key (age1…)")
        for key in keys:
            try:
                _parse_recipient(key)
            except KeyFileError as trouble:
                raise KeyFileError(f"recipient file {file}: {trouble.message}") from trouble
        found += keys
    return found


def load_identities(files: Sequence[Path]) -> Identities:
    """Read identity files as age-keygen writes them; raises KeyFileError.

    A message never shows a line of such a file.
    """
    found = []
    for file in files:
        lines = _read_lines(file)
        if not lines:
            raise KeyFileError(f"identity file {file}: holds no key (AGE-SECRET-KEY-1…)")
        for number, line in enumerate(lines, start=1):
            try:
                found.append(x25519.Identity.from_str(line))
            except pyrage.IdentityError:
                # the cause is left out on purpose: it might repeat the line
                raise KeyFileError(
                    f"identity file {file}: key {number} is none that this program reads; expected"
                    " AGE-SECRET-KEY-1…, without a passphrase, no plugin, no SSH key"
                ) from None
    return Identities(tuple(found), tuple(str(file) for file in files))


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """A key pair just made; ``text`` is what belongs into its identity file."""

    recipient: str
    text: str = field(repr=False)


def make_identity(now: datetime) -> NewIdentity:
    """Make a key pair at random, written down like age-keygen does."""
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    moment = now.isoformat(timespec="seconds")
    return NewIdentity(recipient, f"# created: {moment}\n# public key: {recipient}\n{identity}\n")


def write_private(path: Path, text: str) -> None:
    """Write a new file for its owner alone; raises KeyFileError, also if there is one."""
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # what is encrypted to a lost key is lost
    except FileExistsError as taken:
        raise KeyFileError(f"{path} exists already; keys are never overwritten") from taken
    except OSError as trouble:
        raise KeyFileError(f"{path}: {trouble.strerror}") from trouble


def _parse_recipient(key: str) -> x25519.Recipient:
    if not _RECIPIENT.fullmatch(key):  # not repeated: it may be a private key by mistake
        raise KeyFileError("recipient: expected a public key that begins with age1")
    try:
        return x25519.Recipient.from_str(key)
    except pyrage.RecipientError as trouble:
        raise KeyFileError(
            f"recipient {key}: {trouble}; expected an X25519 public key"
        ) from trouble


def _read_lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as trouble:
        raise KeyFileError(f"key file {file}: {trouble.strerror}") from trouble
    except UnicodeDecodeError as trouble:
        raise KeyFileError(f"key file {file}: is not text; expected lines with keys") from trouble
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
