"""Request bodies (spec §2.5, §14 no. 14): present, JSON, of the right types; nothing converted."""

import json

from appliance.shapes import Kind, Member, Shape
from appliance.wire import Json, Record, Refusal

_BIGGEST = 2**63


def parse_body(
    raw: bytes,
    parameter: str,
    types: Shape,
    any_characters: frozenset[str] = frozenset(),
    keeps_null: bool = False,
) -> Record:
    """Read a body; members that ``types`` lacks are dropped, null counts as absent.

    ``any_characters``: texts whose characters the endpoint judges by a code of its own;
    ``keeps_null``: the endpoint has a code for null.
    """
    if not raw.strip():
        raise Refusal(422, 10, "Request body must be populated")
    try:
        parsed: Json = json.loads(raw.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as trouble:
        raise _not_converted(parameter) from trouble
    if parsed is None:
        raise Refusal(422, 10, "Request body must be populated")
    if not isinstance(parsed, dict):
        raise _not_converted(parameter)
    body = _known(parsed, types)
    for name, value in body.items():
        if value is not None and not _is_fit(value, types[name], name in any_characters):
            raise _not_converted(parameter)
    return {name: value for name, value in body.items() if keeps_null or value is not None}


def _known(members: Record, types: Shape) -> Record:
    return {name: _known_below(members[name], types[name]) for name in types if name in members}


def _known_below(value: Json, member: Member) -> Json:
    if isinstance(value, list) and member.element is not None:
        return [_known_below(one, member.element) for one in value]
    if isinstance(value, dict) and member.kind is Kind.OBJECT:
        return _known(value, member.members)
    return value


def _no_constant(text: str) -> Json:
    raise ValueError(text)


def _is_fit(value: Json, member: Member, any_characters: bool = False) -> bool:
    match member.kind:
        case Kind.LONG:
            return type(value) is int and -_BIGGEST <= value < _BIGGEST
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.LIST:
            element = member.element
            assert element is not None
            return isinstance(value, list) and all(_is_fit(one, element) for one in value)
        case Kind.OBJECT:
            return isinstance(value, dict) and all(
                one is None or _is_fit(one, member.members[name]) for name, one in value.items()
            )
        case Kind.TEXT | Kind.WORD:  # words are judged by the endpoint
            return isinstance(value, str) and (any_characters or _is_clean(value))


def _is_clean(text: str) -> bool:
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def _not_converted(parameter: str) -> Refusal:
    return Refusal(422, 11, f'Failed to transform user body parameter "{parameter}"')
