"""What a snapshot holds, as kopia tells it: its root, and its directories one by one. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.volumes.snapshots import decode_answer

DIRECTORY: Final = "d"


class _Summary(msgspec.Struct, frozen=True):
    size: int = 0
    files: int = 0
    symlinks: int = 0


class _Entry(msgspec.Struct, frozen=True):
    name: str = ""
    type: str = ""
    size: int = 0
    obj: str = ""
    mtime: str = ""
    summ: _Summary | None = None


class _Root(msgspec.Struct, frozen=True, rename="camel"):
    root_entry: _Entry


class _Directory(msgspec.Struct, frozen=True):
    entries: tuple[_Entry, ...] | None = None


@dataclass(frozen=True, slots=True)
class ContentEntry:
    """One file, directory or link of a snapshot; of a directory all that is below it counts.

    ``object_id`` is what kopia shows its content by. ``modified`` is RFC 3339.
    """

    name: str
    is_directory: bool
    size_bytes: int
    files: int
    object_id: str
    modified: str = ""


def parse_root(text: bytes) -> ContentEntry:
    """Read what ``kopia manifest show`` prints of a snapshot; raises VolumeError."""
    told = text.decode(errors="replace")
    lines = [line for line in told.splitlines() if not line.startswith("//")]  # its labels
    return _build(decode_answer("\n".join(lines).encode(), _Root).root_entry)


def parse_directory(text: bytes) -> Mapping[str, ContentEntry]:
    """Read what ``kopia show`` prints of a directory, by name; raises VolumeError."""
    return {each.name: _build(each) for each in decode_answer(text, _Directory).entries or ()}


def add_up(entries: Iterable[ContentEntry]) -> tuple[int, int]:
    """Return the files and the bytes of all of them."""
    listed = tuple(entries)
    return sum(each.files for each in listed), sum(each.size_bytes for each in listed)


def _build(entry: _Entry) -> ContentEntry:
    summary = entry.summ
    if entry.type == DIRECTORY and summary is not None:
        return ContentEntry(
            name=entry.name,
            is_directory=True,
            size_bytes=summary.size,
            files=summary.files + summary.symlinks,
            object_id=entry.obj,
            modified=entry.mtime,
        )
    is_directory = entry.type == DIRECTORY
    files = 0 if is_directory else 1
    return ContentEntry(entry.name, is_directory, entry.size, files, entry.obj, entry.mtime)
