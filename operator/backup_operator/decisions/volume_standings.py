"""What a Restore of volumes tells: its plan, how far it is, how it ended."""

from datetime import datetime
from types import MappingProxyType
from typing import Final

from backup_api.extensions.volume_plans import PlannedVolume, VolumePlan
from backup_api.extensions.volumes import (
    RestoredVolume,
    VolumeRestoreRecord,
    VolumeRestoreStatus,
    VolumeStatus,
)
from backup_operator.decisions.adoption import CLOCK_GRAIN, wire_time
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.restore_facts import (
    ReportRestore,
    RestoreDecision,
    RestoreSeen,
    RestoreStanding,
)
from backup_operator.decisions.restore_plan import LONGEST_TEXT
from backup_operator.decisions.restore_standings import RECHECK, failed
from backup_operator.resources.durations import format_duration
from backup_operator.resources.parts import format_timestamp
from backup_operator.resources.readable import format_size
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestorePhase, ToldPlan, ToldProgress
from backup_operator.resources.restore_volumes import (
    ToldVolume,
    VolumeAction,
    VolumePhase,
    VolumeSource,
)

NAMED: Final = 3

PHASE_OF: Final = MappingProxyType(
    {
        VolumeStatus.PENDING: VolumePhase.PENDING,
        VolumeStatus.IN_PROGRESS: VolumePhase.IN_PROGRESS,
        VolumeStatus.SUCCESS: VolumePhase.SUCCEEDED,
        VolumeStatus.FAILED: VolumePhase.FAILED,
    }
)
"""The phase of every state of a volume."""

_STANDING_OF: Final = MappingProxyType(
    {
        VolumeRestoreStatus.INITIALIZING: RestorePhase.INITIALIZING,
        VolumeRestoreStatus.IN_PROGRESS: RestorePhase.IN_PROGRESS,
        VolumeRestoreStatus.CANCELLING: RestorePhase.CANCELLING,
    }
)


def tell_volume_plan(plan: VolumePlan) -> ToldPlan:
    """Build what the status tells of a plan of volumes."""
    began = wire_time(plan.backup_time)
    source = VolumeSource(
        id=plan.backup_id,
        name=plan.backup_name,
        hostname=plan.hostname,
        time_initiated=began,
    )
    what = f"backup {plan.backup_name or plan.backup_id}"
    when = f" of {format_timestamp(began)}" if began is not None else ""
    named = "; ".join(_describe(each) for each in plan.volumes[:NAMED])
    more = len(plan.volumes) - NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return ToldPlan(
        digest=plan.digest,
        summary=cut(f"{what}{when}: {named}{rest}.{_tell_obstacles(plan)}"),
        warnings=tuple(_list_warnings(plan)),
        source=source,
        volumes=tuple(_tell_planned(each) for each in plan.volumes),
    )


def _tell_obstacles(plan: VolumePlan) -> str:
    told = [each.message or each.reason for each in plan.volumes if each.reason is not None]
    if not told:
        return ""
    more = f"; and {len(told) - 1} more, see status.plan.volumes" if len(told) > 1 else ""
    return f" In the way: {told[0]}{more}."


def tell_volumes(record: VolumeRestoreRecord) -> tuple[ToldVolume, ...]:
    """Build what the status tells of each volume of a restore."""
    return tuple(_tell_restored(each) for each in record.volumes)


def tell_volume_progress(record: VolumeRestoreRecord) -> ToldProgress:
    """Build how far a restore is, counted in volumes."""
    statuses = [each.status for each in record.volumes]
    failures = statuses.count(VolumeStatus.FAILED)
    settled = statuses.count(VolumeStatus.SUCCESS) + failures
    return ToldProgress(
        summary=_describe_progress(record, settled),
        settled=settled,
        total=len(statuses),
        failed=failures,
        remaining=len(statuses) - settled,
    )


def describe_running(record: VolumeRestoreRecord) -> RestoreStanding:
    """Build the standing of a restore that runs, or is being stopped."""
    status = record.status or VolumeRestoreStatus.IN_PROGRESS
    phase = _STANDING_OF.get(status, RestorePhase.IN_PROGRESS)
    told = tell_volume_progress(record)
    words = "Stopping the restore" if phase is RestorePhase.CANCELLING else "Restoring"
    message = f"{words}: {told.summary}."
    return RestoreStanding(phase=phase, reason=phase.value, message=message, is_approved=True)


def describe_end(record: VolumeRestoreRecord) -> RestoreStanding:
    """Build the standing of a restore that has ended by itself."""
    if record.status is VolumeRestoreStatus.SUCCESS:
        message = f"The restore finished without errors: {tell_volume_progress(record).summary}."
        return RestoreStanding(
            phase=RestorePhase.SUCCEEDED,
            reason="Succeeded",
            message=message,
            is_over=True,
            is_good=True,
            is_approved=True,
        )
    bad = [each for each in record.volumes if each.status is not VolumeStatus.SUCCESS]
    if not bad:
        return failed("RestoreFailed", "The engine reports that the restore failed.")
    reasons = {each.reason for each in bad}
    reason = bad[0].reason if len(reasons) == 1 and bad[0].reason else "VolumesFailed"
    told = "; ".join(each.message or _name(each) for each in bad[:NAMED])
    return failed(reason, f"{len(bad)} of {len(record.volumes)} volumes were not restored: {told}")


