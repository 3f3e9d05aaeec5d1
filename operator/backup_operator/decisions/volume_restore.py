"""The one decision about a Restore of volumes: planned, approved, requested once, followed.

Its request carries a key of the Restore's own, by which the engine knows it when it comes again
(ADR 14).
"""

from datetime import datetime, timedelta
from typing import Final

from backup_api.extensions.volumes import (
    UNFINISHED,
    CreateVolumeRestoreErrors,
    VolumeRestoreStatus,
)
from backup_operator.decisions.restore_facts import (
    AdoptVolumes,
    CancelVolumes,
    CreateVolumes,
    FindVolumes,
    KeepRestore,
    LookAtVolumes,
    PlanVolumes,
    ReportRestore,
    RestoreDecision,
    RestoreSeen,
    RestoreStanding,
    RestRestore,
    VolumesPlanned,
    WriteVolumesAhead,
)
from backup_operator.decisions.restore_standings import (
    RECHECK,
    await_approval,
    cancelled,
    failed,
    find_obstacle,
    find_release,
    is_finished,
    obstructed,
    pending,
    refused,
)
from backup_operator.decisions.volume_requests import build_key, build_plan_request, build_request
from backup_operator.decisions.volume_standings import (
    describe_end,
    describe_running,
    is_overdue,
    over_time,
    tell_volume_plan,
    wait_for_engine,
)
from backup_operator.resources.group import FINALIZER
from backup_operator.resources.restore import RestoreMode, RestoreSpec
from backup_operator.resources.restore_status import (
    RestoreLaunch,
    RestorePhase,
    RestoreSubmission,
)

APPROVAL_LOOK: Final = timedelta(seconds=30)
BLOCKED_LOOK: Final = timedelta(seconds=10)
RUN_LOOK: Final = timedelta(seconds=2)
LONG_LOOK: Final = timedelta(seconds=10)
LONG: Final = timedelta(minutes=2)
SETTLE: Final = timedelta(seconds=3)

NEVER_REQUESTED: Final = "It was cancelled before anything was requested of the engine."
STOPPED: Final = "The restore was stopped; what it had written until then stays."
NOT_SERVED: Final = (
    "spec.volumes: the engine restores no volumes; it is an appliance, or older than this operator."
)
VANISHED: Final = (
    "The engine no longer has a record of the restore; look at the volumes themselves."
)

_OVER: Final = frozenset(
    {VolumeRestoreStatus.SUCCESS, VolumeRestoreStatus.FAILED, VolumeRestoreStatus.CANCELLED}
)
_STOPPABLE: Final = UNFINISHED - {VolumeRestoreStatus.CANCELLING}


