"""One plan of a restore, from COMPUTING to READY or FAILED; it changes nothing in the cluster."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.extensions.restores import PlanItem as WireItem
from backup_api.extensions.restores import PlanState, RestorePlan
from backup_engine.archive.errors import ArchiveError
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.records.database import Database
from backup_engine.records.restore_plans import PlanStaleError, RestorePlanRecords, StoredPlan
from backup_engine.records.restores import RestoreRecords, StoredRestore
from backup_engine.restore.errors import RestoreError
from backup_engine.restore.planning import PlanItem
from backup_engine.restore.run import plan_restore
from backup_engine.restore.wire import build_item, build_plan, parse_options
from backup_engine.runs.keeping import repeated
from backup_engine.runs.persistence import persist
from backup_engine.runs.restoring import (
    BUG,
    TOO_LONG,
    ArchiveOpener,
    Confirm,
    RestoreRules,
)

logger = logging.getLogger(__name__)

ITEMS_AT_ONCE: Final = 1000
TIME_LIMIT_S: Final = 3600.0
WRITE_EVERY_S: Final = 0.2


class Planning:
    """Computes plans; everything it needs is handed in."""

    def __init__(
        self,
        database: Database,
        cluster: ClusterConnection,
        opener: ArchiveOpener,
        clock: Callable[[], datetime],
        rules: RestoreRules,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._opener = opener
        self._clock = clock
        self._rules = rules

    async def run(self, plan: StoredPlan, confirm: Confirm) -> None:
        """Compute ``plan`` and store it; one that nobody wants any more is left alone.

        May be called again after a crash: it begins anew.
        """
        try:
            begun = await self._begin(plan, confirm)
            if begun is not None:
                await self._compute(*begun, confirm)
        except PlanStaleError:
            logger.info("restore %d: its plan is not wanted any more", plan.restore_id)

    async def _begin(
        self, plan: StoredPlan, confirm: Confirm
    ) -> tuple[StoredRestore, StoredPlan] | None:
        async def begin() -> tuple[StoredRestore, StoredPlan] | None:
            async with self._database.writing() as connection:
                await confirm(connection)
                stored = await RestoreRecords(connection).find(plan.restore_id)
                if stored is None:
                    return None
                return stored, await RestorePlanRecords(connection).begin(plan)

        return await persist(begin, f"restore {plan.restore_id}: beginning its plan")

    async def _compute(self, stored: StoredRestore, plan: StoredPlan, confirm: Confirm) -> None:
        items = _Items(lambda some: self._add_items(plan, some, confirm))
        limit = asyncio.timeout(TIME_LIMIT_S)
        state = PlanState.FAILED
        try:
            async with limit, repeated(items.flush, WRITE_EVERY_S):
                options = parse_options(stored.record.groups or (), stored.options)
                _, archive = await self._opener.open(stored)
                computed = await plan_restore(
                    options,
                    archive,
                    self._cluster,
                    limits=self._rules.limits,
                    take=items.take,
                )
            done = build_plan(computed, int(self._clock().timestamp() * 1000))
            state = PlanState.READY
        except (RestoreError, ArchiveError) as trouble:
            done = RestorePlan(reason=trouble.reason, message=trouble.message)
        except ClusterError as trouble:
            done = RestorePlan(reason="ClusterUnreachable", message=str(trouble))
        except TimeoutError:
            message = f"not computed within {TIME_LIMIT_S:.0f} s"
            done = RestorePlan(reason=TOO_LONG, message=message)
        except PlanStaleError:
            raise
        except Exception as bug:  # whatever it is, the client must not wait for ever
            logger.exception("restore %d: its plan failed unexpectedly", stored.id)
            message = f"{type(bug).__name__}; the engine's log tells more"
            done = RestorePlan(reason=BUG, message=message)
        await self._finish(plan, done, state, confirm)
        logger.info("restore %d: plan %s %s", stored.id, state, done.digest or done.message)

    async def _finish(
        self, plan: StoredPlan, done: RestorePlan, state: PlanState, confirm: Confirm
    ) -> None:
        async def finish(connection: AsyncConnection) -> None:
            await RestorePlanRecords(connection).finish(plan, done, state)

        await self._write(plan, finish, confirm)

    async def _add_items(self, plan: StoredPlan, items: list[WireItem], confirm: Confirm) -> None:
        async def add(connection: AsyncConnection) -> None:
            await RestorePlanRecords(connection).add_items(plan, items)

        await self._write(plan, add, confirm)

    async def _write(
        self,
        plan: StoredPlan,
        work: Callable[[AsyncConnection], Awaitable[None]],
        confirm: Confirm,
    ) -> None:
        async def write() -> None:
            async with self._database.writing() as connection:
                await confirm(connection)
                await work(connection)

        await persist(write, f"restore {plan.restore_id}: writing its plan")


class _Items:
    """Takes the items of a plan as they are found, and stores them many at a time."""

    def __init__(self, store: Callable[[list[WireItem]], Awaitable[None]]) -> None:
        self._store = store
        self._found: list[PlanItem] = []

    def take(self, item: PlanItem) -> None:
        self._found.append(item)

    async def flush(self) -> None:
        while self._found:
            some, self._found = self._found[:ITEMS_AT_ONCE], self._found[ITEMS_AT_ONCE:]
            await self._store([build_item(item) for item in some])
