"""What all level-triggered work of the engine has in common: its loop, and its tasks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final, Never

from backup_engine.runs.claims import Claim, ClaimKind, Claims

logger = logging.getLogger(__name__)

RESYNC_S: Final = 30.0  # a wake-up may be missed, never the work
FAREWELL_S: Final = 10.0


class ResyncLoop:
    """Has work looked for as soon as it is woken, and every ``resync_s`` without that."""

    def __init__(self, resync_s: float = RESYNC_S) -> None:
        self._resync_s = resync_s
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Have work looked for soon."""
        self._awake.set()

    async def run(self, look: Callable[[], Awaitable[None]]) -> Never:
        """Call ``look`` again and again until cancelled; raises what it raises."""
        while True:
            self._awake.clear()  # before looking: what happens meanwhile is seen next time
            await look()
            # not wait_for: up to Python 3.11 it swallows a cancellation that meets the wake-up
            with suppress(TimeoutError):
                async with asyncio.timeout(self._resync_s):
                    await self._awake.wait()


class ClaimedTasks:
    """The tasks of one engine that work under claims of one kind, by the id of the subject.

    They are all that the engine remembers of its work. ``ended`` is called after each that did
    something: there may be more to do, or another thing.
    """

    def __init__(
        self, claims: Claims, kind: ClaimKind, name: str, ended: Callable[[], None]
    ) -> None:
        self._claims = claims
        self._kind = kind
        self._name = name
        self._ended = ended
        self._tasks: dict[int, asyncio.Task[bool]] = {}

    @property
    def ids(self) -> AbstractSet[int]:
        """The subjects that are worked on."""
        return self._tasks.keys()

    def start(self, subject_id: int, work: Callable[[Claim], Awaitable[None]]) -> None:
        """Do ``work`` if no other engine has the claim."""
        carried_out = self._claims.carry_out(self._kind, subject_id, work)
        task = asyncio.create_task(carried_out, name=f"{self._name}-{subject_id}")
        self._tasks[subject_id] = task
        task.add_done_callback(lambda done: self._end(subject_id, done))

    def cancel(self, subject_id: int) -> None:
        """Cancel the work on a subject; it has ended some time later."""
        self._tasks[subject_id].cancel()

    def _end(self, subject_id: int, task: asyncio.Task[bool]) -> None:
        self._tasks.pop(subject_id, None)
        trouble = None if task.cancelled() else task.exception()
        if trouble is not None:  # a bug; the record keeps its status, so it is tried again later
            logger.error("%s ended unexpectedly", task.get_name(), exc_info=trouble)
            return
        if task.cancelled() or task.result():  # else another engine has it: not at once again
            self._ended()


async def stop_tasks(*several: ClaimedTasks) -> None:
    """Cancel all work, and give it a while to end."""
    tasks = [task for each in several for task in each._tasks.values()]  # noqa: SLF001
    for task in tasks:
        task.cancel()
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=FAREWELL_S)
        for task in late:
            logger.warning("%s did not stop within %.0f s", task.get_name(), FAREWELL_S)