def decide_volume_restore(wanted: RestoreSpec, seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Choose the next step for one Restore of volumes from facts alone. Total: it never raises."""
    if seen.metadata.is_deleting or is_finished(seen):
        return _let_go(seen, now)
    if seen.memory.restored is not None and seen.status.id is None:
        return AdoptVolumes(seen.memory.restored, is_found=False)
    if wanted.cancel and seen.status.launch is None:
        return ReportRestore(cancelled(NEVER_REQUESTED))
    if seen.engine.is_connecting:
        return RestRestore()
    if seen.engine.trouble is not None:
        return wait_for_engine(wanted, seen, now)
    if (obstacle := find_obstacle(seen, now)) is not None:
        return obstructed(wanted, seen, obstacle, now)
    if seen.status.id is not None:
        return _follow(wanted, seen, seen.status.id, now)
    if seen.status.launch is not None and seen.status.submission is not None:
        return _request(wanted, seen, seen.status.submission, seen.status.launch, now)
    return _plan(wanted, seen, now)


def _let_go(seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Let go of what is over; of what runs and is deleted, once the engine was told to stop it."""
    if FINALIZER not in seen.metadata.finalizers:
        return RestRestore()
    if is_finished(seen) or seen.status.launch is None:
        return KeepRestore(wanted=False)
    if seen.engine.is_connecting:
        return RestRestore()
    if (release := find_release(seen, now)) is not None:
        return release
    memory = seen.memory
    found = memory.restored or (memory.lost.record if memory.lost is not None else None)
    restore_id = seen.status.id or (found.id if found is not None else None)
    if restore_id is None:
        is_unsent = memory.unsent_attempt == 1
        if is_unsent or memory.lost is not None:
            return KeepRestore(wanted=False)
        return FindVolumes(build_key(seen.metadata))
    view = memory.volumes
    if view is None or (view.record is not None and view.record.status in _STOPPABLE):
        return CancelVolumes(restore_id)
    return KeepRestore(wanted=False)


def _plan(wanted: RestoreSpec, seen: RestoreSeen, now: datetime) -> RestoreDecision:
    if seen.not_allowed is not None:
        trouble = seen.not_allowed
        standing = pending(trouble.reason, trouble.message, is_stalled=True)
        return ReportRestore(standing, now + RECHECK)
    if not wanted.has_host and seen.backup_id is None:
        return _wait_for_backup(seen)
    planned = seen.memory.planned
    if planned is None or now >= planned.at + _patience(wanted, planned):
        request = build_plan_request(wanted, seen.backup_id, seen.metadata.namespace or "")
        return PlanVolumes(request)
    if planned.refusal is not None:
        return ReportRestore(refused(planned.refusal))
    if planned.plan is None:
        return ReportRestore(failed("VolumesNotSupported", NOT_SERVED))
    told = tell_volume_plan(planned.plan)
    again = planned.at + _patience(wanted, planned)
    if wanted.mode is RestoreMode.PLAN or not _is_approved(wanted, told.digest):
        return ReportRestore(await_approval(wanted, told), again)
    obstacle = next((each for each in planned.plan.volumes if each.reason is not None), None)
    if obstacle is not None and obstacle.reason is not None:
        message = f"Nothing was written. {obstacle.message or obstacle.reason}. Looking again."
        standing = RestoreStanding(
            phase=RestorePhase.PENDING,
            reason=obstacle.reason,
            message=message,
            is_stalled=True,
            is_approved=True,
            plan=told,
        )
        return ReportRestore(standing, again)
    if FINALIZER not in seen.metadata.finalizers:
        return KeepRestore(wanted=True)  # before the request, so that deleting it stops what runs
    offset = seen.engine.clock_offset
    submission = RestoreSubmission(
        backup_id=planned.plan.backup_id,
        submitted_at=now,
        engine_time=now + offset if offset is not None else None,
    )
    standing = RestoreStanding(
        phase=RestorePhase.REQUESTING,
        reason="Approved",
        message=f"The plan {told.digest} is approved; requesting the restore.",
        is_approved=True,
        plan=told,
    )
    launch = RestoreLaunch(requested_at=now, digest=told.digest)
    return WriteVolumesAhead(submission, launch, standing)


def _wait_for_backup(seen: RestoreSeen) -> RestoreDecision:
    trouble = seen.backup_trouble
    if trouble is None:
        return RestRestore()
    if seen.backup_is_lost:
        return ReportRestore(failed(trouble.reason, trouble.message))
    return ReportRestore(pending(trouble.reason, trouble.message, is_stalled=trouble.needs_people))


def _is_approved(wanted: RestoreSpec, digest: str) -> bool:
    return wanted.auto_approve or wanted.approved_plan == digest


def _patience(wanted: RestoreSpec, planned: VolumesPlanned) -> timedelta:
    """Return how long a plan counts: one that only waits for its targets is soon made anew."""
    waits = wanted.mode is RestoreMode.APPLY and planned.plan is not None
    return BLOCKED_LOOK if waits else APPROVAL_LOOK


def _request(
    wanted: RestoreSpec,
    seen: RestoreSeen,
    submission: RestoreSubmission,
    launch: RestoreLaunch,
    now: datetime,
) -> RestoreDecision:
    """Make the request that was written ahead; one whose answer was lost is made again."""
    memory = seen.memory
    if memory.lost is not None and memory.lost.record is not None:
        return AdoptVolumes(memory.lost.record, is_found=True)
    if wanted.cancel:
        return _cancel_unanswered(seen, now)
    refusal = memory.refusal
    if refusal is not None:
        if refusal.row is CreateVolumeRestoreErrors.PLAN_CHANGED:
            message = (
                "The plan changed between its approval and the request; nothing was written."
                f" ({refusal.message})"
            )
            return ReportRestore(failed("PlanChanged", message, refusal))
        return ReportRestore(refused(refusal))
    return CreateVolumes(build_request(wanted, seen.metadata, submission, launch))


def _cancel_unanswered(seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Find out whether the request arrived; one that never left us did not."""
    memory = seen.memory
    if memory.unsent_attempt or memory.refusal is not None:
        return ReportRestore(cancelled(NEVER_REQUESTED))
    if memory.lost is None or memory.first_look_at is None:
        return FindVolumes(build_key(seen.metadata))
    settled = memory.first_look_at + SETTLE
    if memory.lost.at >= settled:
        return ReportRestore(cancelled(NEVER_REQUESTED))
    if now >= settled:
        return FindVolumes(build_key(seen.metadata))
    standing = pending("Cancelling", "Finding out whether the request arrived at the engine.")
    return ReportRestore(standing, settled)


def _follow(
    wanted: RestoreSpec, seen: RestoreSeen, restore_id: int, now: datetime
) -> RestoreDecision:
    view = seen.memory.volumes
    if view is None:
        return LookAtVolumes(restore_id)
    record = view.record
    if record is None:
        return ReportRestore(failed("RecordVanished", VANISHED))
    if record.status is VolumeRestoreStatus.CANCELLED:
        if is_overdue(wanted, seen, record):
            return ReportRestore(over_time(wanted))
        return ReportRestore(cancelled(STOPPED))
    if record.status in _OVER:
        return ReportRestore(describe_end(record))
    launch = seen.status.launch
    is_long = launch is not None and now > launch.requested_at + LONG
    again = view.at + (LONG_LOOK if is_long else RUN_LOOK)
    is_late = launch is not None and now >= launch.requested_at + wanted.timeout
    is_stopping = record.status is VolumeRestoreStatus.CANCELLING
    if (wanted.cancel or is_late) and not is_stopping:
        return CancelVolumes(restore_id)
    if now >= again:
        return LookAtVolumes(restore_id)
    return ReportRestore(describe_running(record), again)
