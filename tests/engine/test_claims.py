"""Of all engines on one database exactly one works on a thing at a time.

Where leases run out the database is PostgreSQL: on SQLite there is only one engine.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from sqlalchemy import update

from backup_engine.records.claims import ClaimRecords
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.tables import CLAIMS
from backup_engine.runs.claims import Claim, ClaimKind, ClaimLostError, Claims, Lease
from backup_engine.runs.persistence import persist

SHORT = Lease(3.0)
LONGER = Lease(8.0)  # which a machine that stalls for some seconds keeps


@asynccontextmanager
async def engines(url: str, count: int, lease: Lease | None = None) -> AsyncIterator[list[Claims]]:
    """Claims of so many engines on one database, which nobody renews."""
    async with AsyncExitStack() as opened:
        databases = [Database.open(url) for _ in range(count)]
        for database in databases:
            opened.push_async_callback(database.close)
        await migrate(databases[0])
        yield [Claims(database, lease) for database in databases]


@asynccontextmanager
async def kept(*claims: Claims) -> AsyncIterator[None]:
    """Have the claims renewed meanwhile."""
    tasks = [asyncio.create_task(each.run()) for each in claims]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def work_until(done: asyncio.Event, begun: asyncio.Event) -> Callable[[Claim], Awaitable[None]]:
    async def work(_claim: Claim) -> None:
        begun.set()
        await done.wait()

    return work


async def nothing(_claim: Claim) -> None:
    """Work that is over at once."""


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition of this process."""
    async with asyncio.timeout(100):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def run_out(database: Database) -> None:
    """Have all leases end, as if their holders had been silent."""
    async with database.writing() as connection:
        await connection.execute(update(CLAIMS).values(until=0))


async def test_what_one_engine_works_on_another_leaves_alone(database_url: str) -> None:
    begun, done = asyncio.Event(), asyncio.Event()
    async with engines(database_url, 2) as (first, second):
        working = asyncio.create_task(first.carry_out(ClaimKind.BACKUP, 1, work_until(done, begun)))
        await asyncio.wait_for(begun.wait(), 100)
        assert not await second.carry_out(ClaimKind.BACKUP, 1, nothing)
        assert not await first.carry_out(ClaimKind.BACKUP, 1, nothing)
        assert await second.carry_out(ClaimKind.BACKUP, 2, nothing)
        assert await second.carry_out(ClaimKind.RESTORE, 1, nothing)
        done.set()
        assert await working
        assert await second.carry_out(ClaimKind.BACKUP, 1, nothing)


async def test_of_many_racers_one_works_at_a_time(database_url: str) -> None:
    at_work: list[int] = []
    most = 0
    turns = 0

    async def work(_claim: Claim) -> None:
        nonlocal most, turns
        at_work.append(1)
        most = max(most, len(at_work))
        turns += 1
        await asyncio.sleep(0)
        at_work.pop()

    async with engines(database_url, 2) as pair:
        racers = (claims.carry_out(ClaimKind.DEPLOY, 7, work) for _ in range(20) for claims in pair)
        outcomes = await asyncio.gather(*racers)
    assert most == 1
    assert turns == outcomes.count(True) >= 1


