"""Rows of the plans of restores, and of their items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.extensions.restores import PlanItem, PlanState, RestorePlan
from backup_api.paging import ItemRange, Page
from backup_engine.query.binding import Bound
from backup_engine.query.sql import build_condition
from backup_engine.records.pages import read_page
from backup_engine.records.tables import RESTORE_PLAN_ITEMS, RESTORE_PLANS

ITEM_COLUMNS: Final = {
    name: RESTORE_PLAN_ITEMS.c[name] for name in PlanItem.model_fields if name != "changes"
}
"""Columns by the wire's names of the members, those apart that no filter can ask for."""


class PlanStaleError(Exception):
    """The plan being computed is not wanted any more: options changed, dropped, or launched."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan; ``number`` tells one computation from the next."""

    restore_id: int
    number: int
    plan: RestorePlan

    @property
    def is_computing(self) -> bool:
        """Whether there is work to do."""
        return self.plan.state is PlanState.COMPUTING


class RestorePlanRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, restore_id: int) -> None:
        """Store that a new restore has no plan; the items of older restores go."""
        row = {"restore_id": restore_id, "number": 0, **_columns(RestorePlan(), PlanState.ABSENT)}
        await self._connection.execute(insert(RESTORE_PLANS).values(**row))
        # there is one open restore at most, and nobody decides by the plan of one that is over
        await self._connection.execute(
            delete(RESTORE_PLAN_ITEMS).where(RESTORE_PLAN_ITEMS.c.restore_id < restore_id)
        )

    async def get(self, restore_id: int) -> StoredPlan:
        """Get the plan of a restore that exists."""
        found = await self._connection.execute(
            select(RESTORE_PLANS).where(RESTORE_PLANS.c.restore_id == restore_id)
        )
        return _stored(found.mappings().one())

    async def list_computing(self) -> list[StoredPlan]:
        """List the plans that are to be computed."""
        rows = await self._connection.execute(
            select(RESTORE_PLANS).where(RESTORE_PLANS.c.state == PlanState.COMPUTING.value)
        )
        return [_stored(row) for row in rows.mappings()]

    async def start(self, restore_id: int) -> StoredPlan:
        """Have the plan computed anew; one that is being computed goes on."""
        at_rest = and_(
            RESTORE_PLANS.c.restore_id == restore_id,
            RESTORE_PLANS.c.state != PlanState.COMPUTING.value,
        )
        await self._renew(at_rest, PlanState.COMPUTING)
        return await self.get(restore_id)

    async def drop(self, restore_id: int) -> StoredPlan:
        """Forget the plan, or stop its computation."""
        await self._renew(RESTORE_PLANS.c.restore_id == restore_id, PlanState.ABSENT)
        return await self.get(restore_id)

    async def stop(self, restore_id: int) -> None:
        """Stop the computation, if there is one; a plan that is READY stays to be read."""
        computing = and_(
            RESTORE_PLANS.c.restore_id == restore_id,
            RESTORE_PLANS.c.state == PlanState.COMPUTING.value,
        )
        await self._renew(computing, PlanState.ABSENT)

    async def begin(self, plan: StoredPlan) -> StoredPlan:
        """Begin the computation under a new number; raises PlanStaleError.

        What an attempt that was cut off left behind is removed.
        """
        if not await self._renew(_of(plan), PlanState.COMPUTING):
            raise PlanStaleError
        await self._connection.execute(
            delete(RESTORE_PLAN_ITEMS).where(RESTORE_PLAN_ITEMS.c.restore_id == plan.restore_id)
        )
        return await self.get(plan.restore_id)

    async def add_items(self, plan: StoredPlan, items: Sequence[PlanItem]) -> None:
        """Store some items; raises PlanStaleError."""
        await self._ensure_wanted(plan)
        if items:
            place = {"restore_id": plan.restore_id, "number": plan.number}
            rows = [{**place, **item.model_dump(mode="json")} for item in items]
            await self._connection.execute(insert(RESTORE_PLAN_ITEMS), rows)

    async def finish(self, plan: StoredPlan, done: RestorePlan, state: PlanState) -> None:
        """End the computation; raises PlanStaleError."""
        await self._ensure_wanted(plan)
        await self._connection.execute(
            update(RESTORE_PLANS).where(_of(plan)).values(**_columns(done, state))
        )

    async def list_items(
        self, plan: StoredPlan, condition: Bound | None, items: ItemRange | None
    ) -> Page[PlanItem]:
        """List the items of a plan by apiVersion, kind, namespace and name."""
        columns = RESTORE_PLAN_ITEMS.c
        where = and_(columns.restore_id == plan.restore_id, columns.number == plan.number)
        if condition is not None:
            where = and_(where, build_condition(condition, ITEM_COLUMNS))
        order = [
            columns.api_version.asc(),
            columns.kind.asc(),
            columns.namespace.asc().nulls_first(),
            columns.name.asc(),
            columns.id.asc(),
        ]
        page = await read_page(self._connection, RESTORE_PLAN_ITEMS, where, order, items)
        found = tuple(PlanItem.model_validate(dict(row)) for row in page.records)
        return Page(found, page.first, page.total)

    async def _renew(self, where: ColumnElement[bool], state: PlanState) -> bool:
        """Begin a new number in ``state``; False if nothing is ``where``."""
        renewed = await self._connection.execute(
            update(RESTORE_PLANS)
            .where(where)
            .values(number=RESTORE_PLANS.c.number + 1, **_columns(RestorePlan(), state))
        )
        return renewed.rowcount == 1

    async def _ensure_wanted(self, plan: StoredPlan) -> None:
        """Lock the row of ``plan``; raises PlanStaleError if it is not being computed any more."""
        touched = await self._connection.execute(
            update(RESTORE_PLANS).where(_of(plan)).values(number=plan.number)
        )
        if touched.rowcount != 1:
            raise PlanStaleError


def _of(plan: StoredPlan) -> ColumnElement[bool]:
    return and_(
        RESTORE_PLANS.c.restore_id == plan.restore_id,
        RESTORE_PLANS.c.number == plan.number,
        RESTORE_PLANS.c.state == PlanState.COMPUTING.value,
    )


def _columns(plan: RestorePlan, state: PlanState) -> dict[str, Any]:
    return {"state": state.value, "summary": plan.model_dump(mode="json", exclude={"state"})}


def _stored(row: RowMapping) -> StoredPlan:
    plan = RestorePlan.model_validate({**row["summary"], "state": row["state"]})
    return StoredPlan(row["restore_id"], row["number"], plan)
