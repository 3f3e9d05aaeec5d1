"""Brings every restore, and every plan that is asked for, to where it should go."""

from collections.abc import Awaitable, Callable
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
from backup_engine.runs.resync import RESYNC_S, ClaimedTasks, ResyncLoop, stop_tasks

RESYNC_SHARED_S: Final = 1.0  # another engine's requests wake nobody here


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
        self._restoring = restoring
        self._planning = planning
        self._wake_runner = wake_runner
        self._loop = ResyncLoop(RESYNC_SHARED_S if database.is_shared else RESYNC_S)
        self._restores = ClaimedTasks(claims, ClaimKind.RESTORE, "restore", self._ended)
        self._plans = ClaimedTasks(claims, ClaimKind.PLAN, "plan", self._ended)

    def wake(self) -> None:
        """Have the restorer look at the database soon."""
        self._loop.wake()

    async def run(self) -> None:
        """Work until cancelled; what is cut off by that is carried on by the next start."""
        try:
            await self._loop.run(self._look)
        finally:
            await stop_tasks(self._restores, self._plans)

    async def _look(self) -> None:
        self._step(await persist(self._find_due, "looking for restores"))

    async def _find_due(self) -> _Due:
        async with self._database.reading() as connection:
            restore = await RestoreRecords(connection).find_running()
            plans = await RestorePlanRecords(connection).list_computing()
            claims = ClaimRecords(connection)
            restores_held = await claims.list_held(ClaimKind.RESTORE) - self._restores.ids
            plans_held = await claims.list_held(ClaimKind.PLAN) - self._plans.ids
        if restore is not None and restore.id in restores_held:
            restore = None
        return _Due(restore, tuple(plan for plan in plans if plan.restore_id not in plans_held))

    def _step(self, due: _Due) -> None:
        if due.restore is not None and due.restore.id not in self._restores.ids:
            self._restores.start(due.restore.id, self._restore(due.restore.id))
        wanted = {plan.restore_id: plan for plan in due.plans}
        for restore_id in self._plans.ids - wanted.keys():  # options changed, dropped, or launched
            self._plans.cancel(restore_id)
        for restore_id in wanted.keys() - self._plans.ids:
            self._plans.start(restore_id, self._plan(wanted[restore_id]))

    def _restore(self, restore_id: int) -> Callable[[Claim], Awaitable[None]]:
        async def restore(claim: Claim) -> None:
            await self._restoring.run(restore_id, claim.confirm)

        return restore

    def _plan(self, plan: StoredPlan) -> Callable[[Claim], Awaitable[None]]:
        async def compute(claim: Claim) -> None:
            await self._planning.run(plan, claim.confirm)

        return compute

    def _ended(self) -> None:
        self.wake()
        self._wake_runner()  # the archive may be waiting to be removed
