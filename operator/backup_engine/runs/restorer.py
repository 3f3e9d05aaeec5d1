"""Brings every restore, and every plan that is asked for, to where it should go."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from backup_engine.records.claims import ClaimRecords
from backup_engine.records.database import Database
from backup_engine.records.restore_plans import RestorePlanRecords, StoredPlan
from backup_engine.records.restores import RestoreRecords, StoredRestore
from backup_engine.runs.claims import Claim, ClaimKind, Claims
from backup_engine.runs.persistence import persist
from backup_engine.runs.planning import Planning
from backup_engine.runs.restoring import Restoring

logger = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 30.0  # a wake-up may be missed, never the work
LOOK_SHARED_S: Final = 1.0  # another engine's requests wake nobody here
FAREWELL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Due:
    restore: StoredRestore | None
    plans: tuple[StoredPlan, ...]


class Restorer:
    """Level-triggered: looks at the database, starts what is due, and sleeps until woken.

    What runs is all it remembers. A restarted process therefore carries on by itself: a restore
    goes on under its id, a plan is computed anew. What another engine has claimed is left to it.
    """

    def __init__(
        self,
        database: Database,
        restoring: Restoring,
        planning: Planning,
        claims: Claims,
        wake_runner: Callable[[], None],
    ) -> None:
        self._database = database
        self._claims = claims
        self._look_again_s = LOOK_SHARED_S if database.is_shared else LOOK_AGAIN_S
        self._restoring = restoring
        self._planning = planning
        self._wake_runner = wake_runner
        self._restores: dict[int, asyncio.Task[bool]] = {}
        self._plans: dict[int, asyncio.Task[bool]] = {}
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Have the restorer look at the database soon."""
        self._awake.set()

    async def run(self) -> None:
        """Work until cancelled; what is cut off by that is carried on by the next start."""
        try:
            while True:
                self._awake.clear()  # before looking: what happens meanwhile is seen next time
                self._step(await persist(self._look, "looking for restores"))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_again_s):
                        await self._awake.wait()
        finally:
            await self._stop()

    async def _look(self) -> _Due:
        async with self._database.reading() as connection:
            restore = await RestoreRecords(connection).find_running()
            plans = await RestorePlanRecords(connection).list_computing()
            claims = ClaimRecords(connection)
            restores_held = await claims.list_held(ClaimKind.RESTORE) - self._restores.keys()
            plans_held = await claims.list_held(ClaimKind.PLAN) - self._plans.keys()
        if restore is not None and restore.id in restores_held:
            restore = None
        return _Due(restore, tuple(plan for plan in plans if plan.restore_id not in plans_held))

    def _step(self, due: _Due) -> None:
        if due.restore is not None and due.restore.id not in self._restores:
            restore_id = due.restore.id

            async def restore(claim: Claim) -> None:
                await self._restoring.run(restore_id, claim.confirm)

            self._start(self._restores, ClaimKind.RESTORE, restore_id, restore)
        wanted = {plan.restore_id: plan for plan in due.plans}
        for restore_id, task in self._plans.items():
            if restore_id not in wanted:  # options changed, dropped, or launched
                task.cancel()
        for plan in wanted.values():
            if plan.restore_id not in self._plans:
                self._start(self._plans, ClaimKind.PLAN, plan.restore_id, self._plan(plan))

    def _plan(self, plan: StoredPlan) -> Callable[[Claim], Awaitable[None]]:
        async def compute(claim: Claim) -> None:
            await self._planning.run(plan, claim.confirm)

        return compute

    def _start(
        self,
        running: dict[int, asyncio.Task[bool]],
        kind: ClaimKind,
        restore_id: int,
        work: Callable[[Claim], Awaitable[None]],
    ) -> None:
        carried_out = self._claims.carry_out(kind, restore_id, work)
        task = asyncio.create_task(carried_out, name=f"{kind}-{restore_id}")
        running[restore_id] = task
        task.add_done_callback(lambda done: self._ended(running, restore_id, done))

    def _ended(
        self, running: dict[int, asyncio.Task[bool]], restore_id: int, task: asyncio.Task[bool]
    ) -> None:
        running.pop(restore_id, None)
        trouble = None if task.cancelled() else task.exception()
        if trouble is not None:  # a bug; the state stays as it is, so it is tried again later
            logger.error("%s ended unexpectedly", task.get_name(), exc_info=trouble)
            return
        if not task.cancelled() and not task.result():
            return  # another engine has it: not at once again
        self._awake.set()
        self._wake_runner()  # the archive may be waiting to be removed

    async def _stop(self) -> None:
        tasks = [*self._restores.values(), *self._plans.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=FAREWELL_S)
            for task in late:
                logger.warning("%s did not stop within %.0f s", task.get_name(), FAREWELL_S)
