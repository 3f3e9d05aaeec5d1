"""When nightly runs are due; pure (spec §10, §13 no. 30)."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class NightlySchedule:
    """Every day at one time of one time zone."""

    at: time = time(0, 0)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def find_due(self, now: datetime) -> datetime:
        """Return the latest moment, in UTC, at which a run was due: at or before ``now``.

        Where clocks are put forward over the time of day, the run is due as if they had not been.
        """
        now = now.astimezone(UTC)
        today = now.astimezone(self.zone).date()
        due = self._moment(today)
        return due if due <= now else self._moment(today - timedelta(days=1))

    def _moment(self, day: date) -> datetime:
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)


def parse_time_of_day(text: str) -> time:
    """Read ``HH:MM``; raises ValueError."""
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected HH:MM between 00:00 and 23:59, found {text!r}")
    return time(int(match[1]), int(match[2]))
