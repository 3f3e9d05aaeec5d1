"""Nightly runs: begun once a night, expired by retention (spec §10)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backup_engine.runs.nightly import NightlyRules, find_fill
from backup_engine.runs.schedule import NightlySchedule, parse_time_of_day
from listserver import ListServer
from localengine import BACKUPS, LocalEngine, local_engine

AFTERNOON = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 5, tzinfo=UTC)
DAY = timedelta(days=1)
HELD = "/api/v1/secrets"


class World:
    """An engine whose clock and disk the test sets."""

    def __init__(self, directory: Path, source: ListServer, database_url: str) -> None:
        self.now = AFTERNOON
        self.fill = 0.5
        self._directory = directory
        self._source = source
        self._database_url = database_url

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[LocalEngine]:
        rules = NightlyRules(look_every_s=0.02, find_fill=lambda _: self.fill)
        async with local_engine(
            self._directory,
            self._source.kubeconfig(self._directory),
            nightly=rules,
            clock=lambda: self.now,
            database_url=self._database_url,
        ) as engine:
            yield engine


@pytest.fixture
def world(tmp_path: Path, source: ListServer, database_url: str) -> World:
    return World(tmp_path, source, database_url)


async def listed(engine: LocalEngine) -> list[dict[str, Any]]:
    records = (await engine.send("GET", BACKUPS)).json()
    assert isinstance(records, list)
    return records


async def until_listed(engine: LocalEngine, names: list[str]) -> list[dict[str, Any]]:
    """Wait until exactly these backups are there, and none of them runs or leaves."""
    async with asyncio.timeout(100):
        while True:
            records = await listed(engine)
            has_ended = all(each["status"] in {"SUCCESS", "FAILED"} for each in records)
            if [each["name"] for each in records] == names and has_ended:
                return records
            await asyncio.sleep(0.02)


async def look_on(engine: LocalEngine) -> None:
    """Let some looks pass by, so that what must not happen could have."""
    for _ in range(3):
        await engine.parts.nightly.look()


async def test_a_new_engine_waits_for_its_first_night(world: World) -> None:
    async with world.engine() as engine:
        await look_on(engine)
        assert await listed(engine) == []


async def test_each_night_has_one_run_under_the_same_name(world: World) -> None:
    async with world.engine() as engine:
        engine.start()
        world.now = MIDNIGHT
        (first,) = await until_listed(engine, ["nightly"])
        assert first["status"] == "SUCCESS"
        assert first["intiated_by"] == "nightly schedule"
        await look_on(engine)
        assert len(await listed(engine)) == 1
        world.now = MIDNIGHT + DAY
        await until_listed(engine, ["nightly", "nightly"])
        assert len(engine.archives) == 2


async def test_a_deleted_run_does_not_begin_anew_nor_after_a_restart(world: World) -> None:
    async with world.engine() as engine:
        engine.start()
        world.now = MIDNIGHT
        (first,) = await until_listed(engine, ["nightly"])
        await engine.send("DELETE", f"{BACKUPS}/{first['id']}")
        await engine.until(first["id"], "gone")
        await look_on(engine)
        assert await listed(engine) == []
    async with world.engine() as restarted:
        await look_on(restarted)
        assert await listed(restarted) == []


async def test_nights_without_an_engine_are_caught_up_on_once(world: World) -> None:
    async with world.engine():
        pass
    world.now = MIDNIGHT + 5 * DAY + timedelta(hours=3)
    async with world.engine() as engine:
        await look_on(engine)
        assert [record["name"] for record in await listed(engine)] == ["nightly"]


async def test_two_engines_begin_one_run(world: World) -> None:
    async with world.engine() as one, world.engine() as other:
        world.now = MIDNIGHT
        looks = [engine.parts.nightly.look() for engine in (one, other) for _ in range(5)]
        await asyncio.gather(*looks)
        assert len(await listed(one)) == 1


async def test_a_busy_host_has_its_run_when_it_is_free(world: World, source: ListServer) -> None:
    async with world.engine() as engine:
        engine.start()
        source.hold(HELD)
        await engine.create("long")
        await asyncio.wait_for(source.reached.wait(), 100)
        world.now = MIDNIGHT
        await look_on(engine)
        assert [record["name"] for record in await listed(engine)] == ["long"]
        source.held.pop(HELD).set()
        await until_listed(engine, ["long", "nightly"])


async def test_an_on_demand_backup_may_be_called_nightly_once(world: World) -> None:
    async with world.engine() as engine:
        engine.start()
        await engine.create("nightly")
        await until_listed(engine, ["nightly"])
        assert (await engine.create("nightly")).json()["code"] == 1005
        world.now = MIDNIGHT
        await until_listed(engine, ["nightly", "nightly"])


async def test_switched_off_there_is_no_run_and_switched_on_none_is_made_up(
    world: World,
) -> None:
    async with world.engine() as engine:
        engine.start()
        await engine.stage(configuration_backup_enabled=False)
        await engine.deploy()
        world.now = MIDNIGHT + timedelta(hours=1)
        await look_on(engine)
        await engine.stage(configuration_backup_enabled=True)
        await look_on(engine)  # staged only
        await engine.deploy()
        await look_on(engine)
        assert await listed(engine) == []
        world.now = MIDNIGHT + DAY
        await until_listed(engine, ["nightly"])


async def test_a_volume_three_quarters_full_stops_scheduled_runs_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.engine() as engine:
        engine.start()
        world.fill = 0.75
        world.now = MIDNIGHT
        await look_on(engine)
        assert await listed(engine) == []
        assert caplog.text.count("VolumeFull") == 1
        await engine.create("by-hand")
        await until_listed(engine, ["by-hand"])
        world.fill = 0.74
        await until_listed(engine, ["by-hand", "nightly"])


async def test_retention_removes_old_scheduled_runs_and_nothing_else(world: World) -> None:
    async with world.engine() as engine:
        engine.start()
        await engine.create("by-hand")
        await until_listed(engine, ["by-hand"])
        for night in range(3):
            world.now = MIDNIGHT + night * DAY
            await until_listed(engine, ["by-hand"] + ["nightly"] * (night + 1))
        await engine.stage(configuration_backup_enabled=False)
        await engine.deploy()
        world.now = MIDNIGHT + 8 * DAY + timedelta(seconds=1)
        kept = await until_listed(engine, ["by-hand", "nightly"])
        assert kept[1]["time_initiated"] == (MIDNIGHT + 2 * DAY).timestamp() * 1000
        assert len(engine.archives) == 2


async def test_the_newest_good_run_outlives_its_retention(world: World, source: ListServer) -> None:
    async with world.engine() as engine:
        engine.start()
        world.now = MIDNIGHT
        (good,) = await until_listed(engine, ["nightly"])
        listings, source.listings = source.listings, []
        world.now = MIDNIGHT + DAY
        _, failed = await until_listed(engine, ["nightly", "nightly"])
        assert failed["status"] == "FAILED"
        await engine.stage(configuration_backup_enabled=False)
        await engine.deploy()
        source.listings = listings
        world.now = MIDNIGHT + 30 * DAY
        await engine.until(failed["id"], "gone")
        await look_on(engine)
        assert [record["id"] for record in await listed(engine)] == [good["id"]]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-05T00:00:00+00:00", "2026-03-05T00:00:00+00:00"),
        ("2026-03-05T23:59:59+00:00", "2026-03-05T00:00:00+00:00"),
        ("2026-03-04T23:59:59+00:00", "2026-03-04T00:00:00+00:00"),
    ],
)
def test_a_run_is_due_at_midnight_utc(now: str, due: str) -> None:
    found = NightlySchedule().find_due(datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-29T00:29:59+00:00", "2026-03-28T01:30:00+00:00"),
        ("2026-03-29T01:30:00+00:00", "2026-03-29T01:30:00+00:00"),  # 02:30 does not exist
        ("2026-03-30T00:30:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("2026-10-25T00:30:00+00:00", "2026-10-25T00:30:00+00:00"),  # the first of two 02:30
        ("2026-10-25T01:30:00+00:00", "2026-10-25T00:30:00+00:00"),  # the second one
        ("2026-10-26T01:30:00+00:00", "2026-10-26T01:30:00+00:00"),
    ],
)
def test_clocks_put_forward_and_back_cost_no_run_and_add_none(now: str, due: str) -> None:
    schedule = NightlySchedule(time(2, 30), ZoneInfo("Europe/Berlin"))
    assert schedule.find_due(datetime.fromisoformat(now)) == datetime.fromisoformat(due)


@pytest.mark.parametrize("text", ["24:00", "1:00", "00:60", "0000", "", "00:00:00"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="expected HH:MM"):
        parse_time_of_day(text)


def test_a_directory_not_made_yet_is_as_full_as_its_parent(tmp_path: Path) -> None:
    assert 0 < find_fill(tmp_path / "not" / "there") <= 1
