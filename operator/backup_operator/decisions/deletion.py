"""Deleting a Backup: what becomes of its record, and when the object may go (architecture §2.4)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from backup_api.backups import LEAVING, RUNNING
from backup_operator.decisions.facts import Observed, RecordGone, Trouble
from backup_operator.decisions.standings import begun, waiting
from backup_operator.decisions.steps import (
    AddFinalizer,
    Adopt,
    Decision,
    DeleteRecord,
    FetchRecord,
    RemoveFinalizer,
    Report,
    Rest,
    Standing,
)
from backup_operator.decisions.submission import decide_lost, is_certainly_unmade
from backup_operator.resources.backup import BackupSpec, DeletionPolicy
from backup_operator.resources.backup_status import Phase
from backup_operator.resources.group import (
    ACKNOWLEDGE_ANNOTATION,
    FINALIZER,
    FORCE_DELETE_ANNOTATION,
)
from backup_operator.resources.parts import ConditionStatus, ConditionType

GRACE: Final = timedelta(seconds=3)
"""Wait before an archive is deleted, so that a burst is seen whole before its first one goes.

It counts from a time in whole seconds, so up to one of them is lost.
"""

BURST: Final = 10
BURST_WINDOW: Final = timedelta(minutes=1)
LONG: Final = timedelta(minutes=10)
HELD: Final = "DeletionHeld"


def decide_finalizer(wanted: BackupSpec, seen: Observed) -> AddFinalizer | RemoveFinalizer | None:
    """Keep the finalizer in step with the policy, while nobody deletes the object; None: it is.

    It is added before the first attempt, for an object that goes afterwards must not leave the
    backup behind.
    """
    has_finalizer = FINALIZER in seen.metadata.finalizers
    wants_finalizer = wanted.deletion_policy is DeletionPolicy.DELETE
    if has_finalizer == wants_finalizer:
        return None
    return AddFinalizer() if wants_finalizer else RemoveFinalizer()


def decide_deletion(wanted: BackupSpec, seen: Observed, now: datetime) -> Decision:
    """Choose the next step for an object that only waits for its finalizers."""
    if FINALIZER not in seen.metadata.finalizers:
        return Rest()
    created = seen.memory.created
    if created is not None and seen.status.id is None:
        return Adopt(created, begun(created), is_found=False)
    if wanted.deletion_policy is DeletionPolicy.RETAIN or not _may_have_record(seen):
        return RemoveFinalizer()
    if seen.engine.is_connecting:
        return Rest()
    if seen.engine.trouble is not None:
        return _blocked(seen, seen.engine.trouble)
    if seen.status.id is None:
        return decide_lost(wanted, seen, wanted.host_id, now, if_none=lambda _: RemoveFinalizer())
    return _delete(seen, seen.status.id, now)


def _delete(seen: Observed, record_id: int, now: datetime) -> Decision:
    match seen.record:
        case None:
            return FetchRecord(record_id)
        case RecordGone():
            return RemoveFinalizer()
        case record if record.status in LEAVING:
            return _wait_until_gone(seen, now)
        case record:
            is_running = record.status in RUNNING
    if seen.is_held:
        return _blocked(seen, _held_trouble(seen))
    begun = seen.metadata.deletion_timestamp or now
    if now < begun + GRACE:
        message = "The backup and its archive are about to be deleted."
        return Report(_leaving(seen, "Deleting", message), begun + GRACE)
    return DeleteRecord(record_id, only_running=is_running)


def is_held(
    mine: datetime, others: Iterable[datetime], acknowledged: datetime | None, *, was_held: bool
) -> bool:
    """Tell whether a deletion waits for an acknowledgement: more than BURST within BURST_WINDOW.

    ``mine`` and ``others`` are the deletion timestamps of one engine's Backups. Once held it stays
    so, though others of its burst may be let go meanwhile.
    """
    if acknowledged is not None and acknowledged >= mine:
        return False
    if was_held:
        return True
    near = sorted(at for at in (mine, *others) if abs(at - mine) < BURST_WINDOW)
    return any(
        near[index + BURST] - near[index] < BURST_WINDOW for index in range(len(near) - BURST)
    )


def was_held(seen: Observed) -> bool:
    """Tell whether the stored status says that the deletion is held."""
    stalled = seen.status.find_condition(ConditionType.STALLED)
    return stalled is not None and stalled.status is ConditionStatus.TRUE and stalled.reason == HELD


def _may_have_record(seen: Observed) -> bool:
    """Tell whether something at the engine may be ours to delete."""
    submission = seen.status.submission
    if seen.status.id is not None:
        return True
    if submission is None or is_certainly_unmade(seen, submission):
        return False
    finished = seen.status.find_condition(ConditionType.FINISHED)
    return finished is None or finished.status is not ConditionStatus.TRUE


def _blocked(seen: Observed, trouble: Trouble) -> Decision:
    if FORCE_DELETE_ANNOTATION in seen.metadata.annotations:
        return RemoveFinalizer()
    advice = (
        f"{trouble.message} The object is kept until the backup is deleted; to let it go and"
        f" leave the backup behind, annotate it {FORCE_DELETE_ANNOTATION}=<time>."
    )
    standing = waiting(Trouble(trouble.reason, advice, needs_people=True), Phase.DELETING)
    return Report(replace(standing, failure=seen.status.failure))


def _held_trouble(seen: Observed) -> Trouble:
    engine = seen.engine.identity.name if seen.engine.identity is not None else "the engine"
    return Trouble(
        HELD,
        f"More than {BURST} backups of one engine were to be deleted within a minute. If that is"
        f" meant, annotate BackupEngine {engine} with {ACKNOWLEDGE_ANNOTATION}=<time now>.",
    )


def _wait_until_gone(seen: Observed, now: datetime) -> Decision:
    begun = seen.metadata.deletion_timestamp or now
    if now < begun + LONG:
        return Report(
            _leaving(seen, "Deleting", "The engine is deleting the backup and its archive."),
            begun + LONG,
        )
    message = f"The engine has been deleting the backup since {begun:%Y-%m-%d %H:%M} UTC."
    return _blocked(seen, Trouble("DeletionTakesLong", message))


def _leaving(seen: Observed, reason: str, message: str) -> Standing:
    record = seen.record if not isinstance(seen.record, RecordGone) else None
    return Standing(
        phase=Phase.DELETING,
        reason=reason,
        message=message,
        failure=seen.status.failure,
        record=record,
    )
