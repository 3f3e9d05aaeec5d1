"""Request bodies (spec §2.5, §14 no. 14): present, JSON, of the right types; nothing converted."""

import json
from collections.abc import Mapping

from appliance.shapes import Kind
from appliance.wire import Json, Record, Refusal

_BIGGEST = 2**63


def parse_body(
    raw: bytes, parameter: str, types: Mapping[str, Kind], any_characters: frozenset[str]
) -> Record:
    """Read a body; members that ``types`` lacks are dropped, null counts as absent.

    ``any_characters``: texts whose characters the endpoint judges by a code of its own.
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
    body = {name: parsed[name] for name in types if parsed.get(name) is not None}
    for name, value in body.items():
        if not _is_fit(value, types[name], name in any_characters):
            raise _not_converted(parameter)
    return body


def _no_constant(text: str) -> Json:
    raise ValueError(text)


def _is_fit(value: Json, kind: Kind, any_characters: bool) -> bool:
    if kind is Kind.LONG:
        return type(value) is int and -_BIGGEST <= value < _BIGGEST
    if not isinstance(value, str):
        return False
    return any_characters or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


def _not_converted(parameter: str) -> Refusal:
    return Refusal(422, 11, f'Failed to transform user body parameter "{parameter}"')
