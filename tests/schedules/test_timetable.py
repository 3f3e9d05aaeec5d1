"""The times of a schedule, beside an oracle that tries every minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_operator.decisions.timetable import Timetable
from schedules.oracle import Cron, find_times

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/Lisbon",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",  # clocks changed at midnight until 2019
    "America/Havana",  # and still do here
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Africa/Casablanca",  # twice a year, and back again
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Pacific/Apia",  # left out a whole day in 2011
    "Pacific/Chatham",
)
CHANGES = {
    "Europe/Berlin": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "America/New_York": datetime(2026, 3, 8, 7, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
    "Antarctica/Troll": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "America/Sao_Paulo": datetime(2018, 11, 4, 3, tzinfo=UTC),
    "Pacific/Apia": datetime(2011, 12, 30, 10, tzinfo=UTC),
    "Africa/Casablanca": datetime(2026, 3, 22, 2, tzinfo=UTC),
    "America/Havana": datetime(2026, 11, 1, 5, tzinfo=UTC),
}


def some_of(least: int, most: int) -> st.SearchStrategy[frozenset[int] | None]:
    values = st.frozensets(st.integers(least, most), min_size=1, max_size=4)
    return st.none() | values


crons = st.builds(Cron, some_of(0, 59), some_of(0, 23), some_of(0, 6))
moments = st.one_of(
    st.integers(0, 22 * 366 * 24 * 60).map(
        lambda minutes: ("any", datetime(2008, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
    ),
    st.sampled_from(sorted(CHANGES)).flatmap(
        lambda zone: st.integers(-2000, 1000).map(
            lambda minutes: (zone, CHANGES[zone] + timedelta(minutes=minutes))
        )
    ),
)


@settings(max_examples=150)
@given(crons, moments, st.sampled_from(ZONES), st.integers(1, 3))
def test_the_times_are_those_that_trying_every_minute_finds(
    cron: Cron, when: tuple[str, datetime], any_zone: str, days: int
) -> None:
    zone = any_zone if when[0] == "any" else when[0]
    start = when[1].replace(microsecond=0)
    end = start + timedelta(days=days)
    expected = find_times(cron, ZoneInfo(zone), start, end)

    timetable = Timetable(str(cron), zone)
    found, at = [], start
    while (following := timetable.next_after(at)) is not None and following <= end:
        assert following > at
        found.append(following)
        at = following
    assert found == expected
    assert timetable.latest(start, end) == (expected[-1] if expected else None)


@given(crons, moments, st.integers(1, 5000))
def test_the_latest_time_is_never_early_nor_late(
    cron: Cron, when: tuple[str, datetime], minutes: int
) -> None:
    zone = "UTC" if when[0] == "any" else when[0]
    after, until = when[1], when[1] + timedelta(minutes=minutes)
    timetable = Timetable(str(cron), zone)
    latest = timetable.latest(after, until)

    if latest is not None:
        assert after < latest <= until
        following = timetable.next_after(latest)
        assert following is not None
        assert following > until


def test_a_time_that_is_left_out_runs_after_the_gap_and_once() -> None:
    berlin = Timetable("15,45 2 * * *", "Europe/Berlin")
    gap = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 becomes 03:00

    assert berlin.next_after(gap - timedelta(hours=1)) == gap
    assert berlin.next_after(gap) == datetime(2026, 3, 30, 0, 15, tzinfo=UTC)


def test_a_time_that_comes_twice_runs_once() -> None:
    berlin = Timetable("30 2 * * *", "Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert berlin.next_after(first - timedelta(minutes=1)) == first
    assert berlin.next_after(first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    second_turn = first + timedelta(minutes=70)
    assert berlin.next_after(second_turn) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_wildcard_follows_the_real_hours() -> None:
    berlin = Timetable("0 * * * *", "Europe/Berlin")
    start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    assert berlin.next_after(start) == datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    assert berlin.next_after(start + timedelta(hours=1)) == datetime(2026, 10, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("macro", "following"),
    [
        ("@hourly", datetime(2026, 11, 28, 1, tzinfo=UTC)),
        ("@daily", datetime(2026, 11, 29, tzinfo=UTC)),
        ("@midnight", datetime(2026, 11, 29, tzinfo=UTC)),
        ("@weekly", datetime(2026, 11, 29, tzinfo=UTC)),  # a Sunday
        ("@monthly", datetime(2026, 12, 1, tzinfo=UTC)),
        ("@yearly", datetime(2027, 1, 1, tzinfo=UTC)),
        ("@annually", datetime(2027, 1, 1, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 0 * * 5L", datetime(2026, 12, 25, tzinfo=UTC)),
        ("0 0 * * MON#2", datetime(2026, 12, 14, tzinfo=UTC)),
        ("0 0 LW * *", datetime(2026, 11, 30, tzinfo=UTC)),
    ],
)
def test_macros_and_special_days(macro: str, following: datetime) -> None:
    now = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
    assert Timetable(macro, "UTC").next_after(now) == following


def test_the_latest_of_a_rare_time_is_found_years_back() -> None:
    leap = Timetable("0 0 29 2 *", "UTC")
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)

    assert leap.latest(long_ago, datetime(2027, 6, 1, tzinfo=UTC)) == datetime(
        2024, 2, 29, tzinfo=UTC
    )
    assert leap.latest(datetime(2024, 2, 29, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)) is None
