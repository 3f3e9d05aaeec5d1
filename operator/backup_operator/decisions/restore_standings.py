"""The standings of a Restore that several rules share."""

from datetime import datetime, timedelta
from typing import Final

from backup_operator.decisions.facts import Refusal
from backup_operator.decisions.refusals import cut, refusal_reason
from backup_operator.decisions.restore_facts import (
    KeepRestore,
    Obstacle,
    ReportRestore,
    RestoreSeen,
    RestoreStanding,
)
from backup_operator.decisions.restore_refusals import explain_refusal
from backup_operator.resources.backup_status import Failure
from backup_operator.resources.durations import format_duration
from backup_operator.resources.parts import ConditionStatus, ConditionType
from backup_operator.resources.restore import RestoreMode, RestoreSpec
from backup_operator.resources.restore_status import RestorePhase, ToldPlan

NO_ACCESS = frozenset({"Unauthorized"})
RECHECK: Final = timedelta(seconds=30)
"""How soon what people have to mend in the cluster is looked at again."""

ASK_AGAIN: Final = timedelta(seconds=10)
"""How soon the engine is asked again for what it has refused."""

LET_GO_WITHIN: Final = timedelta(minutes=1)
"""How long an engine with an error of its own holds a deleted Restore back."""


def pending(reason: str, message: str, *, is_stalled: bool = False) -> RestoreStanding:
    """Build the standing of a Restore that waits to be requested."""
    return RestoreStanding(
        phase=RestorePhase.PENDING, reason=reason, message=cut(message), is_stalled=is_stalled
    )


def failed(reason: str, message: str, refusal: Refusal | None = None) -> RestoreStanding:
    """Build the standing of a Restore that failed for good."""
    failure = Failure(
        http_status=refusal.http_status if refusal is not None else None,
        code=refusal.code if refusal is not None else None,
        reason=reason,
        message=cut(message),
    )
    return RestoreStanding(
        phase=RestorePhase.FAILED,
        reason=reason,
        message=failure.message,
        is_over=True,
        failure=failure,
    )


def refused(refusal: Refusal) -> RestoreStanding:
    """Build the standing of a Restore that the engine does not take."""
    return failed(refusal_reason(refusal.row), explain_refusal(refusal), refusal)


def find_deadline(wanted: RestoreSpec, seen: RestoreSeen) -> datetime | None:
    """Return until when the end of a launched restore is waited for; None: it is not launched."""
    launch = seen.status.launch
    return launch.requested_at + wanted.timeout if launch is not None else None


def overdue(wanted: RestoreSpec, what: str) -> RestoreStanding:
    """Build the standing of a Restore that did not end in time; ``what``: the last that is known.

    It is not dropped at the engine: that would stop nothing, and hide that it still runs.
    """
    limit = format_duration(wanted.timeout)
    message = (
        f"The restore has not ended within spec.timeout ({limit}) after its launch. {what} It"
        " cannot be stopped and may still be running: look at the engine before you restore again."
    )
    return failed("DeadlineExceeded", message)


def cancelled(message: str) -> RestoreStanding:
    """Build the standing of a Restore whose record was dropped."""
    return RestoreStanding(
        phase=RestorePhase.CANCELLED, reason="Cancelled", message=message, is_over=True
    )


def await_approval(wanted: RestoreSpec, plan: ToldPlan) -> RestoreStanding:
    """Build the standing of a Restore whose plan is there and not approved."""
    if wanted.mode is RestoreMode.PLAN:
        reason, message = "Planned", f"{plan.summary} To carry it out set mode: Apply and"
    elif wanted.approved_plan is not None:
        reason = "PlanChanged"
        message = f"spec.approvedPlan is the digest of another plan. {plan.summary} To approve set"
    else:
        reason, message = "AwaitingApproval", f"{plan.summary} To approve set"
    return RestoreStanding(
        phase=RestorePhase.AWAITING_APPROVAL,
        reason=reason,
        message=f"{message} approvedPlan: {plan.digest}.",
        is_good=wanted.mode is RestoreMode.PLAN,
        plan=plan,
    )


def find_obstacle(seen: RestoreSeen, now: datetime) -> Obstacle | None:
    """Return what the engine refused not long ago, if it did."""
    obstacle = seen.memory.obstacle
    return obstacle if obstacle is not None and now < obstacle.at + ASK_AGAIN else None


def is_finished(seen: RestoreSeen) -> bool:
    """Tell whether the Restore has ended, however."""
    finished = seen.status.find_condition(ConditionType.FINISHED)
    return finished is not None and finished.status is ConditionStatus.TRUE


def find_release(seen: RestoreSeen, now: datetime) -> KeepRestore | ReportRestore | None:
    """Return what to do with a Restore that the engine was to be told to drop; None: tell it.

    An engine that is away, or refuses, holds no object back, for a stale record is told to whoever
    comes next. One that reports an error of its own is asked again for a minute.
    """
    if not seen.engine.is_usable:
        return KeepRestore(wanted=False)
    obstacle = find_obstacle(seen, now)
    if obstacle is None:
        return None
    trouble, deleted_at = obstacle.trouble, seen.metadata.deletion_timestamp
    again = obstacle.at + ASK_AGAIN
    if trouble.needs_people or is_finished(seen) or deleted_at is None:
        return KeepRestore(wanted=False)
    if again > deleted_at + LET_GO_WITHIN:
        return KeepRestore(wanted=False)
    standing = RestoreStanding(phase=None, reason=trouble.reason, message=cut(trouble.message))
    return ReportRestore(standing, again)


def obstructed(
    wanted: RestoreSpec, seen: RestoreSeen, obstacle: Obstacle, now: datetime
) -> ReportRestore:
    """Tell what the engine refuses; of a launched restore not for longer than its timeout."""
    trouble, deadline = obstacle.trouble, find_deadline(wanted, seen)
    again = obstacle.at + ASK_AGAIN
    if deadline is not None and now >= deadline:
        return ReportRestore(overdue(wanted, trouble.message))
    standing = RestoreStanding(
        phase=None,
        reason=trouble.reason,
        message=cut(trouble.message),
        is_stalled=trouble.needs_people,
        is_approved=seen.status.launch is not None,
    )
    return ReportRestore(standing, again if deadline is None else min(again, deadline))


def waiting(wanted: RestoreSpec, seen: RestoreSeen) -> RestoreStanding:
    """Build the standing of a Restore whose engine cannot be asked.

    Once it was launched that is expected: all services stop until the restore is over, and its
    users and authorized services may be those of the archive afterwards (spec §9, §13 no. 15).
    """
    trouble = seen.engine.trouble
    assert trouble is not None
    if seen.status.launch is None:
        return RestoreStanding(
            phase=None,
            reason=trouble.reason,
            message=cut(trouble.message),
            is_stalled=trouble.needs_people,
        )
    if trouble.reason in NO_ACCESS:
        cause = (
            "The restore may have replaced users and authorized services"
            if "USERS_CONFIG" in wanted.groups
            else "Its services may still be starting"
        )
        message = (
            f"The engine no longer takes the operator's credentials. {cause}: store new ones in the"
            " Secret that the BackupEngine names; the restore is followed again by itself."
            f" ({trouble.message})"
        )
        return RestoreStanding(
            phase=None,
            reason="CredentialsWanted",
            message=cut(message),
            is_stalled=True,
            wants_credentials=True,
            is_approved=True,
        )
    message = (
        "The engine does not answer, as is to be expected while a restore runs: all of its services"
        f" stop. Looking until it is back. ({trouble.message})"
    )
    return RestoreStanding(phase=None, reason="EngineAway", message=cut(message), is_approved=True)