def is_overdue(wanted: RestoreSpec, seen: RestoreSeen, record: VolumeRestoreRecord) -> bool:
    """Tell whether a restore that was stopped had run for longer than it may."""
    submission, ended = seen.status.submission, wire_time(record.time_completed)
    if wanted.cancel or submission is None or ended is None:
        return False
    began = submission.engine_time or submission.submitted_at
    return ended >= began + wanted.timeout - CLOCK_GRAIN


def over_time(wanted: RestoreSpec) -> RestoreStanding:
    """Build the standing of a restore that was stopped for its timeout."""
    limit = format_duration(wanted.timeout)
    return failed(
        "DeadlineExceeded",
        f"The restore had not ended within spec.timeout ({limit}) and was stopped; what it had"
        " written until then stays.",
    )


def wait_for_engine(wanted: RestoreSpec, seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Wait until the engine can be asked; one that runs, not for longer than its timeout."""
    trouble, launch = seen.engine.trouble, seen.status.launch
    assert trouble is not None
    deadline = launch.requested_at + wanted.timeout if launch is not None else None
    if deadline is not None and now >= deadline:
        message = (
            "The engine does not answer, and spec.timeout has passed. The restore may still be"
            f" running: look at the engine before you restore again. ({trouble.message})"
        )
        return ReportRestore(failed("DeadlineExceeded", message))
    standing = RestoreStanding(
        phase=None,
        reason=trouble.reason,
        message=cut(trouble.message),
        is_stalled=trouble.needs_people,
        is_approved=launch is not None,
    )
    until = now + RECHECK if seen.engine.identity is None else None
    return ReportRestore(standing, deadline if deadline is not None else until)


def _list_warnings(plan: VolumePlan) -> list[str]:
    warnings = [
        cut(each.message or each.reason, LONGEST_TEXT) for each in plan.volumes if each.reason
    ]
    warnings += [
        cut(
            f"{each.target_namespace}/{each.target_claim} is in use by pod"
            f" {', '.join(each.used_by[:NAMED])}, which sees its files change.",
            LONGEST_TEXT,
        )
        for each in plan.volumes
        if each.used_by
    ]
    return warnings[:20]


def _describe(each: PlannedVolume) -> str:
    source = f"{each.namespace}/{each.claim}"
    target = f"{each.target_namespace}/{each.target_claim}"
    into = "itself" if target == source else target
    size = f"{format_size(each.size)}, {each.files} files"
    if each.paths:
        some = ", ".join(each.paths[:NAMED]) + (", …" if len(each.paths) > NAMED else "")
        return f"{some} of {source} into {into}"
    made = ", which is made" if each.create_claim else ""
    return f"{source} ({size}) into {into}{made}"


def _action(create_claim: bool, paths: tuple[str, ...]) -> VolumeAction:
    if create_claim:
        return VolumeAction.CREATE_CLAIM
    return VolumeAction.WRITE_PATHS if paths else VolumeAction.FILL_CLAIM


def _tell_planned(each: PlannedVolume) -> ToldVolume:
    return ToldVolume(
        namespace=each.namespace,
        claim=each.claim,
        target_namespace=each.target_namespace,
        target_claim=each.target_claim,
        action=_action(each.create_claim, each.paths),
        bytes_total=max(0, each.size),
        files_total=max(0, each.files),
        reason=each.reason,
        message=cut(each.message, LONGEST_TEXT) if each.message else None,
    )


def _tell_restored(each: RestoredVolume) -> ToldVolume:
    return ToldVolume(
        namespace=each.namespace,
        claim=each.claim,
        target_namespace=each.target_namespace,
        target_claim=each.target_claim,
        action=_action(each.create_claim, each.paths),
        phase=PHASE_OF[each.status] if each.status is not None else None,
        bytes_total=each.size,
        files_total=each.files,
        bytes_done=max(0, each.bytes_done),
        files_done=max(0, each.files_done),
        reason=each.reason,
        message=cut(each.message, LONGEST_TEXT) if each.message else None,
    )


def _describe_progress(record: VolumeRestoreRecord, settled: int) -> str:
    done = sum(each.bytes_done for each in record.volumes)
    sizes = [each.size for each in record.volumes]
    total = sum(size for size in sizes if size is not None)
    of = f" of {format_size(total)}" if all(size is not None for size in sizes) else ""
    return f"{settled} of {len(sizes)} volumes, {format_size(done)}{of}"


def _name(each: RestoredVolume) -> str:
    return f"{each.namespace}/{each.claim}"
