"""The work queue: each key at most once at a time, later ones delayed, failed ones backed off."""

import asyncio
import contextlib
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from enum import StrEnum
from typing import Final, Generic, TypeVar

WorkKey = TypeVar("WorkKey", bound=Hashable)

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0

logger = logging.getLogger(__name__)


class RetryLaterError(Exception):
    """The work could not be finished for a reason that is already told; back off and repeat."""


class Outcome(StrEnum):
    """How one piece of work ended."""

    DONE = "done"
    RETRY = "retry"
    ERROR = "error"  # a bug


Account = Callable[[WorkKey, Outcome, float], None]
"""Is told of each piece of work: its key, how it ended, and how many seconds it took."""


class WorkQueue(Generic[WorkKey]):
    """Runs ``work`` for keys: never twice at once for one key, many keys side by side.

    A key added while it is worked on is worked on once more afterwards. What ``work`` returns is
    the time until the key is due again; None: not before it is added. An exception repeats the
    key with growing pauses.
    """

    def __init__(
        self,
        work: Callable[[WorkKey], Awaitable[timedelta | None]],
        workers: int,
        account: Account[WorkKey] | None = None,
    ) -> None:
        self._work = work
        self._workers = workers
        self._account = account
        self._ready: deque[WorkKey] = deque()
        self._queued: dict[WorkKey, float] = {}  # since when, by the loop's clock
        self._running: dict[WorkKey, float] = {}
        self._again: set[WorkKey] = set()
        self._due: dict[WorkKey, float] = {}
        self._timetable: list[tuple[float, int, WorkKey]] = []
        self._order = 0
        self._failures: dict[WorkKey, int] = {}
        self._is_closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._wakers: set[asyncio.Future[None]] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add(self, key: WorkKey) -> None:
        """Have ``key`` worked on as soon as possible, whatever later time was planned."""
        if self._is_closing:
            return
        self._due.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif key not in self._queued:
            self._queued[key] = asyncio.get_running_loop().time()
            self._ready.append(key)
            self._wake_one()

    def add_after(self, key: WorkKey, delay_s: float) -> None:
        """Have ``key`` worked on after ``delay_s``, or earlier if that is planned already."""
        if delay_s <= 0:
            self.add(key)
            return
        if self._is_closing or key in self._queued or key in self._again:
            return
        at = asyncio.get_running_loop().time() + delay_s
        planned = self._due.get(key)
        if planned is not None and planned <= at:
            return
        self._due[key] = at
        self._order += 1
        heapq.heappush(self._timetable, (at, self._order, key))
        self._arm()

    def forget(self, key: WorkKey) -> None:
        """Drop what is planned and remembered for a key that is no more."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._ready) + len(self._running)

    @property
    def oldest_wait_s(self) -> float:
        """How long the key that is next has been waiting for a worker; 0: none waits."""
        since = self._queued[self._ready[0]] if self._ready else None
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    @property
    def longest_work_s(self) -> float:
        """How long the work that began first has been going on; 0: none goes on."""
        now = asyncio.get_running_loop().time()
        return max((now - since for since in self._running.values()), default=0.0)

    async def run(self) -> None:
        """Work until cancelled or stopped."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._serve(), name=f"worker {number}")

    async def stop(self, within_s: float) -> None:
        """Take nothing new, and return once all running work is done or ``within_s`` is over."""
        self._is_closing = True
        self._ready.clear()
        self._queued.clear()
        if self._timer is not None:
            self._timer.cancel()
        for waker in tuple(self._wakers):
            if not waker.done():
                waker.set_result(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._is_idle.wait()

    async def _serve(self) -> None:
        while not self._is_closing:
            if not self._ready:
                await self._sleep_until_ready()
                continue
            key = self._ready.popleft()
            del self._queued[key]
            self._running[key] = asyncio.get_running_loop().time()
            self._is_idle.clear()
            try:
                await self._attempt(key)
            finally:
                del self._running[key]
                if not self._running:
                    self._is_idle.set()
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _attempt(self, key: WorkKey) -> None:
        loop = asyncio.get_running_loop()
        began, outcome = loop.time(), Outcome.DONE
        try:
            delay = await self._work(key)
        except RetryLaterError as trouble:
            logger.info("%s: %s", key, trouble)
            outcome = Outcome.RETRY
            self._back_off(key)
        except Exception:  # a bug in the work for one key must not stop all the others
            logger.exception("%s: unexpected trouble", key)
            outcome = Outcome.ERROR
            self._back_off(key)
        else:
            self._failures.pop(key, None)
            if delay is not None:
                self.add_after(key, delay.total_seconds())
        if self._account is not None:
            self._account(key, outcome, loop.time() - began)

    def _back_off(self, key: WorkKey) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(FIRST_PAUSE_S * 2.0 ** min(failures, 20), LONGEST_PAUSE_S))

    async def _sleep_until_ready(self) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakers.add(waker)
        try:
            await waker
        finally:
            self._wakers.discard(waker)

    def _wake_one(self) -> None:
        for waker in self._wakers:
            if not waker.done():
                waker.set_result(None)
                return

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timetable:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._timetable[0][0], self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._timetable and self._timetable[0][0] <= now:
            at, _, key = heapq.heappop(self._timetable)
            if self._due.get(key) == at:  # else it was done earlier or planned anew
                self.add(key)
        self._arm()
