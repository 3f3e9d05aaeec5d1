"""``Range`` and ``Content-Range`` of lists (spec §2.10)."""

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Record = TypeVar("Record")

MAX_POSITION: Final = 2**63 - 1

_RANGE: Final = re.compile(r"items=(\d+)-(\d+)", re.ASCII)
_CONTENT_RANGE: Final = re.compile(r"items (?:(\d+)-(\d+)|\*)/(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ItemRange:
    """Positions ``first`` to ``last`` of a list, counted from zero, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"items={self.first}-{self.last}"

    @property
    def length(self) -> int:
        """How many items the range spans."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """A stretch of a list; ``total`` counts the whole filtered list, None if not told."""

    records: tuple[Record, ...]
    first: int
    total: int | None


def parse_range(header: str) -> ItemRange:
    """Read a ``Range`` header; raises ValueError, whose text holds ``items=x-y`` (spec §2.11)."""
    match = _RANGE.fullmatch(header.strip(" "))
    if match is None:
        raise ValueError(f"Range must have the form items=x-y, zero-based; found {header[:80]!r}")
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise ValueError(f"Range items=x-y is negative: {first} is greater than {last}")
    if last > MAX_POSITION:
        raise ValueError(f"Range items=x-y is beyond {MAX_POSITION}")
    return ItemRange(first, last)


def content_range(first: int, count: int, total: int) -> str:
    """Build the ``Content-Range`` of an answer with ``count`` items from ``first`` on."""
    if count == 0:
        return f"items */{total}"
    return f"items {first}-{first + count - 1}/{total}"


def parse_total(header: str | None) -> int | None:
    """Read the total of a ``Content-Range``; None when the header is absent or unreadable."""
    match = _CONTENT_RANGE.fullmatch(header.strip()) if header else None
    return int(match[3]) if match else None
