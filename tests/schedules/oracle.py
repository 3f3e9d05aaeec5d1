"""The times of simple cron schedules, found by trying every minute: slow, and plainly right."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Cron:
    """Minutes and hours (None: every one) and days of the week (0 is Sunday; None: every one)."""

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    weekdays: frozenset[int] | None = None

    def __str__(self) -> str:
        return " ".join((_write(self.minutes), _write(self.hours), "*", "*", _write(self.weekdays)))

    @property
    def has_fixed_times(self) -> bool:
        return self.minutes is not None and self.hours is not None

    def matches(self, local: datetime) -> bool:
        return (
            (self.minutes is None or local.minute in self.minutes)
            and (self.hours is None or local.hour in self.hours)
            and self.is_on(local.date())
        )

    def is_on(self, day: date) -> bool:
        return self.weekdays is None or day.isoweekday() % 7 in self.weekdays


def _write(values: frozenset[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, sorted(values)))


def find_times(cron: Cron, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """All times in ``start`` < t <= ``end``, in UTC."""
    found = (
        _fixed(cron, zone, start, end) if cron.has_fixed_times else _real(cron, zone, start, end)
    )
    return sorted(at for at in found if start < at <= end)


def _real(cron: Cron, zone: ZoneInfo, start: datetime, end: datetime) -> set[datetime]:
    count = int((end - start) / MINUTE) + 1
    minutes = (start.replace(second=0, microsecond=0) + MINUTE * index for index in range(count))
    return {at for at in minutes if cron.matches(at.astimezone(zone))}


def _fixed(cron: Cron, zone: ZoneInfo, start: datetime, end: datetime) -> set[datetime]:
    found = set()
    day = start.astimezone(zone).date() - timedelta(days=2)
    while day <= end.astimezone(zone).date() + timedelta(days=1):
        if cron.is_on(day):
            for hour in cron.hours or ():
                for minute in cron.minutes or ():
                    found.add(_moment(datetime.combine(day, time(hour, minute)), zone))
        day += timedelta(days=1)
    return found


def _moment(naive: datetime, zone: ZoneInfo) -> datetime:
    """The first turn of a time that comes twice; the end of the gap for one that never comes."""
    while True:
        at = naive.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == naive:
            return at
        naive += MINUTE
