"""The one decision about a Restore: requested once, planned, approved, launched once, followed."""

from datetime import datetime, timedelta
from typing import Final

from backup_api.errors import ErrorClass
from backup_api.restores import CreateRestore, RestoreRecord
from backup_api.restores import RestoreStatus as WireStatus
from backup_operator.decisions.adoption import CLOCK_GRAIN, CLOCK_SKEW, wire_time
from backup_operator.decisions.refusals import cut, refusal_reason
from backup_operator.decisions.restore_facts import (
    AdoptRestore,
    CreateRestoreRecord,
    DropLostRestore,
    DropRestore,
    KeepRestore,
    ListOpenRestores,
    OpenRestores,
    ReportRestore,
    RestoreDecision,
    RestoreSeen,
    RestoreStanding,
    RestRestore,
    WriteRestoreAhead,
)
from backup_operator.decisions.restore_launch import decide_record
from backup_operator.decisions.restore_refusals import explain_refusal
from backup_operator.decisions.restore_standings import (
    RECHECK,
    failed,
    find_deadline,
    find_obstacle,
    find_release,
    is_finished,
    obstructed,
    overdue,
    pending,
    refused,
    waiting,
)
from backup_operator.decisions.volume_restore import decide_volume_restore
from backup_operator.resources.group import FINALIZER
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestoreSubmission

SETTLE: Final = timedelta(seconds=3)
"""Time between two looks that find nothing before a lost attempt is made again (ADR 3)."""

OPEN_LOOK: Final = timedelta(seconds=10)
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=1)


