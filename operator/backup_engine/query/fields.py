"""Reading ``fields`` and cutting objects down to it (spec §2.7 with the rulings of §14 no. 10)."""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from backup_engine.query.errors import FieldsError
from backup_engine.query.shapes import JsonValue, Listing, Members, Shape

Selection: TypeAlias = Mapping[str, "Selection | None"]
"""Members to keep; None keeps the whole member."""

_Growing: TypeAlias = "dict[str, _Growing | None]"

NESTING_LIMIT: Final = 50

_TOKEN: Final = re.compile(r"[(),]|[^(),]+")


def parse_fields(text: str, members: Members) -> Selection | None:
    """Read ``a,b(c,d)``; None, for an empty text, keeps everything. Raises FieldsError."""
    if not text.strip(" "):
        return None
    tokens = [token.strip(" ") for token in _TOKEN.findall(text)]
    reader = _Reader([token for token in tokens if token])
    selection = reader.read(members, depth=0)
    if reader.next() is not None:
        raise FieldsError(text[:80], ": a bracket closes that was never opened")
    return selection


def select(
    element: Mapping[str, JsonValue], selection: Selection | None
) -> Mapping[str, JsonValue]:
    """Keep what ``selection`` names, in the object's own order."""
    if selection is None:
        return element
    return {
        name: _select_inside(value, selection[name])
        for name, value in element.items()
        if name in selection
    }


def _select_inside(value: JsonValue, selection: Selection | None) -> JsonValue:
    if selection is None or value is None:
        return value
    if isinstance(value, list | tuple):
        return [select(each, selection) for each in value]
    return select(value, selection)


class _Reader:
    """Reads the tokens of one ``fields`` from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def next(self) -> str | None:
        """The token at hand; None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def read(self, members: Members, depth: int) -> _Growing:
        """Read a comma-separated list up to its end or closing bracket."""
        selection: _Growing = {}
        while True:
            self._read_name(members, selection, depth)
            if self.next() != ",":
                return selection
            self._at += 1

    def _read_name(self, members: Members, selection: _Growing, depth: int) -> None:
        name = self.next()
        own_name = members.find_name(name) if name is not None else None
        if name is None or own_name is None:
            raise FieldsError((name or "")[:80], "" if name else ": a name is missing")
        self._at += 1
        if self.next() != "(":
            selection[own_name] = None
            return
        inner = _element_members(members.shapes[own_name])
        if inner is None or depth >= NESTING_LIMIT:
            raise FieldsError(name[:80], ": it has no members of its own")
        self._at += 1
        chosen = self.read(inner, depth + 1)
        if self.next() != ")":
            raise FieldsError(name[:80], ": its bracket is not closed")
        self._at += 1
        if own_name not in selection:
            selection[own_name] = chosen
        elif (earlier := selection[own_name]) is not None:  # the whole of it stays the whole
            earlier.update(chosen)


def _element_members(shape: Shape) -> Members | None:
    inner = shape.element if isinstance(shape, Listing) else shape
    return inner if isinstance(inner, Members) else None
