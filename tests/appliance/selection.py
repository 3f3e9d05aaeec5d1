"""``fields``, ``sort`` and ``Range`` (spec §2.7, §2.9, §2.10)."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from appliance.shapes import Kind, Member, Shape
from appliance.wire import Json, Record, Refusal

Projection = Callable[[Record], Record]

_RANGE = re.compile(r"items=(\d+)-(\d+)", re.ASCII)
_BIGGEST = 2**63


@dataclass(frozen=True, slots=True)
class SortKey:
    """One name of ``sort``."""

    name: str
    is_descending: bool


def parse_fields(text: str | None, shape: Shape) -> Projection:
    """Read ``fields``; None and the empty text mean all members (spec §14 no. 10)."""
    if text is None or not text.strip():
        names: Wanted = {name: None for name, member in shape.items() if member.alias_of is None}
        return lambda record: _projected(record, names)
    wanted, rest = _parse_names(text, shape)
    if rest:
        raise _unknown_field(rest)
    return lambda record: _projected(record, wanted)


Wanted = dict[str, "Wanted | None"]


def _parse_names(text: str, shape: Shape) -> tuple[Wanted, str]:
    wanted: Wanted = {}
    while True:
        match = re.match(r"[^(),]*", text)
        name = match[0].strip() if match else ""
        member = shape.get(name)
        if member is None:
            raise _unknown_field(name)
        text = text[len(match[0]) if match else 0 :]
        inner: Wanted | None = None
        if text.startswith("("):
            below = member.element if member.element is not None else member
            if below.kind is not Kind.OBJECT:
                raise _unknown_field(name + text)
            inner, text = _parse_names(text[1:], below.members)
            if not text.startswith(")"):
                raise _unknown_field(name)
            text = text[1:].lstrip()
        wanted[member.alias_of or name] = inner
        if not text.startswith(","):
            return wanted, text
        text = text[1:]


def _unknown_field(name: str) -> Refusal:
    return Refusal(422, 30, f'Specified field "{name}" is not recognized')


def _projected(record: Json, wanted: Wanted) -> Record:
    assert isinstance(record, dict)
    return {
        name: _projected_below(value, wanted[name])
        for name, value in record.items()
        if name in wanted
    }


def _projected_below(value: Json, wanted: Wanted | None) -> Json:
    if wanted is None or value is None:
        return value
    if isinstance(value, list):
        return [_projected(one, wanted) for one in value]
    return _projected(value, wanted)


def parse_sort(text: str | None, sortable: Iterable[str], shape: Shape) -> tuple[SortKey, ...]:
    """Read ``sort``; anything that is not sortable is 422/1018 (spec §3.1)."""
    if not text:
        return ()
    allowed = frozenset(sortable)
    keys = []
    for part in re.split(r"(?<!\\),", text):
        sign, name = (part[0], part[1:]) if part[:1] in {"+", "-", " "} else ("+", part)
        name = re.sub(r"\\([,()\\])", r"\1", name)
        member: Member | None = shape.get(name)
        if name not in allowed or member is None:
            message = f'Cannot sort by "{name}"'
            raise Refusal(422, 1018, message, "A field in the sort parameter is not sortable.")
        keys.append(SortKey(member.alias_of or name, sign == "-"))
    return tuple(keys)


def in_order(rows: Iterable[Record], keys: Sequence[SortKey], identity: str = "id") -> list[Record]:
    """Sort; nulls are the greatest, ties go by ascending id (spec §14 no. 12)."""
    ordered = sorted(rows, key=lambda row: _comparable(row[identity]))
    for key in reversed(keys):
        name = key.name
        ordered.sort(key=lambda row: _comparable(row[name]), reverse=key.is_descending)
    return ordered


def _comparable(value: Json) -> tuple[bool, int, str]:
    if isinstance(value, str):
        return False, 0, value
    return value is None, value if isinstance(value, int) else 0, ""


def parse_range(header: str | None) -> tuple[int, int] | None:
    """Read ``Range`` into first and last position; None if there is no such header."""
    if header is None:
        return None
    match = _RANGE.fullmatch(header)
    if match is None:
        raise Refusal(422, 36, f"Range header must have the format items=x-y, not {header!r}")
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise Refusal(422, 36, f"Range items=x-y must not be negative: {first} > {last}")
    if last >= _BIGGEST:
        raise Refusal(422, 36, f"Range items=x-y goes beyond {_BIGGEST - 1}")
    return first, last


def cut(rows: list[Record], window: tuple[int, int] | None) -> tuple[list[Record], str]:
    """Cut the window out; the second item is the Content-Range (spec §2.10)."""
    first, last = window or (0, max(len(rows) - 1, 0))
    kept = rows[first : last + 1]
    if not kept:
        return [], f"items */{len(rows)}"
    return kept, f"items {first}-{first + len(kept) - 1}/{len(rows)}"
