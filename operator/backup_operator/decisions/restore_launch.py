"""A Restore whose record is known: planned, approved, launched once, and followed to its end."""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from backup_api.errors import ErrorClass
from backup_api.extensions.restores import PlanState, RestoreOptions, RestoreRule
from backup_api.restores import LaunchRestoreErrors, RestoreRecord, RestoreStatus
from backup_operator.decisions.refusals import refusal_reason
from backup_operator.decisions.restore_facts import (
    ComputePlan,
    LaunchRestoreRecord,
    LookAtRestore,
    ReportRestore,
    RestoreDecision,
    RestoreSeen,
    RestoreStanding,
    RestoreView,
    SetOptions,
    WriteLaunchAhead,
)
from backup_operator.decisions.restore_plan import tell_plan
from backup_operator.decisions.restore_refusals import explain_refusal
from backup_operator.decisions.restore_standings import (
    await_approval,
    cancelled,
    failed,
    find_deadline,
    overdue,
    refused,
)
from backup_operator.resources.restore import RestoreMode, RestoreSpec
from backup_operator.resources.restore_status import RestoreLaunch, RestorePhase

PLAN_LOOK: Final = timedelta(seconds=1)
RUN_LOOK: Final = timedelta(seconds=2)
LONG_LOOK: Final = timedelta(seconds=10)
LONG: Final = timedelta(minutes=2)
APPROVAL_LOOK: Final = timedelta(seconds=30)
BUSY_PAUSE: Final = timedelta(seconds=10)

PHASE_OF: Final = MappingProxyType(
    {
        RestoreStatus.PENDING: RestorePhase.PENDING,
        RestoreStatus.REQUESTING: RestorePhase.REQUESTING,
        RestoreStatus.INITIALIZING: RestorePhase.INITIALIZING,
        RestoreStatus.IN_PROGRESS: RestorePhase.IN_PROGRESS,
        RestoreStatus.SUCCESS: RestorePhase.SUCCEEDED,
        RestoreStatus.FAILED: RestorePhase.FAILED,
    }
)
"""The phase of every state of a record (spec §4.0)."""

DROPPED: Final = "Its record was dropped at the engine before it was launched."
DROPPED_RUNNING: Final = (
    "Its record was dropped at the engine. That does not stop a restore that runs, but how it ends"
    " can no longer be asked."
)


def decide_record(
    wanted: RestoreSpec, seen: RestoreSeen, restore_id: int, now: datetime
) -> RestoreDecision:
    """Choose the next step for a Restore whose id at the engine is known."""
    view = seen.memory.view
    if view is None or now >= view.at + _patience(seen, view, now):
        return LookAtRestore(restore_id)
    record = view.record
    if record is None:
        launched = seen.status.launch is not None
        return ReportRestore(cancelled(DROPPED_RUNNING if launched else DROPPED))
    match record.status:
        case RestoreStatus.PENDING:
            return _decide_pending(wanted, seen, view, record, now)
        case RestoreStatus.SUCCESS:
            return ReportRestore(_succeeded(view))
        case RestoreStatus.FAILED:
            return ReportRestore(_failed(view))
        case RestoreStatus() as status:
            deadline = find_deadline(wanted, seen)
            if deadline is not None and now >= deadline:
                return ReportRestore(overdue(wanted, f"The engine reports it as {status.value}."))
            standing = RestoreStanding(
                phase=PHASE_OF[status],
                reason=PHASE_OF[status].value,
                message=_tell_progress(view),
                is_approved=True,
            )
            return ReportRestore(standing, view.at + _patience(seen, view, now))
        case None:
            standing = RestoreStanding(
                phase=None,
                reason="StatusUnknown",
                message="The engine reports the restore without a status.",
            )
            return ReportRestore(standing, view.at + LONG_LOOK)


def build_options(wanted: RestoreSpec, approved: str | None) -> RestoreOptions:
    """Translate the options of the spec into those of the wire."""
    return RestoreOptions(
        existing=wanted.existing,
        namespace_mapping=dict(wanted.namespace_mapping),
        include=tuple(RestoreRule(**rule.model_dump()) for rule in wanted.include),
        exclude=tuple(RestoreRule(**rule.model_dump()) for rule in wanted.exclude),
        with_status=tuple(wanted.with_status),
        approved_plan=approved,
    )


def _patience(seen: RestoreSeen, view: RestoreView, now: datetime) -> timedelta:
    """Return how long a view counts."""
    record = view.record
    if record is None or record.status in {RestoreStatus.SUCCESS, RestoreStatus.FAILED}:
        return timedelta(days=36_500)  # nothing changes any more
    if record.status is RestoreStatus.PENDING and seen.status.launch is None:
        is_ready = view.plan is None or view.plan.state is PlanState.READY
        return APPROVAL_LOOK if is_ready else PLAN_LOOK
    launch = seen.status.launch
    is_long = launch is not None and now > launch.requested_at + LONG
    return LONG_LOOK if is_long else RUN_LOOK


