"""A file with credentials that is read again when it changes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from backup_engine.errors import EngineError

logger = logging.getLogger(__name__)

RECHECK_S: Final = 1.0

Content = TypeVar("Content")


class WatchedFile(Generic[Content]):
    """The content in force: that of the file's last readable state.

    A file that turns unreadable or malformed changes nothing but the log, so that an edit gone
    wrong locks nobody out. ``parse`` raises ``error`` for text it does not take.
    """

    def __init__(
        self,
        path: Path,
        what: str,
        parse: Callable[[str], Content],
        error: type[EngineError],
        empty: Content,
    ) -> None:
        self._path = path
        self._what = what
        self._parse = parse
        self._error = error
        self._content = empty
        self._seen: tuple[int, ...] | None = None
        self._checked_at = float("-inf")

    async def load(self) -> None:
        """Read the file; raises the error it was given."""
        self._seen, self._content = await asyncio.to_thread(self._read)

    async def get(self) -> Content:
        """Get the content in force, at most a second old."""
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < RECHECK_S:
            return self._content
        self._checked_at = now
        try:
            if await asyncio.to_thread(_fingerprint, self._path) != self._seen:
                await self.load()
                logger.info("%s %s changed and was read again", self._what, self._path)
        except self._error as trouble:
            logger.error("%s; what was read before stays in force", trouble)  # noqa: TRY400
        except OSError as trouble:
            logger.error(  # noqa: TRY400 - an operator's slip, not a bug to trace
                "%s %s: %s; what was read before stays in force", self._what, self._path, trouble
            )
        return self._content

    def _read(self) -> tuple[tuple[int, ...], Content]:
        try:
            seen = _fingerprint(self._path)  # taken first: a later change is then seen as one
            text = self._path.read_text(encoding="utf-8")
        except OSError as trouble:
            raise self._error(f"{self._what} {self._path}: {trouble.strerror}") from trouble
        except UnicodeDecodeError as trouble:
            raise self._error(f"{self._what} {self._path}: is not UTF-8") from trouble
        return seen, self._parse(text)


def _fingerprint(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size, state.st_ino
