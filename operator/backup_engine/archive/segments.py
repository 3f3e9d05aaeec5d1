"""What a resumable writer tells of itself, and what it is asked for (ADR 8).

An archive under construction is a row of segments. A capture writes, cuts at the end of each kind
with a note of what it finished, and flushes; what a flush returns is durable, and belongs
into a journal. Another process that has the journal opens the same place with those segments, as
far as they are still what they were, and goes on behind them.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from backup_engine.archive.manifest import Count, Model

NoteT = TypeVar("NoteT")


class Segment(Model, frozen=True, kw_only=True):
    """A stretch of the archive in staging; ``path`` is empty where all lie in one file."""

    path: str
    size_bytes: Count
    sha256: str


class Flushed(NamedTuple, Generic[NoteT]):
    """Segments that became durable, and the notes of the cuts in them, both in order."""

    segments: list[Segment]
    notes: list[NoteT]


class ResumableWriter(Protocol[NoteT]):
    """A new archive being written; left without ``publish`` it stays as it is, for a successor."""

    async def __aenter__(self) -> Self:
        """Begin; raises ArchiveExistsError if the name is taken."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the place; what is durable stays."""

    async def resume(self, segments: Sequence[Segment]) -> int:
        """Take up what another wrote; how many of ``segments``, from the first, are intact.

        What lies behind those is dropped, and ``write`` goes on there.
        """

    async def write(self, content: bytes) -> None:
        """Append ``content``; raises StorageError."""

    def cut(self, note: NoteT) -> None:
        """End a segment here; ``note`` comes back when all up to here is durable."""

    async def flush(self) -> Flushed[NoteT]:
        """Make all up to the last cut durable; raises StorageError."""

    async def publish(self) -> None:
        """Make all that was written visible as one archive; raises ArchiveExistsError."""