def _decide_pending(
    wanted: RestoreSpec,
    seen: RestoreSeen,
    view: RestoreView,
    record: RestoreRecord,
    now: datetime,
) -> RestoreDecision:
    refusal = seen.memory.options_refusal
    if refusal is not None and refusal.error_class is ErrorClass.FINAL:
        return ReportRestore(refused(refusal))
    if view.is_in_cluster:
        planning = _decide_plan(wanted, seen, view, record)
        if planning is not None:
            return planning
    elif wanted.has_cluster_options:
        message = (
            "namespaceMapping, include, exclude, existing and withStatus are options of an"
            " in-cluster engine; this engine is an appliance."
        )
        return ReportRestore(failed("OptionsNotSupported", message))
    if seen.status.launch is not None:
        return _launch(seen, record, now)
    plan = tell_plan(wanted, view, record)
    approved = wanted.auto_approve or wanted.approved_plan == plan.digest
    if wanted.mode is RestoreMode.PLAN or not approved:
        return ReportRestore(await_approval(wanted, plan), view.at + APPROVAL_LOOK)
    message = f"The plan {plan.digest} is approved; launching the restore."
    standing = RestoreStanding(
        phase=RestorePhase.REQUESTING,
        reason="Approved",
        message=message,
        is_approved=True,
        plan=plan,
    )
    return WriteLaunchAhead(RestoreLaunch(requested_at=now, digest=plan.digest), standing)


def _decide_plan(
    wanted: RestoreSpec,
    seen: RestoreSeen,
    view: RestoreView,
    record: RestoreRecord,
) -> RestoreDecision | None:
    """Bring an in-cluster engine to a plan that is as the spec asks; None: there is one."""
    launch = seen.status.launch
    approved = launch.digest if launch is not None else None
    options = build_options(wanted, approved)
    # A plan is lost whenever anything but the approval is set anew.
    if view.options is None or view.options != options:
        return SetOptions(record.id, options)
    plan = view.plan
    if launch is not None:
        return None
    if plan is None or plan.state in {None, PlanState.ABSENT}:
        return ComputePlan(record.id)
    if plan.state is PlanState.FAILED:
        reason = plan.reason or "PlanFailed"
        return ReportRestore(failed(reason, plan.message or "The plan could not be computed."))
    if plan.state is PlanState.COMPUTING or plan.digest is None:
        standing = RestoreStanding(
            phase=RestorePhase.PLANNING,
            reason="Planning",
            message="The engine compares the archive with the cluster.",
        )
        return ReportRestore(standing, view.at + PLAN_LOOK)
    return None


def _launch(seen: RestoreSeen, record: RestoreRecord, now: datetime) -> RestoreDecision:
    """Launch what is approved; a POST that is lost shows in the record, and is safe to repeat."""
    refusal = seen.memory.launch_refusal
    if refusal is None or refusal.row is LaunchRestoreErrors.NOT_PENDING:
        return LaunchRestoreRecord(record.id)
    if refusal.error_class is ErrorClass.FINAL:
        return ReportRestore(refused(refusal))
    again = refusal.at + BUSY_PAUSE
    if now >= again:
        return LaunchRestoreRecord(record.id)
    standing = RestoreStanding(
        phase=RestorePhase.REQUESTING,
        reason=refusal_reason(refusal.row),
        message=f"{explain_refusal(refusal)} Waiting, and launching again.",
        is_approved=True,
    )
    return ReportRestore(standing, again)


def _tell_progress(view: RestoreView) -> str:
    progress = view.progress
    if progress is None or not progress.total:
        if view.is_in_cluster:
            return "The engine begins to restore."
        return "The engine restores; an appliance stops all of its services meanwhile."
    trouble = f", {progress.failed} in trouble" if progress.failed else ""
    return f"Restoring: {progress.settled} of {progress.total} objects{trouble}."


def _succeeded(view: RestoreView) -> RestoreStanding:
    progress = view.progress
    message = "The restore finished without errors."
    if progress is not None and progress.settled:
        counts = progress.counts
        message = (
            f"The restore finished without errors: {counts.create} created, {counts.update}"
            f" updated, {counts.recreate} recreated, {counts.unchanged} unchanged,"
            f" {counts.conflict} left as they were."
        )
    return RestoreStanding(
        phase=RestorePhase.SUCCEEDED,
        reason="Succeeded",
        message=message,
        is_over=True,
        is_good=True,
        is_approved=True,
    )


def _failed(view: RestoreView) -> RestoreStanding:
    progress = view.progress
    reason = progress.reason if progress is not None and progress.reason else "RestoreFailed"
    message = "The engine reports that the restore failed; its own log says why."
    if progress is not None and progress.message:
        message = progress.message
    if progress is not None and progress.failed:
        message += (
            f" {progress.failed} of {progress.total} objects are not as wanted,"
            f" {progress.remaining} remain; status.failures has the first of them."
        )
    return failed(reason, message)
