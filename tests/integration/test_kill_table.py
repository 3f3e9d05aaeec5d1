"""kill -9 of a real operator before and after every request that an object's way is made of.

Each row of the table that is printed is a step, each cell what became of the object. The same table
is in docs/operator.md.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from crashing.backup_ways import BACKUP_WAYS
from crashing.engine_ways import CONFIGURATION_WAYS, RESTORE_WAYS
from crashing.lane import ARMED, Lane, open_lane
from crashing.schedule_ways import SCHEDULE_WAYS
from crashing.volume_ways import VOLUME_WAYS, open_volume_lane
from crashing.ways import Way
from fixtures.cluster import Cluster
from fixtures.operator_process import Forge

pytestmark = [pytest.mark.cluster, pytest.mark.process, pytest.mark.timeout(600)]

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "operator.md"
MOMENTS = ("before", "after")
SHARED_WAYS = (*BACKUP_WAYS, *SCHEDULE_WAYS, *RESTORE_WAYS)
WAYS = (*SHARED_WAYS, *VOLUME_WAYS, *CONFIGURATION_WAYS)
"""Configurations have no namespace, so whoever walks beside would see to them, too."""

LANES = 4

Table = dict[tuple[str, str, str], str]
Point = tuple[Way, str, str]
Opening = AbstractAsyncContextManager[Lane]
RIGHT: Table = {
    (str(way), step, moment): way.right for way in WAYS for step in way.steps for moment in MOMENTS
}


async def test_a_kill_at_any_step_costs_nothing_and_makes_nothing_twice(
    forge: Forge,
    sandbox: Cluster,
    tmp_path: Path,
    kopia: str,
    is_thorough: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed before each step, and after the last: each state that a crash can leave behind.

    With more kills than usual also after each: for everybody else that is before the next one.
    """
    table: Table = {}

    async def walk(ways: Iterator[Point], opening: Opening) -> None:
        async with opening as lane:
            for way, step, moment in ways:
                table[str(way), step, moment] = await lane.walk(way, step, moment)

    shared, volumes, alone = (
        list(list_points(ways, is_thorough=is_thorough))
        for ways in (SHARED_WAYS, VOLUME_WAYS, CONFIGURATION_WAYS)
    )
    waiting = iter(shared)
    async with asyncio.TaskGroup() as group:
        lane = open_volume_lane(sandbox, forge, tmp_path / "volumes", kopia)
        group.create_task(walk(iter(volumes), lane))
        for number in range(LANES):
            group.create_task(walk(waiting, open_lane(sandbox, forge, tmp_path / f"{number}")))
    await walk(iter(alone), open_lane(sandbox, forge, tmp_path / "alone"))

    with capsys.disabled():
        sys.stdout.write(f"\n\n{render(table)}\n")
    told = {
        (str(way), step, moment): way.right for way, step, moment in (*shared, *volumes, *alone)
    }
    assert table == told
    assert render(RIGHT) in DOCUMENTATION.read_text()


async def test_a_way_has_no_step_that_the_table_leaves_out(
    forge: Forge, sandbox: Cluster, tmp_path: Path, kopia: str
) -> None:
    async def walk(ways: Iterator[Way], opening: Opening) -> None:
        async with opening as lane:
            for way in ways:
                assert await lane.walk(way) == way.right
                assert set(lane.operator.walked()) <= {*way.steps, *way.others, ARMED}, way
                await lane.operator.end()
                await lane.operator.start()

    waiting = iter(SHARED_WAYS)
    async with asyncio.TaskGroup() as group:
        lane = open_volume_lane(sandbox, forge, tmp_path / "volumes", kopia)
        group.create_task(walk(iter(VOLUME_WAYS), lane))
        for number in range(LANES):
            group.create_task(walk(waiting, open_lane(sandbox, forge, tmp_path / f"{number}")))
    await walk(iter(CONFIGURATION_WAYS), open_lane(sandbox, forge, tmp_path / "alone"))


def list_points(ways: tuple[Way, ...], *, is_thorough: bool) -> Iterator[Point]:
    for way in ways:
        for step in way.steps:
            yield way, step, "before"
            if is_thorough or step == way.steps[-1]:
                yield way, step, "after"


def render(table: Table) -> str:
    """Lay the table out as Markdown."""
    lines = ["| way | step | killed before it | killed after it |", "|---|---|---|---|"]
    for way in WAYS:
        for step in way.steps:
            cells = " | ".join(table.get((str(way), step, moment), "") for moment in MOMENTS)
            lines.append(f"| {way} | {step} | {cells} |")
    return "\n".join(lines)
