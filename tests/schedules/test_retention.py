"""What a retention keeps: by rules over any set of Backups, and by a worked example."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from backup_operator.decisions.retention import find_expired, find_next_expiry
from backup_operator.decisions.schedule_facts import ScheduledBackup, Standing
from backup_operator.resources.schedule import Retention
from schedules.facts import DAY, HOUR, NOON, a_backup

counts = st.none() | st.integers(1, 5)
retentions = st.builds(
    Retention,
    keep_last=counts,
    keep_hourly=counts,
    keep_daily=counts,
    keep_weekly=counts,
    keep_monthly=counts,
    keep_yearly=counts,
    max_age=st.none() | st.integers(1, 2000).map(lambda hours: timedelta(hours=hours)),
    keep_failed=st.none() | st.integers(0, 3),
)
sets_of_backups = st.lists(
    st.tuples(st.integers(0, 3000), st.sampled_from(Standing), st.booleans()), max_size=40
).map(
    lambda rows: [
        a_backup(f"b{index}", NOON - hours * HOUR, standing, is_leaving=leaving)
        for index, (hours, standing, leaving) in enumerate(rows)
    ]
)
ZONE = "Europe/Berlin"


def names(backups: tuple[ScheduledBackup, ...]) -> list[str]:
    return [one.name for one in backups]


@given(sets_of_backups, retentions)
def test_the_newest_good_one_and_whatever_runs_are_never_expired(
    backups: list[ScheduledBackup], retention: Retention
) -> None:
    expired = find_expired(backups, retention, ZONE, NOON)
    good = [one for one in backups if one.standing is Standing.GOOD and not one.is_leaving]

    if good:
        assert max(good, key=lambda one: (one.at, one.name)) not in expired
    assert not [one for one in expired if one.standing is Standing.ACTIVE or one.is_leaving]


@given(sets_of_backups, retentions)
def test_expiring_settles_at_once(backups: list[ScheduledBackup], retention: Retention) -> None:
    """Also when they go one by one: what is kept stays kept, whatever has gone already."""
    expired = find_expired(backups, retention, ZONE, NOON)
    for gone in expired:
        backups = [one for one in backups if one.uid != gone.uid]
        remaining = find_expired(backups, retention, ZONE, NOON)
        assert set(remaining) <= set(expired)
    assert find_expired(backups, retention, ZONE, NOON) == ()


@given(sets_of_backups)
def test_an_empty_retention_keeps_everything(backups: list[ScheduledBackup]) -> None:
    assert find_expired(backups, Retention(), ZONE, NOON) == ()


@given(sets_of_backups, st.integers(1, 5), st.sampled_from(("hourly", "daily", "monthly")))
def test_a_period_keeps_the_newest_of_each(
    backups: list[ScheduledBackup], count: int, period: str
) -> None:
    retention = Retention.model_validate({f"keep_{period}": count})
    expired = find_expired(backups, retention, ZONE, NOON)
    kept = [
        one
        for one in backups
        if one.standing is Standing.GOOD and not one.is_leaving and one not in expired
    ]
    form = {"hourly": "%Y%m%d%H%z", "daily": "%Y%m%d", "monthly": "%Y%m"}[period]
    periods = [one.at.astimezone(ZoneInfo(ZONE)).strftime(form) for one in kept]

    assert len(set(periods)) == len(periods) <= count
    good = [one for one in backups if one.standing is Standing.GOOD and not one.is_leaving]
    all_periods = {one.at.astimezone(ZoneInfo(ZONE)).strftime(form) for one in good}
    assert len(periods) == min(count, len(all_periods))


@given(sets_of_backups, retentions)
def test_nothing_doubtful_goes_unless_something_newer_is_good(
    backups: list[ScheduledBackup], retention: Retention
) -> None:
    """An archive store that is away for an hour makes every Backup look lost."""
    expired = find_expired(backups, retention, ZONE, NOON)
    newest_good = max(
        (one.at for one in backups if one.standing is Standing.GOOD and not one.is_leaving),
        default=None,
    )
    for one in expired:
        if one.standing is Standing.DOUBTFUL:
            assert newest_good is not None
            assert one.at < newest_good
            assert retention.max_age is not None


def test_grandfather_father_son() -> None:
    nightly = [a_backup(f"d{days:03}", NOON - days * DAY) for days in range(400)]
    retention = Retention(keep_last=2, keep_daily=3, keep_weekly=2, keep_monthly=3, keep_yearly=2)
    expired = set(names(find_expired(nightly, retention, "UTC", NOON)))
    kept = [one.name for one in nightly if one.name not in expired]

    # NOON is a Monday: days 0-2, the Sunday before (d001), the last of each month and year.
    assert kept == ["d000", "d001", "d002", "d023", "d054", "d327"]


def test_failed_ones_are_counted_apart_and_age_beats_every_count() -> None:
    backups = [
        a_backup("good-old", NOON - 40 * DAY),
        a_backup("failed-1", NOON - 3 * DAY, Standing.FAILED),
        a_backup("failed-2", NOON - 2 * DAY, Standing.FAILED),
        a_backup("good-new", NOON - 35 * DAY),
    ]

    assert names(find_expired(backups, Retention(keep_failed=1), "UTC", NOON)) == ["failed-1"]
    assert names(find_expired(backups, Retention(keep_last=9), "UTC", NOON)) == []
    old = Retention(keep_last=9, max_age=30 * DAY)
    assert names(find_expired(backups, old, "UTC", NOON)) == ["good-old"]


def test_of_two_runs_within_one_second_the_later_to_end_is_the_newer() -> None:
    second = timedelta(seconds=1)
    backups = [
        a_backup("run-b", NOON, completed_at=NOON + second),
        a_backup("run-a", NOON, completed_at=NOON + 2 * second),
    ]
    assert names(find_expired(backups, Retention(keep_last=1), "UTC", NOON)) == ["run-b"]


def test_the_next_expiry_by_age_is_known_beforehand() -> None:
    backups = [a_backup("one", NOON - DAY), a_backup("two", NOON)]

    assert find_next_expiry(backups, Retention(max_age=2 * DAY), NOON) == NOON + DAY
    assert find_next_expiry(backups, Retention(keep_last=1), NOON) is None


def test_days_are_those_of_the_time_zone() -> None:
    late = datetime.fromisoformat("2026-06-10T22:30:00+00:00")  # already the 11th in Berlin
    backups = [a_backup("a", late), a_backup("b", late + 2 * HOUR)]
    keep_one_a_day = Retention(keep_daily=5)

    assert names(find_expired(backups, keep_one_a_day, "Europe/Berlin", NOON)) == ["a"]
    assert names(find_expired(backups, keep_one_a_day, "UTC", NOON)) == []
