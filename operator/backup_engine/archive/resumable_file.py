"""An archive under construction as one file that a later process can go on with (ADR 8).

Its name is fixed, ``.<archive>.capture``, and it is locked while somebody writes it. Segments are
stretches of it, checked by their digests before they are relied on.
"""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from backup_engine.archive.errors import StorageError
from backup_engine.archive.segments import Flushed, NoteT, Segment
from backup_engine.archive.staging import FILE_MODE, StagedFile, explain_os_error

CAPTURE_SUFFIX: Final = ".capture"
READ_BYTES: Final = 1024 * 1024

T = TypeVar("T")


def build_capture_path(directory: Path, name: str) -> Path:
    """Return where the archive ``name`` lies while it is captured."""
    return directory / f".{name}{CAPTURE_SUFFIX}"


def discard_capture(directory: Path, name: str) -> None:
    """Remove what a capture left behind; one that left nothing is as good as removed."""
    build_capture_path(directory, name).unlink(missing_ok=True)


class _CaptureFile(StagedFile):
    """The blocking half: opens what is there, checks it, and can be let go of."""

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__(directory, name, build_capture_path(directory, name))

    def _create(self) -> int:
        descriptor = os.open(self._staged, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(descriptor)
            raise StorageError(
                "StorageBusy", f"{self._staged}: another process writes this archive"
            ) from held
        return descriptor

    def check(self, segments: Sequence[Segment]) -> int:
        """Count the intact segments from the first on, and cut the file off behind them."""
        with self._turn:
            self._ensure_wanted()
            intact = end = 0
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            for segment in segments:
                if self._digest(segment.size_bytes) != segment.sha256:
                    break
                intact += 1
                end += segment.size_bytes
            os.ftruncate(self._descriptor, end)
            os.lseek(self._descriptor, end, os.SEEK_SET)
            return intact

    def sync(self) -> None:
        """Make what was written durable, while others write on, or let go."""
        with self._turn:
            self._ensure_wanted()
            descriptor = os.dup(self._descriptor)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def let_go(self) -> None:
        """Close without removing; may run twice."""
        with self._turn:
            self._is_over = True
            if self._descriptor >= 0:
                # a sync that still runs has a copy of the descriptor, and with it of the lock
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                os.close(self._descriptor)
                self._descriptor = -1

    def _digest(self, size: int) -> str:
        digest = hashlib.sha256()
        while size and (content := os.read(self._descriptor, min(size, READ_BYTES))):
            digest.update(content)
            size -= len(content)
        return digest.hexdigest() if not size else ""


class ResumableFile(Generic[NoteT]):
    """The writer for a directory; every call into the file system runs in a thread."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._file = _CaptureFile(directory, name)
        self._digest = hashlib.sha256()
        self._size = 0
        self._cut: Flushed[NoteT] = Flushed([], [])

    async def __aenter__(self) -> Self:
        try:
            await self._blocking(self._file.open)
        except asyncio.CancelledError:
            await self._let_go()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._let_go()

    async def resume(self, segments: Sequence[Segment]) -> int:
        """Take up what another wrote; how many of ``segments``, from the first, are intact."""
        return await self._blocking(lambda: self._file.check(segments))

    async def write(self, content: bytes) -> None:
        """Append ``content``; raises StorageError."""

        def write() -> None:
            self._file.write(content)
            self._digest.update(content)
            self._size += len(content)

        await self._blocking(write)

    def cut(self, note: NoteT) -> None:
        """End a segment here; ``note`` comes back when all up to here is durable."""
        if self._size:
            segment = Segment(path="", size_bytes=self._size, sha256=self._digest.hexdigest())
            self._cut.segments.append(segment)
            self._digest, self._size = hashlib.sha256(), 0
        self._cut.notes.append(note)

    async def flush(self) -> Flushed[NoteT]:
        """Make all up to the last cut durable; raises StorageError."""
        flushed, self._cut = self._cut, Flushed([], [])
        await self._blocking(self._file.sync)
        return flushed

    async def publish(self) -> None:
        """Make all that was written visible as one archive; raises ArchiveExistsError."""
        await self._blocking(self._file.publish)

    async def _let_go(self) -> None:
        # shielded: a second cancellation must not leave the file locked
        await asyncio.shield(asyncio.to_thread(self._file.let_go))

    async def _blocking(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except OSError as trouble:
            raise explain_os_error(trouble, self._directory) from trouble
