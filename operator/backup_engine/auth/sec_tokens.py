"""Authorized-service tokens from a file: ``SEC`` (spec §2.2)."""

import asyncio
import hashlib
import hmac
import logging
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup_engine.errors import EngineError

logger = logging.getLogger(__name__)

OWN_LABEL: Final = "admin"
SHORTEST_TOKEN: Final = 16
LABEL_LENGTH: Final = 255
RECHECK_S: Final = 1.0


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
    """The tokens in force: those of the file's last readable state.

    A file that turns unreadable or malformed changes nothing but the log, so that an edit gone
    wrong locks nobody out.
    """

    def __init__(self, path: Path, label: str | None = None) -> None:
        self._path = path
        self._label = label
        self._services: tuple[AuthorizedService, ...] = ()
        self._seen: tuple[int, ...] | None = None
        self._checked_at = float("-inf")

    async def load(self) -> None:
        """Read the file; raises TokenFileError."""
        self._seen, self._services = await asyncio.to_thread(self._read)

    async def find_service(self, token: str) -> AuthorizedService | None:
        """The service that ``token`` belongs to, in a time that does not tell how near it is."""
        await self._refresh()
        presented = hash_token(token)
        found: AuthorizedService | None = None
        for service in self._services:
            if hmac.compare_digest(service.token_hash, presented):
                found = service
        return found

    async def _refresh(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < RECHECK_S:
            return
        self._checked_at = now
        try:
            if await asyncio.to_thread(_fingerprint, self._path) != self._seen:
                await self.load()
                logger.info("token file %s changed and was read again", self._path)
        except TokenFileError as trouble:
            logger.error("%s; the tokens read before stay in force", trouble)  # noqa: TRY400
        except OSError as trouble:
            logger.error(  # noqa: TRY400 - an operator's slip, not a bug to trace
                "token file %s: %s; the tokens read before stay in force", self._path, trouble
            )

    def _read(self) -> tuple[tuple[int, ...], tuple[AuthorizedService, ...]]:
        try:
            seen = _fingerprint(self._path)  # taken first: a later change is then seen as one
            text = self._path.read_text(encoding="utf-8")
        except OSError as trouble:
            raise TokenFileError(f"token file {self._path}: {trouble.strerror}") from trouble
        except UnicodeDecodeError as trouble:
            raise TokenFileError(f"token file {self._path}: is not UTF-8") from trouble
        return seen, parse_token_file(text, self._path, self._label)


def _fingerprint(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size, state.st_ino


def _find_problem(token: str, label: str | None) -> str | None:
    if len(token) < SHORTEST_TOKEN:
        return f"the token is shorter than {SHORTEST_TOKEN} characters"
    if label is None:
        return "the label behind the token is missing"
    if len(label) > LABEL_LENGTH or not label.isprintable():
        return f"the label is longer than {LABEL_LENGTH} characters or not printable"
    return None
