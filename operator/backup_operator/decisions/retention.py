"""Which Backups of a schedule are expired: grandfather, father, son (architecture §2.5)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from zoneinfo import ZoneInfo

from backup_operator.decisions.schedule_facts import ScheduledBackup, Standing
from backup_operator.resources.schedule import Retention

Period = Callable[[datetime], object]


def find_expired(
    backups: Iterable[ScheduledBackup], retention: Retention, time_zone: str, now: datetime
) -> tuple[ScheduledBackup, ...]:
    """Find the Backups that no rule keeps, oldest first.

    The newest good one is never among them, nor one that is not finished. What is doubtful goes by
    age alone, and only if a newer good one exists: an archive store that is away for an hour
    makes every Backup look lost. Hours, days, weeks, months and years are those of the time zone.
    """
    staying = [one for one in backups if not one.is_leaving]
    newest_first = sorted(staying, key=attrgetter("age_key"), reverse=True)
    good = [one for one in newest_first if one.standing is Standing.GOOD]
    failed = [one for one in newest_first if one.standing is Standing.FAILED]
    doubtful = [one for one in newest_first if one.standing is Standing.DOUBTFUL]
    expired = []
    if retention.counts_good:
        kept = _keep_by_count(good, retention, ZoneInfo(time_zone))
        expired += [one for one in good if one.uid not in kept]
    if retention.keep_failed is not None:
        expired += failed[retention.keep_failed :]
    if retention.max_age is not None:
        oldest = now - retention.max_age
        old = [one for one in good[1:] + failed if one.at < oldest]
        if good:
            old += [one for one in doubtful if one.at < min(oldest, good[0].at)]
        expired += old
    unique = {one.uid: one for one in expired}
    return tuple(sorted(unique.values(), key=attrgetter("age_key")))


def find_next_expiry(
    backups: Iterable[ScheduledBackup], retention: Retention, now: datetime
) -> datetime | None:
    """Return when the next Backup may come of age; None: never by itself."""
    if retention.max_age is None:
        return None
    ages = [one.at + retention.max_age for one in backups if one.standing is not Standing.ACTIVE]
    return min((at for at in ages if at > now), default=None)


def _keep_by_count(
    good: Sequence[ScheduledBackup], retention: Retention, zone: ZoneInfo
) -> set[str]:
    """Return the uids that a count keeps; ``good`` has the newest first, which is always kept."""
    kept = {one.uid for one in good[: max(1, retention.keep_last or 0)]}
    for count, period in (
        (retention.keep_hourly, _hour),
        (retention.keep_daily, _day),
        (retention.keep_weekly, _week),
        (retention.keep_monthly, _month),
        (retention.keep_yearly, _year),
    ):
        seen: set[object] = set()
        for one in good:
            of = period(one.at.astimezone(zone))
            if of not in seen and len(seen) < (count or 0):
                seen.add(of)
                kept.add(one.uid)
    return kept


def _hour(local: datetime) -> object:
    # The offset tells apart the two hours of one name when clocks go back.
    return local.date(), local.hour, local.utcoffset()


def _day(local: datetime) -> object:
    return local.date()


def _week(local: datetime) -> object:
    return local.isocalendar()[:2]


def _month(local: datetime) -> object:
    return local.year, local.month


def _year(local: datetime) -> object:
    return local.year
