"""When a schedule runs, as manifests write it: five fields of cron or a macro, and a time zone."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from backup_operator.resources.rules import CelRule, broken, cel_string

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The macros of cron; ``@reboot`` has no meaning here, and ``@every`` is not cron's."""

LONGEST_CRON: Final = 200  # characters


def _field(value: str, also: str = "") -> str:
    """Build the expression of one field: values, ranges, steps, lists, and ``also`` what else."""
    item = rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?"
    item = f"({item}|{also})" if also else item
    return f"{item}(,{item})*"


_MONTHS: Final = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DAYS: Final = "(?i:sun|mon|tue|wed|thu|fri|sat)"
_WEEKDAY: Final = f"([0-7]|{_DAYS})"
_FIELDS: Final = (
    _field("[0-5]?[0-9]"),
    _field("([01]?[0-9]|2[0-3])"),
    _field("(0?[1-9]|[12][0-9]|3[01])", also="[Ll][Ww]?"),
    _field(f"(0?[1-9]|1[0-2]|{_MONTHS})"),
    _field(_WEEKDAY, also=f"{_WEEKDAY}#[1-5]|[0-7][Ll]"),
)
CRON_PATTERN: Final = f"^({'|'.join(MACROS)}|{' +'.join(_FIELDS)})$"
CRON_WORDS: Final = (
    "five fields of cron (minute, hour, day of month, month, day of week), such as '0 3 * * *', or"
    f" one of {', '.join(MACROS)}"
)
NEVER: Final = "a schedule with a day that ever comes, and ranges that ascend"

ZONE_PATTERN: Final = "^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
ZONE_WORDS: Final = "the name of a time zone as the IANA lists it, such as Europe/Berlin or UTC"


def expand(schedule: str) -> str:
    """Return the five fields of ``schedule``, which may be a macro."""
    return MACROS.get(schedule, schedule)


def _check_cron(schedule: str) -> str:
    if re.fullmatch(CRON_PATTERN, schedule) is None:
        raise broken(CRON_WORDS)
    try:
        next(CronSim(expand(schedule), datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise broken(NEVER) from None
    return schedule


def _check_zone(name: str) -> str:
    if re.fullmatch(ZONE_PATTERN, name) is None:
        raise broken(ZONE_WORDS)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise broken(ZONE_WORDS) from None
    return name


Cron = Annotated[
    str,
    Field(min_length=6, max_length=LONGEST_CRON),
    AfterValidator(_check_cron),
    CelRule(f"self.matches({cel_string(CRON_PATTERN)})", f"must be {CRON_WORDS}"),
]
"""A schedule that has a next time. Its pattern fills a screen, so only the rule has it."""

ZoneName = Annotated[
    str,
    Field(min_length=2, max_length=64),
    AfterValidator(_check_zone),
    # An unknown zone makes the function fail, and the server then says which one it does not know.
    CelRule(
        f"self.matches({cel_string(ZONE_PATTERN)}) && self != 'Local'"
        " && timestamp('2000-06-01T00:00:00Z').getFullYear(self) == 2000",
        f"must be {ZONE_WORDS}",
    ),
]
"""A time zone that this machine has the rules of."""
