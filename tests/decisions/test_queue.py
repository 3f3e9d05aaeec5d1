"""The work queue on a clock of its own: nothing here takes real time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from backup_operator.reconcile.queue import RetryLaterError, WorkQueue

pytestmark = pytest.mark.looptime

Work = Callable[[str], Awaitable[timedelta | None]]


@asynccontextmanager
async def working(work: Work, workers: int = 4) -> AsyncIterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue(work, workers)
    task = asyncio.create_task(queue.run())
    yield queue
    await queue.stop(5.0)
    task.cancel()
    await asyncio.wait({task})


class Diary:
    """Work that takes a second and writes down when it began."""

    def __init__(self, answers: list[timedelta | Exception | None] | None = None) -> None:
        self.begun: list[tuple[str, float]] = []
        self.running: set[str] = set()
        self.most = 0
        self.answers = answers or []

    async def work(self, key: str) -> timedelta | None:
        assert key not in self.running
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        self.begun.append((key, asyncio.get_running_loop().time()))
        try:
            await asyncio.sleep(1)
        finally:
            self.running.discard(key)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def times(self, key: str = "a") -> list[float]:
        return [at for begun, at in self.begun if begun == key]


async def test_keys_are_worked_on_side_by_side_but_each_alone() -> None:
    diary = Diary()
    async with working(diary.work) as queue:
        for key in ("a", "b", "a", "c"):
            queue.add(key)
        await asyncio.sleep(0.5)
        queue.add("a")  # while it is worked on: once more afterwards
        queue.add("a")
        await asyncio.sleep(5)
    assert diary.times("a") == [0.0, 1.0]
    assert diary.times("b") == diary.times("c") == [0.0]
    assert diary.most == 3


async def test_no_more_than_the_workers_work_at_once() -> None:
    diary = Diary()
    async with working(diary.work, workers=2) as queue:
        for number in range(6):
            queue.add(str(number))
        await asyncio.sleep(10)
    assert diary.most == 2
    assert len(diary.begun) == 6


async def test_the_earliest_of_several_plans_counts() -> None:
    diary = Diary()
    async with working(diary.work) as queue:
        queue.add_after("a", 30)
        queue.add_after("a", 10)
        queue.add_after("a", 20)
        await asyncio.sleep(60)
    assert diary.times() == [10.0]


async def test_an_event_makes_a_plan_void() -> None:
    diary = Diary()
    async with working(diary.work) as queue:
        queue.add_after("a", 30)
        await asyncio.sleep(5)
        queue.add("a")
        await asyncio.sleep(60)
    assert diary.times() == [5.0]


async def test_work_comes_back_when_it_asks_to() -> None:
    diary = Diary([timedelta(seconds=10), timedelta(seconds=20), None])
    async with working(diary.work) as queue:
        queue.add("a")
        await asyncio.sleep(100)
    assert diary.times() == [0.0, 11.0, 32.0]


async def test_failures_are_repeated_with_growing_pauses_and_forgiven(
    caplog: pytest.LogCaptureFixture,
) -> None:
    troubles: list[timedelta | Exception | None] = [
        RetryLaterError("told"),
        ValueError("a bug"),
        RetryLaterError("told"),
        None,
        RetryLaterError("told"),
    ]
    diary = Diary(troubles)
    async with working(diary.work) as queue:
        queue.add("a")
        await asyncio.sleep(20)
        queue.add("a")
        await asyncio.sleep(20)
    assert diary.times() == [0.0, 1.5, 3.5, 6.5, 20.0, 21.5]
    assert "a bug" in caplog.text


async def test_stopping_waits_for_running_work_but_begins_nothing() -> None:
    diary = Diary()
    loop = asyncio.get_running_loop()
    async with working(diary.work, workers=1) as queue:
        queue.add("a")
        queue.add("b")
        queue.add_after("c", 2)
        await asyncio.sleep(0.5)
        await queue.stop(5.0)
        assert loop.time() == 1.0
    assert [key for key, _ in diary.begun] == ["a"]


async def test_stopping_does_not_wait_for_ever() -> None:
    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    async with working(hang) as queue:
        queue.add("a")
        await asyncio.sleep(1)
        await queue.stop(5.0)
        assert asyncio.get_running_loop().time() == 6.0
