"""A Backup whose record is known by id: running, ended, cancelled, vanished (architecture §2.1)."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from backup_api.backups import RUNNING, BackupRecord, RecordStatus
from backup_operator.decisions.adoption import wire_time
from backup_operator.decisions.facts import ArchiveFinding, Observed, RecordGone
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.standings import (
    DEADLINE_EXCEEDED,
    PHASE_OF,
    begun,
    cancelled,
    failed,
    waiting,
)
from backup_operator.decisions.steps import (
    ChangeDescription,
    Decision,
    DeleteRecord,
    FetchRecord,
    FetchVerification,
    Report,
    Rest,
    Standing,
    Verdict,
)
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import Failure, Phase
from backup_operator.resources.durations import format_duration
from backup_operator.resources.parts import ConditionStatus, ConditionType

BACKUP_FAILED: Final = "BackupFailed"
CANCELLED: Final = "Cancelled"
CANCELLED_RUNNING: Final = "Cancelled while it was running."


def decide_existing(wanted: BackupSpec, seen: Observed, record_id: int, now: datetime) -> Decision:
    """Choose the next step for a Backup whose id at the engine is known."""
    if seen.engine.is_connecting:
        return Rest()
    if seen.engine.trouble is not None:
        return Report(replace(waiting(seen.engine.trouble, None), failure=seen.status.failure))
    match seen.record:
        case None:
            return FetchRecord(record_id)
        case RecordGone():
            return Report(_vanished(wanted, seen))
        case record if record.status in RUNNING:
            return _decide_running(wanted, seen, record, now)
        case record:
            return (
                _change_description(wanted, seen, record)
                or _ask_why(wanted, seen, record)
                or Report(_stand(wanted, seen, record))
            )


def is_settled(seen: Observed) -> bool:
    """Tell whether the Backup has ended and nothing has changed since that was told."""
    return (
        seen.record is None
        and _finished_reason(seen) is not None
        and not _is_true(seen, ConditionType.RECONCILING)
        and seen.status.observed_generation == seen.metadata.generation
    )


def find_lasting_end(seen: Observed) -> Standing | None:
    """Find how a Backup ended that never had a record; None: it has not ended.

    Neither a failure nor a cancellation is ever judged again: the name may be free by now, but
    whoever waited for the Backup has long acted on its end.
    """
    ended = _finished_reason(seen)
    if ended is None:
        return None
    if seen.status.failure is not None:
        return failed(seen.status.failure)
    finished = seen.status.find_condition(ConditionType.FINISHED)
    return cancelled(finished.message if finished is not None else CANCELLED_RUNNING)


def _finished_reason(seen: Observed) -> str | None:
    """Return why the Backup is finished; None: it is not."""
    finished = seen.status.find_condition(ConditionType.FINISHED)
    if finished is None or finished.status is not ConditionStatus.TRUE:
        return None
    return finished.reason


def _is_true(seen: Observed, type_: ConditionType) -> bool:
    condition = seen.status.find_condition(type_)
    return condition is not None and condition.status is ConditionStatus.TRUE


def _decide_running(
    wanted: BackupSpec, seen: Observed, record: BackupRecord, now: datetime
) -> Decision:
    if wanted.cancel:
        return DeleteRecord(record.id, only_running=True)
    if _deadline_failure(seen) is not None:
        return DeleteRecord(record.id, only_running=True)
    deadline = _started_at(seen, record, now) + wanted.timeout
    if now >= deadline:
        # Stored before the DELETE: afterwards a crash would leave only a vanished record.
        return Report(_past_deadline(wanted, record), now)
    change = _change_description(wanted, seen, record)
    if change is not None:
        return change
    return Report(_stand(wanted, seen, record), deadline)


def _stand(wanted: BackupSpec, seen: Observed, record: BackupRecord) -> Standing:
    status = record.status
    failure = _deadline_failure(seen)
    match status:
        case RecordStatus.INITIALIZING | RecordStatus.IN_PROGRESS:
            return begun(record)
        case RecordStatus.SUCCESS:
            return _succeeded(wanted, seen, record)
        case RecordStatus.FAILED if failure is not None:
            return failed(failure, record)
        case RecordStatus.FAILED if _was_cancelled(wanted, seen):
            return cancelled(CANCELLED_RUNNING, record)
        case RecordStatus.FAILED:
            failure = _told_failure(seen) or Failure(
                reason=BACKUP_FAILED, message=_explain_failed(seen.memory.finding)
            )
            return failed(failure, record)
        case RecordStatus.MISSING:
            return _missing(
                "FileMissing",
                "The archive was moved or removed behind the engine's back; the Backup comes back"
                " if the file does.",
                record,
            )
        case RecordStatus.CANCELLING | RecordStatus.DELETING:
            return _leaving(status, failure, record)
        case None:
            return Standing(
                phase=None,
                reason="StatusUnknown",
                message="The engine reports the backup without a status.",
                record=record,
            )


def _leaving(status: RecordStatus, failure: Failure | None, record: BackupRecord) -> Standing:
    if status is RecordStatus.CANCELLING:
        reason = DEADLINE_EXCEEDED if failure is not None else "Cancelling"
        message = failure.message if failure is not None else "The engine is cancelling the backup."
    else:
        reason, message = "Deleting", "The engine is deleting the backup and its archive."
    return Standing(
        phase=PHASE_OF[status], reason=reason, message=message, failure=failure, record=record
    )


def _ask_why(wanted: BackupSpec, seen: Observed, record: BackupRecord) -> FetchVerification | None:
    """Ask an engine that can tell what is wrong with a backup; the record does not say.

    Why a backup failed is asked once, and then stands in the status: after a restart of the
    operator thousands may have failed.
    """
    is_invalid = record.status is RecordStatus.SUCCESS and record.is_valid is False
    is_failed = record.status is RecordStatus.FAILED and not (
        _was_cancelled(wanted, seen) or _deadline_failure(seen) or _told_failure(seen)
    )
    if not (is_invalid or is_failed):
        return None
    if not seen.engine.offers_verification or seen.memory.finding is not None:
        return None
    return FetchVerification(record.id)


def _told_failure(seen: Observed) -> Failure | None:
    """Return why the engine's backup failed, if that was told already."""
    failure = seen.status.failure
    return failure if failure is not None and failure.reason == BACKUP_FAILED else None


