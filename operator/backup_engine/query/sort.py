"""Reading ``sort`` (spec §2.9 with the rulings of §14 no. 12)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from backup_engine.query.errors import SortError
from backup_engine.query.shapes import Members

_SIGNS: Final = "+- "  # an unencoded "+" arrives as a space


@dataclass(frozen=True, slots=True)
class SortKey:
    """One member to sort by."""

    name: str
    is_descending: bool


def parse_sort(text: str, members: Members, sortable: Collection[str]) -> tuple[SortKey, ...]:
    """Read ``[+|-]name{,[+|-]name}``; empty sorts by nothing.

    Raises SortError for a name outside of ``sortable``. A name given twice counts once, the first
    time, for the second could decide nothing.
    """
    if not text.strip(" "):
        return ()
    keys: dict[str, SortKey] = {}
    for entry in _split(text):
        sign, name = (entry[0], entry[1:]) if entry[:1] in set(_SIGNS) else ("+", entry)
        name = name.strip(" ")
        own_name = members.find_name(name) if name in sortable else None
        if own_name is None:
            expected = ", ".join(sorted(sortable))
            raise SortError(f"cannot sort by {name[:80]!r}; sortable are {expected}")
        keys.setdefault(own_name, SortKey(own_name, sign == "-"))
    return tuple(keys.values())


def _split(text: str) -> list[str]:
    """Cut at the commas, but not at escaped ones; a backslash takes the next one literally."""
    entries = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            entries[-1] += next(characters, "")
        elif character == ",":
            entries.append("")
        else:
            entries[-1] += character
    return entries