def decide_restore(wanted: RestoreSpec, seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Choose the next step for one Restore from facts alone. Total: it never raises."""
    if wanted.volumes:
        return decide_volume_restore(wanted, seen, now)
    if seen.metadata.is_deleting or is_finished(seen):
        return _let_go(wanted, seen, now)
    if seen.memory.created is not None and seen.status.id is None:
        return AdoptRestore(seen.memory.created, is_found=False)
    if seen.engine.is_connecting:
        return RestRestore()
    if seen.engine.trouble is not None:
        return _wait_for_engine(wanted, seen, now)
    if (obstacle := find_obstacle(seen, now)) is not None:
        return obstructed(wanted, seen, obstacle, now)
    if seen.status.id is not None:
        return decide_record(wanted, seen, seen.status.id, now)
    if seen.status.submission is None:
        return _decide_first_attempt(seen, now)
    return _decide_attempt(wanted, seen, seen.status.submission, now)


def _wait_for_engine(wanted: RestoreSpec, seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Wait until the engine can be asked, for a launched restore not longer than its timeout.

    Credentials that are wanted are waited for without limit: whoever stores them learns the end.
    """
    standing, deadline = waiting(wanted, seen), find_deadline(wanted, seen)
    if deadline is None or standing.wants_credentials:
        return ReportRestore(standing, now + RECHECK if seen.engine.identity is None else None)
    if now >= deadline:
        return ReportRestore(overdue(wanted, "The engine does not answer."))
    return ReportRestore(standing, deadline)


def _let_go(wanted: RestoreSpec, seen: RestoreSeen, now: datetime) -> RestoreDecision:
    """Let go of what is over or deleted; a record never launched must not keep others waiting.

    What runs cannot be stopped, nor is it waited for. An engine that was not asked anything yet is
    waited for, and after a restart that is every engine.
    """
    if FINALIZER not in seen.metadata.finalizers:
        return RestRestore()
    drop = _find_open(wanted, seen)
    if drop is None:
        return KeepRestore(wanted=False)
    if seen.engine.is_connecting:
        return RestRestore()
    return find_release(seen, now) or drop


def _find_open(wanted: RestoreSpec, seen: RestoreSeen) -> DropRestore | DropLostRestore | None:
    """Find what may be PENDING, which is looked at once more right before it is dropped."""
    memory, submission = seen.memory, seen.status.submission
    if seen.status.status not in {None, WireStatus.PENDING.value}:
        return None
    if memory.view is not None and memory.view.record is None:
        return None
    restore_id = seen.status.id or (memory.created.id if memory.created is not None else None)
    if restore_id is not None:
        return DropRestore(restore_id)
    if submission is None or memory.unsent_attempt == submission.attempts == 1:
        return None
    return DropLostRestore(wanted, submission)


def _decide_first_attempt(seen: RestoreSeen, now: datetime) -> RestoreDecision:
    if seen.not_allowed is not None:
        trouble = seen.not_allowed
        return ReportRestore(
            pending(trouble.reason, trouble.message, is_stalled=True), now + RECHECK
        )
    if seen.backup_id is None:
        if seen.backup_trouble is None:
            return RestRestore()
        trouble = seen.backup_trouble
        if seen.backup_is_lost:
            return ReportRestore(failed(trouble.reason, trouble.message))
        return ReportRestore(
            pending(trouble.reason, trouble.message, is_stalled=trouble.needs_people)
        )
    if FINALIZER not in seen.metadata.finalizers:
        return KeepRestore(wanted=True)  # before the first attempt, so that no record is left open
    look = seen.memory.look
    if look is None or now >= look.at + OPEN_LOOK:
        return ListOpenRestores()
    if look.records:
        standing = _in_the_way(look.records[0], seen.in_the_way)
        return ReportRestore(standing, look.at + OPEN_LOOK)
    offset = seen.engine.clock_offset
    return WriteRestoreAhead(
        RestoreSubmission(
            backup_id=seen.backup_id,
            submitted_at=now,
            engine_time=now + offset if offset is not None else None,
        )
    )


def _decide_attempt(
    wanted: RestoreSpec, seen: RestoreSeen, submission: RestoreSubmission, now: datetime
) -> RestoreDecision:
    memory = seen.memory
    if memory.unsent_attempt == submission.attempts:
        body = CreateRestore(
            backup_id=submission.backup_id, groups=tuple(group.value for group in wanted.groups)
        )
        return CreateRestoreRecord(submission.attempts, body)
    refusal = memory.refusal
    if refusal is not None and refusal.attempt == submission.attempts:
        if refusal.error_class is ErrorClass.FINAL:
            return ReportRestore(refused(refusal))
        after = refusal.at + pause_after(submission.attempts)
        message = explain_refusal(refusal)
        if memory.look is not None and memory.look.records:
            message = _in_the_way(memory.look.records[0], seen.in_the_way).message
        return _again(submission, now, after, pending(refusal_reason(refusal.row), message))
    return _decide_lost(wanted, seen, submission, now)


def _decide_lost(
    wanted: RestoreSpec, seen: RestoreSeen, submission: RestoreSubmission, now: datetime
) -> RestoreDecision:
    """Look for an attempt whose outcome is unknown: at most one restore is open (spec §4.0)."""
    look, first = seen.memory.look, seen.memory.first_look_at
    if look is None or first is None:
        return ListOpenRestores()
    ours = find_ours(wanted, submission, look)
    if ours is not None:
        return AdoptRestore(ours, is_found=True)
    settled = first + SETTLE
    message = f"The answer to attempt {submission.attempts} was lost; looking for its outcome."
    if look.at >= settled:
        after = settled + pause_after(submission.attempts - 1)
        return _again(submission, now, after, pending("AnswerLost", message))
    if now >= settled:
        return ListOpenRestores()
    return ReportRestore(pending("AnswerLost", message), settled)


def find_ours(
    wanted: RestoreSpec, submission: RestoreSubmission, look: OpenRestores
) -> RestoreRecord | None:
    """Find the open restore that came of this submission: same backup, same groups, not earlier."""
    for record in look.records:
        same = record.backup_id == submission.backup_id and set(record.groups or ()) == {
            group.value for group in wanted.groups
        }
        began = wire_time(record.time_initiated)
        if submission.engine_time is not None:
            earliest = submission.engine_time - CLOCK_GRAIN
        else:
            earliest = submission.submitted_at - CLOCK_SKEW
        if same and (began is None or began >= earliest):
            return record
    return None


def pause_after(attempt: int) -> timedelta:
    """Return how long to wait after the ``attempt``-th attempt (from 1) before the next."""
    if attempt < 1:
        return timedelta(0)
    return min(LONGEST_PAUSE, FIRST_PAUSE * int(2 ** min(attempt - 1, 10)))


def _again(
    submission: RestoreSubmission, now: datetime, after: datetime, meanwhile: RestoreStanding
) -> RestoreDecision:
    """Store the next attempt once ``after`` has come; the times stay those of the first."""
    if now < after:
        return ReportRestore(meanwhile, after)
    return WriteRestoreAhead(submission.model_copy(update={"attempts": submission.attempts + 1}))


def _in_the_way(record: RestoreRecord, holder: str | None) -> RestoreStanding:
    what = record.backup_name or record.backup_filename or f"backup {record.backup_id}"
    whose = holder or record.initiated_by or "somebody"
    wait = "waiting until it is over or dropped."
    if holder is not None and record.status is WireStatus.PENDING:
        wait = f"approve its plan, or delete {holder}, to make room."
    message = (
        f"The engine has another open restore: {record.id}, of {what}, {record.status}, by {whose}."
        f" There can be one at a time; {wait}"
    )
    return pending("RestoreRunning", cut(message))
