"""Converting parameters and bodies, each misfit to its code (spec §2.11, §14)."""

import json
import re
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError

from backup_api.errors import EndpointErrors, FrameworkErrors
from backup_api.paging import MAX_POSITION as LONGEST
from backup_api.paging import ItemRange, parse_range
from backup_api.wire import WireRequest
from backup_engine.errors import RefusalError
from backup_engine.query.binding import Bound, bind_filter
from backup_engine.query.errors import FieldsError, FilterError, SortError
from backup_engine.query.fields import Selection, parse_fields
from backup_engine.query.filter import parse_filter
from backup_engine.query.shapes import Members
from backup_engine.query.sort import SortKey, parse_sort

Choice = TypeVar("Choice", bound=StrEnum)
Body = TypeVar("Body", bound=WireRequest)

FILTERS_REMEMBERED: Final = 256
LONGEST_REMEMBERED: Final = 1000

_INTEGER: Final = re.compile(r"-?\d{1,40}", re.ASCII)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


def convert_fields(text: str | None, members: Members) -> Selection | None:
    """Read ``fields``; None keeps everything. Raises RefusalError 30."""
    try:
        return parse_fields(text or "", members)
    except FieldsError as trouble:
        raise RefusalError(FrameworkErrors.UNKNOWN_FIELD, str(trouble)) from trouble


def convert_range(header: str | None) -> ItemRange | None:
    """Read ``Range``; None is the whole list. Raises RefusalError 36."""
    if header is None:
        return None
    try:
        return parse_range(header)
    except ValueError as trouble:
        raise RefusalError(FrameworkErrors.WRONG_RANGE, str(trouble)) from trouble


def convert_sort(
    text: str | None, members: Members, sortable: Collection[str], row: EndpointErrors
) -> tuple[SortKey, ...]:
    """Read ``sort``; raises RefusalError with ``row``."""
    try:
        return parse_sort(text or "", members, sortable)
    except SortError as trouble:
        raise RefusalError(row, str(trouble)) from trouble


def convert_filter(text: str | None, members: Members) -> Bound | None:
    """Read ``filter``; None, for a blank one, keeps everything. Raises RefusalError 11."""
    if text is None or not text.strip():
        return None
    try:
        if len(text) > LONGEST_REMEMBERED:
            return bind_filter(parse_filter(text), members)
        return _read_filter(text, members)
    except FilterError as trouble:
        message = f'Failed to transform user query parameter "filter": {trouble}'
        raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message) from trouble


@lru_cache(maxsize=FILTERS_REMEMBERED)
def _read_filter(text: str, members: Members) -> Bound:
    """Read a filter; clients that poll ask with the same few again and again."""
    return bind_filter(parse_filter(text), members)


def convert_choice(value: str | None, name: str, choices: type[Choice]) -> Choice:
    """Read a required header whose words are ``choices``; raises RefusalError 8 or 11."""
    if value is None:
        message = f'Missing required parameter "{name}" from header parameters'
        raise RefusalError(FrameworkErrors.MISSING_PARAMETER, message)
    try:
        return choices(value)
    except ValueError as trouble:
        expected = " or ".join(choice.value for choice in choices)
        message = f'Failed to transform user header parameter "{name}": expected {expected}'
        raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message) from trouble


def convert_id(text: str, unknown: EndpointErrors, not_positive: EndpointErrors) -> int:
    """Read an id in a path; no integer of 64 bits is ``unknown`` (spec §14 no. 13)."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not -LONGEST - 1 <= number <= LONGEST:
        raise RefusalError(unknown, f"{text[:40]!r} is no id")
    if number <= 0:
        raise RefusalError(not_positive, f"{number} is no id; ids begin with 1")
    return number


def convert_body(
    content: bytes, model: type[Body], parameter: str, *, is_exact: bool = False
) -> Body:
    """Read a body; raises RefusalError 10 if there is none, 11 if it does not fit ``model``.

    ``parameter`` is what the messages call it (spec §13 no. 26). NUL and lone surrogates pass in
    ``name`` only, which has a code of its own for them (spec §14 no. 14). ``is_exact``: unknown
    members, which the appliance's own requests may have (spec §2.5), do not fit either.
    """
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=_refuse) if content else None
    except (ValueError, RecursionError) as trouble:
        raise _unfit(parameter, f"it is not JSON: {trouble}") from trouble
    if parsed is None:
        raise RefusalError(FrameworkErrors.MISSING_BODY, "Request body must be populated")
    if not isinstance(parsed, dict):
        raise _unfit(parameter, "expected an object")
    known = parsed if is_exact else model.model_fields
    members = {name: parsed[name] for name in known if name in parsed}
    try:  # as JSON, for in Python's own objects strictness would ask for tuples and models
        checked = {name: _checked(parameter, name, value) for name, value in members.items()}
        extra: Literal["forbid"] | None = "forbid" if is_exact else None
        return model.model_validate_json(json.dumps(checked), extra=extra)
    except RecursionError as trouble:
        raise _unfit(parameter, "it nests too deeply") from trouble
    except ValidationError as trouble:
        first = trouble.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _unfit(parameter, f"{where}: {first['msg']}") from trouble


def _checked(parameter: str, name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and ("\0" in value or _SURROGATE.search(value)):
        if name != "name":
            raise _unfit(parameter, f"{name}: NUL and lone surrogates are not allowed")
        return _SURROGATE.sub(_REPLACEMENT, value)  # just as wrong a character for a name
    if isinstance(value, list):
        return [_checked(parameter, name, each) for each in value]
    if isinstance(value, dict):
        return {key: _checked(parameter, f"{name}: {key}", each) for key, each in value.items()}
    if type(value) is int and not -LONGEST - 1 <= value <= LONGEST:
        raise _unfit(parameter, f"{name}: the number is beyond 64 bits")
    return value


def _unfit(parameter: str, problem: str) -> RefusalError:
    message = f'Failed to transform user body parameter "{parameter}": {problem}'
    return RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
