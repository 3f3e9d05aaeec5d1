"""Calls of the extension of restores: options, plan, progress, failures (docs/restore.md)."""

from collections.abc import AsyncIterator
from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import PAGE_LENGTH, Calls
from backup_api.extensions.restores import (
    DROP_PLAN,
    GET_PLAN,
    GET_RESTORE_OPTIONS,
    GET_RESTORE_PROGRESS,
    LIST_PLAN_ITEMS,
    LIST_RESTORE_FAILURES,
    SET_RESTORE_OPTIONS,
    START_PLAN,
    PlanAction,
    PlanItem,
    RestoreFailure,
    RestoreOptions,
    RestorePlan,
    RestoreProgress,
)
from backup_api.paging import ItemRange, Page

_OPTIONS: Final = TypeAdapter(RestoreOptions)
_PLAN: Final = TypeAdapter(RestorePlan)
_ITEMS: Final = TypeAdapter(tuple[PlanItem, ...])
_PROGRESS: Final = TypeAdapter(RestoreProgress)
_FAILURES: Final = TypeAdapter(tuple[RestoreFailure, ...])


class EngineRestoreCalls(Calls):
    """Options, plan, progress and failures of a restore; only an in-cluster engine has them."""

    async def get_restore_options(self, restore_id: int) -> RestoreOptions:
        """Get what a restore may do."""
        return await self._get(GET_RESTORE_OPTIONS, _OPTIONS, ids={"id": restore_id})

    async def set_restore_options(self, restore_id: int, options: RestoreOptions) -> RestoreOptions:
        """Replace what a PENDING restore may do.

        Sent once, harmless to repeat. Unless ``approved_plan`` alone is new, the plan is ABSENT
        afterwards. Refusals are rows of SetRestoreOptionsErrors.
        """
        ids = {"id": restore_id}
        answer = await self._exchange.send(SET_RESTORE_OPTIONS, ids=ids, body=options)
        return answer.parsed(_OPTIONS)

    async def start_plan(self, restore_id: int) -> RestorePlan:
        """Have the plan of a PENDING restore computed anew; one that is being computed goes on.

        Sent once, harmless to repeat. Poll get_plan until it is READY or FAILED.
        """
        answer = await self._exchange.send(START_PLAN, ids={"id": restore_id})
        return answer.parsed(_PLAN)

    async def get_plan(self, restore_id: int) -> RestorePlan:
        """Get the plan without its items."""
        return await self._get(GET_PLAN, _PLAN, ids={"id": restore_id})

    async def drop_plan(self, restore_id: int) -> RestorePlan:
        """Stop computing the plan of a PENDING restore, or forget it; it is ABSENT afterwards."""
        answer = await self._exchange.send(DROP_PLAN, ids={"id": restore_id})
        return answer.parsed(_PLAN)

    async def list_plan_items_page(
        self,
        restore_id: int,
        items: ItemRange,
        *,
        action: PlanAction | None = None,
        kind: str | None = None,
        namespace: str | None = None,
        filter_by: str | None = None,
    ) -> Page[PlanItem]:
        """List one stretch of a READY plan, by apiVersion, kind, namespace and name.

        ``action``, ``kind`` and ``namespace`` have to be as given; ``filter_by`` takes conditions
        on these and on api_version, name and reason (spec §2.8).
        """
        chosen = {"action": action, "kind": kind, "namespace": namespace}
        return await self._page(
            LIST_PLAN_ITEMS,
            _ITEMS,
            items,
            ids={"id": restore_id},
            query={name: value for name, value in chosen.items() if value is not None},
            filter_by=filter_by,
        )

    async def get_restore_progress(self, restore_id: int) -> RestoreProgress:
        """Get how far a restore is, or got, and why it failed."""
        return await self._get(GET_RESTORE_PROGRESS, _PROGRESS, ids={"id": restore_id})

    async def list_restore_failures_page(
        self, restore_id: int, items: ItemRange, *, filter_by: str | None = None
    ) -> Page[RestoreFailure]:
        """List one stretch of the objects that are not as wanted, in the order of their trouble."""
        return await self._page(
            LIST_RESTORE_FAILURES,
            _FAILURES,
            items,
            ids={"id": restore_id},
            filter_by=filter_by,
        )

    def list_restore_failures(
        self, restore_id: int, *, page_length: int = PAGE_LENGTH
    ) -> AsyncIterator[RestoreFailure]:
        """List all objects that are not as wanted, one page in memory at a time."""
        return self._each_by_position(
            LIST_RESTORE_FAILURES, _FAILURES, None, page_length, ids={"id": restore_id}
        )