def _explain_failed(finding: ArchiveFinding | None) -> str:
    advice = "Mend the cause and create another Backup."
    if finding is None or finding.reason is None:
        return f"The engine reports that the backup failed; its own log says why. {advice}"
    said = f"{finding.reason}: {finding.message}".rstrip(": .")
    return cut(f"The engine reports that the backup failed: {said}. {advice}")


def _succeeded(wanted: BackupSpec, seen: Observed, record: BackupRecord) -> Standing:
    message = "The backup finished without errors."
    if wanted.cancel:
        message += " spec.cancel came too late and is ignored."
    return Standing(
        phase=Phase.SUCCEEDED,
        reason="Succeeded",
        message=message,
        verdict=Verdict.SUCCEEDED,
        record=record,
        finding=seen.memory.finding,
    )


def _vanished(wanted: BackupSpec, seen: Observed) -> Standing:
    failure = seen.status.failure
    if failure is not None:
        return failed(failure)
    ended = _finished_reason(seen)
    if ended == CANCELLED or (wanted.cancel and ended is None):
        return cancelled(CANCELLED_RUNNING)
    return _missing(
        "RecordVanished",
        "The engine no longer has the backup, and it was not deleted through this object.",
        None,
    )


def _missing(reason: str, message: str, record: BackupRecord | None) -> Standing:
    return Standing(
        phase=Phase.MISSING,
        reason=reason,
        message=message,
        verdict=Verdict.MISSING,
        record=record,
    )


def _change_description(
    wanted: BackupSpec, seen: Observed, record: BackupRecord
) -> ChangeDescription | None:
    """Change the record's description where the spec has another; absent leaves it alone."""
    asked = wanted.description
    if asked is None or asked == (record.description or "") or record.status is None:
        return None
    if asked == seen.memory.refused_description or PHASE_OF[record.status] in _LEAVING_PHASES:
        return None
    return ChangeDescription(record.id, asked)


_LEAVING_PHASES: Final = frozenset({Phase.CANCELLING, Phase.DELETING})


def _was_cancelled(wanted: BackupSpec, seen: Observed) -> bool:
    """Tell whether a record that ended as FAILED did so by our cancel (spec §13 no. 3)."""
    return wanted.cancel and (
        seen.status.status is RecordStatus.CANCELLING or _finished_reason(seen) == CANCELLED
    )


def _deadline_failure(seen: Observed) -> Failure | None:
    failure = seen.status.failure
    return failure if failure is not None and failure.reason == DEADLINE_EXCEEDED else None


def _started_at(seen: Observed, record: BackupRecord, now: datetime) -> datetime:
    """Return when the backup began, by our clock: never before it was asked for."""
    submission = seen.status.submission
    began = wire_time(record.time_initiated)
    if submission is None:
        return began or seen.metadata.creation_timestamp or now
    if began is None or submission.engine_time is None:
        return submission.submitted_at
    skew = submission.engine_time - submission.submitted_at
    return max(submission.submitted_at, began - skew)


def _past_deadline(wanted: BackupSpec, record: BackupRecord) -> Standing:
    limit = format_duration(wanted.timeout)
    message = (
        f"The backup ran longer than spec.timeout ({limit}); the operator cancels it. Create"
        " another Backup with a longer timeout."
    )
    failure = Failure(reason=DEADLINE_EXCEEDED, message=cut(message))
    assert record.status is not None
    return Standing(
        phase=PHASE_OF[record.status],
        reason=DEADLINE_EXCEEDED,
        message=failure.message,
        failure=failure,
        record=record,
    )
