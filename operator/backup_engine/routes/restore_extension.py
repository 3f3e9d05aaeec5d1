"""``/backup_engine/restores/{id}``: options, plan, progress and failures (docs/restore.md)."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from backup_api.errors import FrameworkErrors
from backup_api.extensions.restores import (
    DROP_PLAN,
    GET_PLAN,
    GET_RESTORE_OPTIONS,
    GET_RESTORE_PROGRESS,
    LIST_PLAN_ITEMS,
    LIST_RESTORE_FAILURES,
    SET_RESTORE_OPTIONS,
    START_PLAN,
    ChangePlanErrors,
    ListPlanItemsErrors,
    PlanAction,
    PlanItem,
    ReadRestoreExtensionErrors,
    RestoreFailure,
    RestoreOptions,
    RestorePlan,
    RestoreProgress,
    SetRestoreOptionsErrors,
)
from backup_engine.errors import RefusalError
from backup_engine.query.binding import Bound
from backup_engine.query.shapes import build_members
from backup_engine.query.terms import And, Compare, Comparison, Member
from backup_engine.restore_extension import RestoreExtension
from backup_engine.routes.answers import build_answer
from backup_engine.routes.call import CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_page
from backup_engine.routes.parameters import convert_body, convert_filter, convert_range
from backup_engine.routes.restores import convert_restore_id

ITEM_MEMBERS: Final = build_members(PlanItem, without={"changes"})
FAILURE_MEMBERS: Final = build_members(RestoreFailure)

_UNKNOWN: Final = ReadRestoreExtensionErrors.UNKNOWN_RESTORE
_QUERIES: Final = {
    "action": "only items with this action: " + ", ".join(PlanAction),
    "kind": "only items of this kind",
    "namespace": "only items in this namespace",
}


def build_restore_extension_routes(extension: RestoreExtension) -> APIRouter:
    """Build the routes; each converts, calls one use case and answers."""
    router = APIRouter(tags=["restores"])

    @router.api_route(**document(GET_RESTORE_OPTIONS, RestoreOptions, has_fields=False))
    async def get_restore_options(call: CurrentCall) -> Response:
        """Get what a restore may do."""
        options = await extension.get_options(convert_restore_id(call, _UNKNOWN))
        return build_answer(options.model_dump(mode="json"), GET_RESTORE_OPTIONS.success)

    @router.api_route(
        **document(SET_RESTORE_OPTIONS, RestoreOptions, body=RestoreOptions, has_fields=False)
    )
    async def set_restore_options(call: CurrentCall) -> Response:
        """Replace what a PENDING restore may do."""
        body = convert_body(call.body, RestoreOptions, "options", is_exact=True)
        restore_id = convert_restore_id(call, SetRestoreOptionsErrors.UNKNOWN_RESTORE)
        options = await extension.set_options(restore_id, body)
        call.subject = f"restore {restore_id} options, approved {options.approved_plan}"
        return build_answer(options.model_dump(mode="json"), SET_RESTORE_OPTIONS.success)

    @router.api_route(**document(START_PLAN, RestorePlan, has_fields=False))
    async def start_plan(call: CurrentCall) -> Response:
        """Have the plan of a PENDING restore computed; it changes nothing in the cluster."""
        restore_id = convert_restore_id(call, ChangePlanErrors.UNKNOWN_RESTORE)
        plan = await extension.start_plan(restore_id)
        call.subject = f"restore {restore_id} plan {plan.state}"
        return build_answer(plan.model_dump(mode="json"), START_PLAN.success)

    @router.api_route(**document(GET_PLAN, RestorePlan, has_fields=False))
    async def get_plan(call: CurrentCall) -> Response:
        """Get the plan of a restore without its items."""
        plan = await extension.get_plan(convert_restore_id(call, _UNKNOWN))
        return build_answer(plan.model_dump(mode="json"), GET_PLAN.success)

    @router.api_route(**document(DROP_PLAN, RestorePlan, has_fields=False))
    async def drop_plan(call: CurrentCall) -> Response:
        """Forget the plan of a PENDING restore, or stop its computation."""
        restore_id = convert_restore_id(call, ChangePlanErrors.UNKNOWN_RESTORE)
        plan = await extension.drop_plan(restore_id)
        call.subject = f"restore {restore_id} plan dropped"
        return build_answer(plan.model_dump(mode="json"), DROP_PLAN.success)

    @router.api_route(
        **document(LIST_PLAN_ITEMS, list[PlanItem], queries=_QUERIES, has_fields=False)
    )
    async def list_plan_items(call: CurrentCall) -> Response:
        """List the items of a READY plan."""
        query = call.query()
        items = convert_range(call.headers.get("range"))
        condition = convert_item_query(query)
        restore_id = convert_restore_id(call, ListPlanItemsErrors.UNKNOWN_RESTORE)
        page = await extension.list_plan_items(restore_id, condition, items)
        elements = (each.model_dump(mode="json") for each in page.records)
        return answer_page(LIST_PLAN_ITEMS, elements, None, page.first, page.total or 0)

    @router.api_route(**document(GET_RESTORE_PROGRESS, RestoreProgress, has_fields=False))
    async def get_restore_progress(call: CurrentCall) -> Response:
        """Get how far a restore is, or got, and why it failed."""
        progress = await extension.get_progress(convert_restore_id(call, _UNKNOWN))
        return build_answer(progress.model_dump(mode="json"), GET_RESTORE_PROGRESS.success)

    @router.api_route(**document(LIST_RESTORE_FAILURES, list[RestoreFailure], has_fields=False))
    async def list_restore_failures(call: CurrentCall) -> Response:
        """List the objects that are not as wanted, so far."""
        items = convert_range(call.headers.get("range"))
        condition = convert_filter(call.query().get("filter"), FAILURE_MEMBERS)
        restore_id = convert_restore_id(call, _UNKNOWN)
        page = await extension.list_failures(restore_id, condition, items)
        elements = (each.model_dump(mode="json") for each in page.records)
        return answer_page(LIST_RESTORE_FAILURES, elements, None, page.first, page.total or 0)

    return router


def convert_item_query(query: Mapping[str, str]) -> Bound | None:
    """Read ``action``, ``kind``, ``namespace`` and ``filter`` as one condition.

    Raises RefusalError 11.
    """
    action = query.get("action")
    if action is not None and action not in set(PlanAction):
        expected = ", ".join(PlanAction)
        message = f'Failed to transform user query parameter "action": expected {expected}'
        raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message)
    for name in _QUERIES:
        if "\0" in query.get(name, ""):
            message = f'Failed to transform user query parameter "{name}": it holds NUL'
            raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message)
    conditions: list[Bound] = [
        Compare(Member((name,), 0), Comparison.EQUAL, query[name])
        for name in _QUERIES
        if name in query
    ]
    filtered = convert_filter(query.get("filter"), ITEM_MEMBERS)
    if filtered is not None:
        conditions.append(filtered)
    return And(tuple(conditions)) if conditions else None
