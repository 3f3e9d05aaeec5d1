"""Authorized-service tokens from a file: ``SEC`` (spec §2.2)."""

import hashlib
import hmac
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup_engine.auth.watched_file import WatchedFile
from backup_engine.errors import EngineError

OWN_LABEL: Final = "admin"
SHORTEST_TOKEN: Final = 16
LABEL_LENGTH: Final = 255


class TokenFileError(EngineError):
    """A token file that cannot be read or understood; the text never shows a token."""


@dataclass(frozen=True, slots=True)
class AuthorizedService:
    """One line of the file; the token itself is forgotten as soon as it is hashed."""

    label: str
    token_hash: bytes


def parse_token_file(text: str, path: Path, label: str | None) -> tuple[AuthorizedService, ...]:
    """Read ``token label`` lines, blank ones and ``#`` comments aside; raises TokenFileError.

    ``label`` names the tokens of lines without one; None: such a line is an error.
    """
    services: dict[bytes, AuthorizedService] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(maxsplit=1)
        if not words or line.lstrip().startswith("#"):
            continue
        name = words[1].strip() if len(words) > 1 else label
        problem = _find_problem(words[0], name)
        if problem is not None or name is None:
            raise TokenFileError(f"token file {path}, line {number}: {problem}")
        service = AuthorizedService(name, hash_token(words[0]))
        if service.token_hash in services:
            raise TokenFileError(f"token file {path}, line {number}: the token stands there twice")
        services[service.token_hash] = service
    if not services:
        raise TokenFileError(f"token file {path}: holds no token; expected lines 'token label'")
    return tuple(services.values())


def hash_token(token: str) -> bytes:
    """Hash a token. Tokens are random, so a fast hash without salt is as good as a slow one."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def ensure_token(path: Path) -> None:
    """Make a token in a file that only its owner can read, unless the file is there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists():
            return
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_text(f"{uuid.uuid4()}\n")
        partial.rename(path)  # whole or not at all, so a crash leaves no empty token file
    except OSError as trouble:
        raise TokenFileError(f"token file {path}: {trouble.strerror}") from trouble


class TokenFile:
    """The tokens in force; a file that turns malformed changes nothing but the log."""

    def __init__(self, path: Path, label: str | None = None) -> None:
        self._file: WatchedFile[tuple[AuthorizedService, ...]] = WatchedFile(
            path,
            "token file",
            lambda text: parse_token_file(text, path, label),
            TokenFileError,
            empty=(),
        )

    async def load(self) -> None:
        """Read the file; raises TokenFileError."""
        await self._file.load()

    async def find_service(self, token: str) -> AuthorizedService | None:
        """The service that ``token`` belongs to, in a time that does not tell how near it is."""
        presented = hash_token(token)
        found: AuthorizedService | None = None
        for service in await self._file.get():
            if hmac.compare_digest(service.token_hash, presented):
                found = service
        return found


def _find_problem(token: str, label: str | None) -> str | None:
    if len(token) < SHORTEST_TOKEN:
        return f"the token is shorter than {SHORTEST_TOKEN} characters"
    if label is None:
        return "the label behind the token is missing"
    if len(label) > LABEL_LENGTH or not label.isprintable():
        return f"the label is longer than {LABEL_LENGTH} characters or not printable"
    return None
