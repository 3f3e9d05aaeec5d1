"""Many Backups, one engine: what it gets to see, and what is written to the cluster."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.journal import SeenRequest
from backup_api.pacing import RetryPolicy
from backup_operator.decisions.circuit import FIRST_PAUSE_S
from fixtures.population import (
    cycle,
    list_backups,
    place,
    side_by_side,
)
from fixtures.scene import GROUP, Body, Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process, pytest.mark.timeout(600)]

POLLS = 6
PER_SECOND, BURST = 50, 15  # spec.requestsPerSecond, and what may be saved up
MANY = 1000
ALL_WITHIN_S = 200.0
MOST_GROWTH_KIB = 16 * 1024  # of the second half, however long it is: room for an allocator's moods


async def watch_requests(scene: Scene) -> Counter[str]:
    """Count the requests of some polls, by what they ask for."""
    before = len(scene.appliance.requests)
    polls = scene.appliance.count("GET /backups")
    await scene.appliance.received("GET /backups", times=polls + POLLS)
    return Counter(name_of(one) for one in scene.appliance.requests[before:])


def name_of(seen: SeenRequest) -> str:
    return f"{seen.method} {seen.path}"


async def versions(scene: Scene) -> dict[str, str]:
    listed = await scene.cluster.call("GET", scene.path())
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in listed["items"]}


async def test_a_thousand_backups_cost_an_engine_no_more_requests_than_ten(
    own_scene: Scene,
) -> None:
    """The operator starts upon them, polls and sweeps, and writes nothing: nothing is new."""
    scene = own_scene
    scene.operator.kill()
    scene.operator.arguments = (*scene.operator.arguments, "--sweep-interval=2s")
    engine = await scene.cluster.call("GET", f"{GROUP}/backupengines/{scene.engine}")
    uid = engine["metadata"]["uid"]
    seen = []
    for numbers in (range(10), range(10, MANY)):
        await side_by_side(
            numbers, lambda number: place(scene, uid, number, finished=number % 20 != 0)
        )
        placed, began = await versions(scene), len(scene.appliance.requests)
        await scene.operator.start()
        await scene.engine_condition("Ready", "True", "Connected")
        await watch_requests(scene)  # the first polls and the start
        before = await versions(scene)
        seen.append(await watch_requests(scene))
        since = [one.path for one in scene.appliance.requests[began:]]
        assert sum("/backups/" in path for path in since) <= 1  # a start lists what it must know
        assert await versions(scene) == before == placed
        scene.operator.kill()

    few, many = (sum(one.values()) for one in seen)
    assert many <= few + 3, seen  # pages of five hundred: two for a sweep of a thousand


async def test_an_engine_down_for_an_hour_is_left_in_peace_and_then_everything_is_done(
    own_scene: Scene, pending: int
) -> None:
    scene = own_scene
    await scene.engine_condition("Ready", "True", "Connected")
    scene.appliance.faults.html_page("*", 503, times=None)  # a proxy before a dead server
    await scene.create("first")
    await scene.condition("first", "Reconciling", reason="UnexpectedAnswer")
    began, down_at = time.monotonic(), len(scene.appliance.requests)

    async def create(number: int) -> None:
        await scene.create(f"waits-{number}", backupType="DATA", hostId=103, busyTimeout="24h")

    await side_by_side(range(pending), create)
    told = await until_all(scene, pending + 1, lambda one: reason_of(one) == "UnexpectedAnswer")
    for backup in told:
        assert find_condition(backup, "Ready")["status"] == "False"  # type: ignore[index]
        assert find_condition(backup, "Reconciling")["status"] == "True"  # type: ignore[index]
        assert "submission" not in backup["status"]
    engine = await scene.engine_condition("Ready", "False", "UnexpectedAnswer")
    assert engine["status"]["circuit"] != "Closed"
    probes = 1 + (time.monotonic() - began) / FIRST_PAUSE_S  # and later ones are rarer
    assert len(scene.appliance.requests) - down_at <= probes * RetryPolicy().attempts
    assert scene.created() == 0

    scene.appliance.backup_seconds = 0.0  # each ends at the next look
    scene.appliance.faults.clear()
    up_at = len(scene.appliance.requests)
    await until_all(scene, pending + 1, is_complete)
    assert scene.created() == pending + 1
    # the first one is a probe that the others wait for; late ones were sent in time, early ones not
    times_s = [one.time_s for one in scene.appliance.requests[up_at:]]
    for number, at_s in enumerate(times_s):
        assert number <= BURST + PER_SECOND * (at_s - times_s[0])


def reason_of(backup: Body) -> str | None:
    found = find_condition(backup, "Ready")
    return str(found["reason"]) if found is not None else None


def is_complete(backup: Body) -> bool:
    found = find_condition(backup, "Complete")
    return found is not None and found["status"] == "True"


async def until_all(scene: Scene, count: int, holds: Callable[[Body], bool]) -> list[Body]:
    """Wait until so many Backups are there and all are as asked; returns them."""
    others: list[Body] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ALL_WITHIN_S):
            while True:
                listed = await list_backups(scene)
                others = [one for one in listed if not holds(one)]
                if len(listed) == count and not others:
                    return listed
                await asyncio.sleep(0.5)
    pytest.fail(f"{len(others)} of {count} are not, such as {others[:1]}")


async def test_memory_is_flat_however_many_backups_come_and_go(
    own_scene: Scene, cycles: int
) -> None:
    scene = own_scene
    scene.appliance.backup_seconds = 0.0
    await scene.engine_condition("Ready", "True", "Connected")
    batch = cycles // 4
    grown = []
    for first in range(0, batch * 4, batch):
        await cycle(scene, first, batch)
        assert scene.operator.process is not None
        grown.append(read_rss_kib(scene.operator.process.pid))
    assert grown[3] - grown[1] <= MOST_GROWTH_KIB, grown  # the first half warms up


def read_rss_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def test_a_rotated_certificate_and_a_new_address_disturb_no_running_backup(
    own_scene: Scene,
) -> None:
    scene = own_scene
    await scene.create("runs")
    await scene.running("runs")
    await scene.appliance.rotate_certificate()
    secret = f"/api/v1/namespaces/default/secrets/{scene.engine}"
    await scene.cluster.merge(secret, {"stringData": {"ca.crt": scene.appliance.ca_pem}})
    await scene.appliance.move()
    await scene.cluster.merge(
        f"{GROUP}/backupengines/{scene.engine}", {"spec": {"url": scene.appliance.url}}
    )
    await scene.engine_condition("Ready", "True", "Connected")
    scene.appliance.finish_all()
    await scene.condition("runs", "Complete")
    assert scene.created() == 1
