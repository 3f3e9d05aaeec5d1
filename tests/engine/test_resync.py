"""The loop of level-triggered work, and its tasks under claims."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.runs import resync
from backup_engine.runs.claims import Claim, ClaimKind, Claims
from backup_engine.runs.resync import ClaimedTasks, ResyncLoop, stop_tasks

KIND = ClaimKind.BACKUP


@pytest.fixture
async def claims(tmp_path: Path) -> AsyncIterator[Claims]:
    database = Database.open(build_sqlite_url(tmp_path / "engine.db"))
    await migrate(database)
    yield Claims(database)
    await database.close()


@pytest.mark.looptime
async def test_it_looks_when_woken_and_now_and_then_without() -> None:
    loop = asyncio.get_running_loop()
    looks: list[float] = []
    watching = ResyncLoop(30)
    begun = loop.time()

    async def look() -> None:
        looks.append(round(loop.time() - begun, 3))

    running = asyncio.create_task(watching.run(look))
    await asyncio.sleep(65)
    watching.wake()
    await asyncio.sleep(1)
    running.cancel()
    assert looks == [0, 30, 60, 65]


@pytest.mark.looptime
async def test_what_wakes_it_during_a_look_makes_it_look_again_at_once() -> None:
    looks = 0
    watching = ResyncLoop(30)

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            watching.wake()
            await asyncio.sleep(1)

    running = asyncio.create_task(watching.run(look))
    await asyncio.sleep(2)
    running.cancel()
    assert looks == 2


async def test_work_is_known_by_its_id_until_it_has_ended(claims: Claims) -> None:
    ended, done = asyncio.Event(), asyncio.Event()
    tasks = ClaimedTasks(claims, KIND, "capture", ended.set)
    seen: list[Claim] = []

    async def work(claim: Claim) -> None:
        seen.append(claim)
        await done.wait()

    tasks.start(7, work)
    assert tasks.ids == {7}
    done.set()
    await asyncio.wait_for(ended.wait(), 30)
    assert not tasks.ids
    assert [(claim.kind, claim.subject_id) for claim in seen] == [(KIND, 7)]


async def test_work_that_is_cancelled_has_ended_and_that_of_others_has_not_begun(
    claims: Claims,
) -> None:
    ours, others = asyncio.Event(), asyncio.Event()
    begun = asyncio.Event()
    tasks = ClaimedTasks(claims, KIND, "capture", ours.set)
    late = ClaimedTasks(claims, KIND, "removal", others.set)

    async def work(_: Claim) -> None:
        begun.set()
        await asyncio.Event().wait()

    tasks.start(7, work)
    await asyncio.wait_for(begun.wait(), 30)
    late.start(7, work)
    async with asyncio.timeout(30):
        while late.ids:  # noqa: ASYNC110 - a task of the event loop
            await asyncio.sleep(0.01)
    assert not others.is_set()
    tasks.cancel(7)
    await asyncio.wait_for(ours.wait(), 30)
    assert not tasks.ids


async def test_a_bug_is_logged_and_calls_for_no_second_try_at_once(
    claims: Claims, caplog: pytest.LogCaptureFixture
) -> None:
    ended = asyncio.Event()
    tasks = ClaimedTasks(claims, KIND, "capture", ended.set)

    async def work(_: Claim) -> None:
        raise RuntimeError("a bug")

    tasks.start(7, work)
    async with asyncio.timeout(30):
        while tasks.ids:  # noqa: ASYNC110 - a task of the event loop
            await asyncio.sleep(0.01)
    assert not ended.is_set()
    assert "capture-7 ended unexpectedly" in caplog.text


async def test_what_does_not_stop_in_time_is_left_and_told(
    claims: Claims, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "FAREWELL_S", 0.01)
    begun, done = asyncio.Event(), asyncio.Event()
    tasks = ClaimedTasks(claims, KIND, "capture", lambda: None)

    async def stubborn(_: Claim) -> None:
        begun.set()
        while not done.is_set():
            try:
                await done.wait()
            except asyncio.CancelledError:
                continue

    tasks.start(7, stubborn)
    await begun.wait()
    await stop_tasks(tasks)
    assert "capture-7 did not stop" in caplog.text
    done.set()
    async with asyncio.timeout(30):
        while tasks.ids:  # noqa: ASYNC110 - a task of the event loop
            await asyncio.sleep(0.01)
