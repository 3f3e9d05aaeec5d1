"""Lengths of time as manifests write them: ``90s``, ``1h30m``."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from backup_operator.resources.rules import CelRule, broken, cel_string

# Five digits keep the sum of the parts inside the 64-bit nanoseconds of CEL and Go.
DURATION_PATTERN = "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
LONGEST_DURATION = 18  # characters
DURATION_WORDS = "a length of time in hours, minutes and seconds, such as 90s or 1h30m"

_PARTS = re.compile(r"^(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,5})s)?$")


_TEXT = {
    "type": "string",
    "minLength": 2,
    "maxLength": LONGEST_DURATION,
    "pattern": DURATION_PATTERN,
}
_MATCHES = CelRule(f"self.matches({cel_string(DURATION_PATTERN)})", f"must be {DURATION_WORDS}")


def parse_duration(text: str) -> timedelta:
    """Read ``1h30m``; raises ValueError for anything but whole hours, minutes and seconds."""
    parts = _PARTS.fullmatch(text)
    if parts is None or not text:
        raise ValueError(f"expected {DURATION_WORDS}, found {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(length: timedelta) -> str:
    """Write whole seconds as ``1h30m``; fractions are dropped and nothing is ``0s``.

    Raises ValueError for a negative length.
    """
    if length < timedelta(0):
        raise ValueError(f"expected a length of time of zero or more, found {length}")
    minutes, seconds = divmod(length // timedelta(seconds=1), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _read(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise broken(DURATION_WORDS)
    try:
        return parse_duration(value)
    except ValueError as unreadable:
        raise broken(DURATION_WORDS) from unreadable


Duration = Annotated[
    timedelta,
    PlainValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_MATCHES.add_to(_TEXT)),
]
"""A timedelta in Python, Go's notation in a manifest."""


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a Duration, both included, written as in a manifest."""

    least: str
    most: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        inside = (  # text that is no duration has its own message; duration() would only fail on it
            f"!self.matches({cel_string(DURATION_PATTERN)})"
            f" || (duration(self) >= duration('{self.least}')"
            f" && duration(self) <= duration('{self.most}'))"
        )
        return CelRule(inside, f"must be {self.words}").add_to(handler(schema))

    @property
    def words(self) -> str:
        """Return the bounds in English."""
        return f"a length of time from {self.least} to {self.most}"

    def _check(self, length: timedelta) -> timedelta:
        if not parse_duration(self.least) <= length <= parse_duration(self.most):
            raise broken(self.words)
        return length
