"""Long stretches of time as manifests write them: ``30d`` or ``12h``, and whole days."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from backup_operator.resources.rules import CelRule, broken, cel_string

AGE_PATTERN: Final = "^[1-9][0-9]{0,4}[dh]$"
AGE_WORDS: Final = "a number of days or hours, such as 30d or 12h"
DAYS_PATTERN: Final = "^[1-9][0-9]{0,4}d$"
DAYS_WORDS: Final = "a number of whole days, such as 7d"
LONGEST: Final = 6  # characters

_HOURS_A_DAY: Final = 24


def format_age(length: timedelta) -> str:
    """Write whole days as ``30d`` and anything else as whole hours, ``12h``."""
    hours = length // timedelta(hours=1)
    return f"{hours // _HOURS_A_DAY}d" if hours % _HOURS_A_DAY == 0 else f"{hours}h"


def _read(value: object, pattern: str, words: str) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        raise broken(words)
    count = int(value[:-1])
    return timedelta(days=count) if value.endswith("d") else timedelta(hours=count)


def _schema(pattern: str, words: str) -> WithJsonSchema:
    rule = CelRule(f"self.matches({cel_string(pattern)})", f"must be {words}")
    text = {"type": "string", "minLength": 2, "maxLength": LONGEST, "pattern": pattern}
    return WithJsonSchema(rule.add_to(text))


Age = Annotated[
    timedelta,
    PlainValidator(lambda value: _read(value, AGE_PATTERN, AGE_WORDS)),
    PlainSerializer(format_age, return_type=str),
    _schema(AGE_PATTERN, AGE_WORDS),
]
"""How old something may become: a timedelta in Python, ``30d`` or ``12h`` in a manifest."""

Days = Annotated[
    timedelta,
    PlainValidator(lambda value: _read(value, DAYS_PATTERN, DAYS_WORDS)),
    PlainSerializer(format_age, return_type=str),
    _schema(DAYS_PATTERN, DAYS_WORDS),
]
"""Whole days: a timedelta in Python, ``7d`` in a manifest."""
