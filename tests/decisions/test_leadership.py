"""Leases on a clock of their own: never do two replicas believe that they may act."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import hypothesis
import looptime
import pytest
from hypothesis import strategies as st

from backup_operator.cluster.api import ClusterApi, ClusterError, ConflictError, GoneError
from backup_operator.cluster.lease import LeaderLease, LeasePlace
from backup_operator.decisions.leadership import LeaseSeen, LeaseTimes, may_act, may_take

pytestmark = pytest.mark.looptime

TIMES = LeaseTimes(duration_s=15.0, renew_deadline_s=10.0, retry_s=2.0)
PLACE = LeasePlace("ops", "backup-operator")


class LeaseStore:
    """An API server that keeps one Lease, or is away."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self.version = 0
        self.is_away = False
        self.delay_s = 0.0

    async def get(self, _: str) -> dict[str, Any]:
        await self.answer()
        if self.body is None:
            raise GoneError("GET lease", 404, "not found")
        return self.body

    async def create(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        await self.answer()
        if self.body is not None:
            raise ConflictError("POST lease", 409, "exists")
        return self.store(body)

    async def replace(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        await self.answer()
        if self.body is None:
            raise GoneError("PUT lease", 404, "not found")
        if body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
            raise ConflictError("PUT lease", 409, "changed")
        return self.store(body)

    async def answer(self) -> None:
        await asyncio.sleep(self.delay_s)
        if self.is_away:
            raise ClusterError("lease", 0, "away")

    def store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.body = {**body, "metadata": metadata}
        return self.body

    def holder(self) -> str:
        assert self.body is not None
        return str(self.body["spec"]["holderIdentity"])


def a_lease(store: LeaseStore, me: str) -> LeaderLease:
    clock = asyncio.get_running_loop().time
    return LeaderLease(cast("ClusterApi", store), PLACE, me, TIMES, clock)


async def within(seconds: float, waiting: Awaitable[None]) -> None:
    await asyncio.wait_for(waiting, seconds)


async def test_the_first_one_leads_at_once_and_the_second_waits() -> None:
    store = LeaseStore()
    first, second = a_lease(store, "first"), a_lease(store, "second")
    await within(0.1, first.acquire())
    keeping = asyncio.create_task(first.keep())
    with pytest.raises(TimeoutError):
        await within(120, second.acquire())

    assert first.is_held
    assert not second.is_held
    keeping.cancel()


async def test_a_killed_leader_is_followed_within_its_lease() -> None:
    store = LeaseStore()
    first, second = a_lease(store, "first"), a_lease(store, "second")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(30)
    keeping.cancel()  # killed: it renews no more
    began = asyncio.get_running_loop().time()
    await waiting

    assert asyncio.get_running_loop().time() - began <= TIMES.duration_s + TIMES.retry_s
    assert not first.is_held
    assert store.body is not None
    assert store.body["spec"]["leaseTransitions"] == 1


async def test_a_released_lease_is_taken_at_the_next_look() -> None:
    store = LeaseStore()
    first, second = a_lease(store, "first"), a_lease(store, "second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(1)
    await first.release()
    await within(TIMES.retry_s + 0.1, waiting)
    assert store.holder() == "second"


async def test_a_leader_that_cannot_renew_stops_before_its_lease_ends() -> None:
    store = LeaseStore()
    lease = a_lease(store, "first")
    await lease.acquire()
    renewed_at = asyncio.get_running_loop().time()
    store.is_away = True
    await within(TIMES.renew_deadline_s + 0.1, lease.keep())

    stopped_at = asyncio.get_running_loop().time()
    assert stopped_at - renewed_at <= TIMES.renew_deadline_s < TIMES.duration_s
    assert not lease.is_held


async def test_a_server_that_hangs_does_not_make_a_leader_overstay() -> None:
    store = LeaseStore()
    lease = a_lease(store, "first")
    await lease.acquire()
    store.delay_s = 3600.0
    await within(TIMES.renew_deadline_s + 0.1, lease.keep())
    assert not lease.is_held


async def test_somebody_elses_annotation_costs_no_leadership_and_prolongs_none() -> None:
    store = LeaseStore()
    first, second = a_lease(store, "first"), a_lease(store, "second")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())

    async def annotate() -> None:
        while True:
            assert store.body is not None
            store.store(store.body)
            await asyncio.sleep(1)

    annotating = asyncio.create_task(annotate())
    await asyncio.sleep(60)
    assert first.is_held
    keeping.cancel()
    await within(TIMES.duration_s + TIMES.retry_s, waiting)
    annotating.cancel()


async def test_a_deleted_lease_is_not_taken_while_its_holder_may_still_act() -> None:
    store = LeaseStore()
    first, second = a_lease(store, "first"), a_lease(store, "second")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(5)
    store.body = None
    await keeping  # noticed at the next renewal
    assert not first.is_held
    assert not waiting.done()
    await within(TIMES.duration_s + 0.1, waiting)


@hypothesis.given(
    st.lists(
        st.tuples(st.sampled_from(["away", "back", "slow"]), st.integers(1, 20)),
        max_size=12,
    )
)
@hypothesis.settings(max_examples=60)
def test_never_do_two_lead(happenings: list[tuple[str, int]]) -> None:
    async def play() -> None:
        store = LeaseStore()
        leases = [a_lease(store, name) for name in ("a", "b", "c")]

        async def live(lease: LeaderLease) -> None:
            while True:
                await lease.acquire()
                await lease.keep()

        def check() -> None:
            assert sum(lease.is_held for lease in leases) <= 1

        tasks = [asyncio.create_task(live(lease)) for lease in leases]
        for what, seconds in happenings:
            store.is_away = what == "away"
            store.delay_s = 5.0 if what == "slow" else 0.0
            for _ in range(seconds * 2):
                await asyncio.sleep(0.5)
                check()
        store.is_away, store.delay_s = False, 0.0
        await asyncio.sleep(TIMES.duration_s + 2 * TIMES.retry_s)
        check()
        assert any(lease.is_held for lease in leases)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run_quickly(play)


def run_quickly(play: Callable[[], Awaitable[None]]) -> None:
    loop = looptime.new_event_loop(end=100_000)
    try:
        loop.run_until_complete(cast("Any", play()))
    finally:
        loop.close()


def test_a_lease_of_nobody_may_be_taken_and_one_that_moves_may_not() -> None:
    assert may_take(None, "me", 0.0)
    assert may_take(LeaseSeen("", 15.0), "me", 0.0)
    assert may_take(LeaseSeen("me", 15.0), "me", 0.0)
    assert not may_take(LeaseSeen("other", 15.0), "me", 14.9)
    assert may_take(LeaseSeen("other", 15.0), "me", 15.0)
    assert may_act(9.9, TIMES)
    assert not may_act(10.0, TIMES)