async def test_a_second_cancellation_does_not_keep_the_claim(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, releasing, may_release = asyncio.Event(), asyncio.Event(), asyncio.Event()
    release = ClaimRecords.release

    async def held_up(self: ClaimRecords, token: str) -> None:
        releasing.set()
        await may_release.wait()
        await release(self, token)

    monkeypatch.setattr(ClaimRecords, "release", held_up)
    async with engines(database_url, 1) as (claims,):
        working = asyncio.create_task(
            claims.carry_out(ClaimKind.BACKUP, 1, work_until(asyncio.Event(), begun))
        )
        await asyncio.wait_for(begun.wait(), 100)
        working.cancel()
        await asyncio.wait_for(releasing.wait(), 100)
        working.cancel()
        await asyncio.sleep(0)
        may_release.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await claims.carry_out(ClaimKind.BACKUP, 1, nothing)


async def test_a_cancellation_that_meets_the_commit_does_not_keep_the_claim(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = asyncio.Event()
    async with engines(database_url, 1) as (claims,):

        async def answering_late(work: Callable[[], Awaitable[bool]], what: str) -> bool:
            is_taken = await persist(work, what)
            taken.set()
            await asyncio.Event().wait()
            return is_taken

        monkeypatch.setattr("backup_engine.runs.claims.persist", answering_late)
        working = asyncio.create_task(claims.carry_out(ClaimKind.BACKUP, 1, nothing))
        await asyncio.wait_for(taken.wait(), 100)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        monkeypatch.undo()
        assert await claims.carry_out(ClaimKind.BACKUP, 1, nothing)


async def test_a_claim_asked_for_again_after_a_lost_answer_is_taken(database_url: str) -> None:
    async with engines(database_url, 1) as (claims,), claims._database.writing() as connection:
        records = ClaimRecords(connection)
        for token, is_taken in (("mine", True), ("mine", True), ("theirs", False)):
            assert await records.take("backup", 1, token, "me", 60_000) is is_taken


async def test_a_claim_whose_release_fails_is_given_back_later(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = ClaimRecords.release
    failures = iter([OSError("the disk is busy")])

    async def failing(self: ClaimRecords, token: str) -> None:
        for failure in failures:
            raise failure
        await release(self, token)

    monkeypatch.setattr(ClaimRecords, "release", failing)
    async with engines(database_url, 1, SHORT) as (claims,):
        assert await claims.carry_out(ClaimKind.BACKUP, 1, nothing)
        async with kept(claims), asyncio.timeout(100):
            while not await claims.carry_out(ClaimKind.BACKUP, 1, nothing):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_claim_is_given_back_by_an_error_and_by_a_cancellation(database_url: str) -> None:
    async def fail(_claim: Claim) -> None:
        raise LookupError

    begun = asyncio.Event()
    async with engines(database_url, 2) as (first, second):
        with pytest.raises(LookupError):
            await first.carry_out(ClaimKind.BACKUP, 1, fail)
        working = asyncio.create_task(
            second.carry_out(ClaimKind.BACKUP, 1, work_until(asyncio.Event(), begun))
        )
        await asyncio.wait_for(begun.wait(), 100)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await first.carry_out(ClaimKind.BACKUP, 1, nothing)


async def test_a_timeout_of_the_work_itself_is_no_lost_claim(database_url: str) -> None:
    async def give_up(_claim: Claim) -> None:
        raise TimeoutError("the work's own")

    async with engines(database_url, 1) as (only,):
        with pytest.raises(TimeoutError, match="the work's own"):
            await only.carry_out(ClaimKind.BACKUP, 1, give_up)


async def test_work_that_outlasts_its_lease_goes_on_while_the_claim_is_renewed(
    postgres_url: str,
) -> None:
    begun, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with engines(postgres_url, 2, LONGER) as (first, second), kept(first):
        working = asyncio.create_task(first.carry_out(ClaimKind.BACKUP, 1, work_until(done, begun)))
        await asyncio.wait_for(begun.wait(), 100)
        until = loop.time() + 1.25 * LONGER.takeover_s
        while loop.time() < until:
            assert not await second.carry_out(ClaimKind.BACKUP, 1, nothing)
            await asyncio.sleep(0.05)
        done.set()
        assert await working


async def test_an_engine_that_cannot_renew_stops_before_another_takes_over(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stopped_at = began_at = 0.0
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    async def work(_claim: Claim) -> None:
        nonlocal stopped_at
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped_at = loop.time()

    async def begin(_claim: Claim) -> None:
        nonlocal began_at
        began_at = loop.time()

    async with engines(postgres_url, 2, SHORT) as (first, second):
        working = asyncio.create_task(first.carry_out(ClaimKind.BACKUP, 1, work))
        await asyncio.wait_for(begun.wait(), 100)
        first._held.clear()  # as if its answers were lost: nothing prolongs it, nothing gives back
        async with asyncio.timeout(100):
            while not await second.carry_out(ClaimKind.BACKUP, 1, begin):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await working
    assert 0 < stopped_at < began_at
    assert "the claim could not be kept" in caplog.text


async def test_an_engine_that_slept_through_its_lease_can_commit_nothing(
    postgres_url: str,
) -> None:
    begun, done = asyncio.Event(), asyncio.Event()
    refused: list[Exception] = []

    async def work(claim: Claim) -> None:
        begun.set()
        await done.wait()
        try:
            async with first._database.writing() as connection:
                await claim.confirm(connection)
        except ClaimLostError as lost:
            refused.append(lost)
            raise

    async with engines(postgres_url, 2) as (first, second):
        working = asyncio.create_task(first.carry_out(ClaimKind.BACKUP, 1, work))
        await asyncio.wait_for(begun.wait(), 100)
        await run_out(second._database)
        assert await second.carry_out(ClaimKind.BACKUP, 1, nothing)
        done.set()
        assert await working
    assert [str(lost) for lost in refused] == ["backup 1"]


async def test_work_whose_claim_was_taken_over_is_cancelled_at_the_next_renewal(
    postgres_url: str,
) -> None:
    begun, forever, mine = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with engines(postgres_url, 2, Lease(5.0)) as (first, second), kept(first):
        working = asyncio.create_task(
            first.carry_out(ClaimKind.BACKUP, 1, work_until(forever, begun))
        )
        await asyncio.wait_for(begun.wait(), 100)
        await run_out(second._database)
        taken = asyncio.create_task(
            second.carry_out(ClaimKind.BACKUP, 1, work_until(forever, mine))
        )
        await asyncio.wait_for(mine.wait(), 100)
        async with asyncio.timeout(100):
            assert await working
        assert not taken.done()
        taken.cancel()
        with suppress(asyncio.CancelledError):
            await taken


async def test_while_a_claim_is_being_confirmed_nobody_takes_it_over(postgres_url: str) -> None:
    order: list[str] = []
    confirmed = asyncio.Event()
    async with engines(postgres_url, 2) as (first, second):
        database = second._database

        async def work(claim: Claim) -> None:
            await run_out(database)
            async with first._database.writing() as connection:
                await claim.confirm(connection)
                confirmed.set()
                await until_somebody_waits(database)
                order.append("committed")

        async def begin(_claim: Claim) -> None:
            order.append("taken over")

        working = asyncio.create_task(first.carry_out(ClaimKind.BACKUP, 1, work))
        await asyncio.wait_for(confirmed.wait(), 100)
        assert await second.carry_out(ClaimKind.BACKUP, 1, begin)
        await working
    assert order == ["committed", "taken over"]


async def until_somebody_waits(database: Database) -> None:
    """Wait until a connection of this PostgreSQL waits for a lock of another."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(100):
        while True:
            async with database.reading() as connection:
                if (await connection.exec_driver_sql(waiting)).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def test_one_engine_alone_does_what_never_ends_and_another_follows(
    postgres_url: str,
) -> None:
    at_work: list[str] = []
    tries: list[bool] = []

    def work(name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            at_work.append(name)
            await asyncio.Event().wait()

        return run

    class Counting(Claims):
        async def carry_out(
            self, kind: ClaimKind, subject_id: int, work: Callable[[Claim], Awaitable[None]]
        ) -> bool:
            is_ours = await super().carry_out(kind, subject_id, work)
            tries.append(is_ours)
            return is_ours

    async with engines(postgres_url, 1, LONGER) as (first,), kept(first):
        second = Counting(first._database, LONGER)
        tasks = [asyncio.create_task(first.alone(ClaimKind.WATCH, work("first")))]
        await until(lambda: at_work == ["first"])
        tasks.append(asyncio.create_task(second.alone(ClaimKind.WATCH, work("second"))))
        await until(lambda: tries[:1] == [False])
        tasks[0].cancel()
        await until(lambda: at_work == ["first", "second"])
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_held_is_listed_until_its_lease_is_over(database_url: str) -> None:
    async with engines(database_url, 1) as (only,):
        database = only._database

        async def look(_claim: Claim) -> None:
            async with database.writing() as connection:
                records = ClaimRecords(connection)
                assert await records.list_held("backup") == {4}
                assert await records.list_held("restore") == frozenset()
            await run_out(database)
            async with database.reading() as connection:
                assert await ClaimRecords(connection).list_held("backup") == frozenset()

        assert await only.carry_out(ClaimKind.BACKUP, 4, look)
