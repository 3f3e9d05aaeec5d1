"""The times of a cron schedule in its time zone, through every change of the clocks.

A fixed time that a change leaves out runs at the first moment after the gap, one that comes twice
runs the first time, as Debian's cron has it; a wildcard in minute or hour follows real time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from backup_operator.resources.cron import expand

WINDOWS: Final = tuple(
    timedelta(hours=hours) for hours in (1, 26, 32 * 24, 400 * 24, 9 * 366 * 24, 50 * 366 * 24)
)
"""Stretches to look back for the latest time; each holds some, yet never very many of them.

The longest gap of an ordinary schedule is that of 29 February over 1900 or 2100.
"""


SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Scheduled times; every moment goes in and comes out in UTC."""

    schedule: str
    time_zone: str

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first scheduled time after ``moment``; None: there is none in fifty years."""
        return next(self._after(moment), None)

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last scheduled time later than ``after`` and not later than ``until``."""
        for window in WINDOWS:
            start = max(after, until - window)
            found = None
            for moment in self._after(start):
                if moment > until:
                    break
                found = moment
            if found is not None or start == after:
                return found
        return None

    def _after(self, moment: datetime) -> Iterator[datetime]:
        """Walk the scheduled times after ``moment``."""
        cron, zone = expand(self.schedule), ZoneInfo(self.time_zone)
        minute, hour, *_ = cron.split()
        if minute.startswith("*") or hour.startswith("*"):
            return _walk_real_time(cron, zone, moment)
        return _walk_fixed_times(cron, zone, moment)


def _walk_fixed_times(cron: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Walk the times of a schedule with fixed hours and minutes.

    Where clocks go back, the walk begins in an hour that comes twice, and the first times may lie
    in its first turn: they are over.
    """
    last = moment
    for found in CronSim(cron, moment.astimezone(zone)):
        at = found.astimezone(UTC)
        if at > last:
            last = at
            yield at


def _walk_real_time(cron: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Walk the times of a schedule with a wildcard, from one change of the clocks to the next.

    In between the local time runs evenly. CronSim itself loses its step at changes of half an hour
    (Australia/Lord_Howe).
    """
    start, offset = moment, _offset(zone, moment)
    while True:
        change = None
        for found in CronSim(cron, (start + offset).replace(tzinfo=None)):
            at = found.replace(tzinfo=UTC) - offset
            change = _find_change(zone, max(start, moment), at, offset)
            if change is not None:
                break
            yield at
            start = at
        if change is None:
            return
        start, offset = change - SECOND, _offset(zone, change)


def _find_change(
    zone: ZoneInfo, start: datetime, end: datetime, offset: timedelta
) -> datetime | None:
    """Find the first second in ``start`` < t <= ``end`` of another offset; None: it stays."""
    same = start
    while same < end:
        probe = min(same + DAY, end)
        if _offset(zone, probe) != offset:
            while probe - same > SECOND:
                middle = same + (probe - same) // 2
                middle = middle.replace(microsecond=0) if middle > same + SECOND else same + SECOND
                if _offset(zone, middle) == offset:
                    same = middle
                else:
                    probe = middle
            return probe.replace(microsecond=0)
        same = probe
    return None


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
