"""What a capture writes down so that another process can go on with it (ADR 8).

The first entry tells what is captured; each entry tells kinds that are finished, and the segments
of the archive that became durable with them. Kinds are finished strictly in their order, so
what is left to do is the rest of the list. The journal belongs into a private place: it names
kinds, which an encrypted archive does not.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from backup_engine.archive.manifest import ENCODER, ListEntry, Model, Origin, PartEntry, Skipped
from backup_engine.archive.segments import Flushed, ResumableWriter, Segment
from backup_engine.capture.discovery import Kind

logger = logging.getLogger(__name__)


class CaptureJournal(Protocol):
    """The journal of one capture, in a place that survives the process."""

    async def read(self) -> list[str]:
        """Return all entries in their order."""

    async def append(self, sequence: int, entry: str) -> None:
        """Write entry ``sequence``, counted from 0, so that it is durable."""

    async def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` entries."""


class Chosen(Model, frozen=True, kw_only=True):
    """What is captured: fixed once, so that a capture is one thing however often it is resumed.

    ``fingerprint`` stands for all that must not change meanwhile, such as scope and recipients.
    """

    fingerprint: str
    kinds: tuple[Kind, ...]
    skipped: tuple[Skipped, ...]
    namespaces: tuple[str, ...] | None


class FinishedKind(Model, frozen=True, kw_only=True):
    """One kind that was listed to its end and is in the archive; ``defined``: kinds it defines."""

    kind: Kind
    lists: tuple[ListEntry, ...]
    skipped: tuple[Skipped, ...]
    parts: tuple[PartEntry, ...]
    defined: tuple[str, ...]

    @property
    def objects(self) -> int:
        """Objects of this kind in the archive."""
        return sum(entry.objects for entry in self.lists)


class Entry(Model, frozen=True, kw_only=True):
    """One entry; ``chosen`` is in the first one alone."""

    chosen: Chosen | None
    segments: tuple[Segment, ...]
    finished: tuple[FinishedKind, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What a journal tells of the processes before this one; no ``chosen``: nothing."""

    chosen: Chosen | None = None
    length: int = 0
    segments: tuple[Segment, ...] = ()
    finished: tuple[FinishedKind, ...] = field(default=())

    @property
    def size_bytes(self) -> int:
        """Size of the archive so far."""
        return sum(segment.size_bytes for segment in self.segments)


def build_fingerprint(origin: Origin, told: Iterable[Model], recipients: Sequence[str]) -> str:
    """Build a digest of what must be the same for a capture to be gone on with."""
    stored = [ENCODER.encode(one) for one in (origin, *told)]
    return hashlib.sha256(b"\n".join([*stored, ",".join(recipients).encode()])).hexdigest()


def parse_journal(entries: Iterable[str]) -> list[Entry]:
    """Read entries; one of another version ends it, for what cannot be read is done again."""
    found: list[Entry] = []
    for entry in entries:
        try:
            found.append(msgspec.json.decode(entry, type=Entry))
        except msgspec.DecodeError:
            break
    return found


def build_past(entries: Sequence[Entry], fingerprint: str) -> Past:
    """Sum a journal up; an empty past if it is of another capture."""
    if not entries or entries[0].chosen is None or entries[0].chosen.fingerprint != fingerprint:
        return Past()
    return Past(
        chosen=entries[0].chosen,
        length=len(entries),
        segments=tuple(segment for entry in entries for segment in entry.segments),
        finished=tuple(kind for entry in entries for kind in entry.finished),
    )


async def resume(
    journal: CaptureJournal, place: ResumableWriter[FinishedKind], fingerprint: str
) -> Past:
    """Find out how far others came, as far as it is still intact, and forget the rest."""
    entries = parse_journal(await journal.read())
    past = build_past(entries, fingerprint)
    if entries and past.chosen is None:
        logger.warning(
            "the capture cannot go on where it stopped: its scope, policy, recipients, cluster or"
            " program is another since; it begins anew"
        )
    intact = await place.resume(past.segments)
    length, end = 0, 0
    for entry in entries[: past.length]:
        end += len(entry.segments)
        if end > intact:
            break
        length += 1
    kept = build_past(entries[:length], fingerprint)
    if len(kept.segments) < intact:  # behind a damaged entry's first segments
        await place.resume(kept.segments)
    await journal.truncate(kept.length)
    return kept


def build_entry(chosen: Chosen | None, flushed: Flushed[FinishedKind]) -> str:
    """Encode one entry."""
    entry = Entry(chosen=chosen, segments=tuple(flushed.segments), finished=tuple(flushed.notes))
    return ENCODER.encode(entry).decode()
