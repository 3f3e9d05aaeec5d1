"""The standings that several rules share: waiting, failing, and what a record says."""

from types import MappingProxyType
from typing import Final

from backup_api.backups import RUNNING, BackupRecord, RecordStatus
from backup_operator.decisions.facts import Trouble
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.steps import Standing, Verdict
from backup_operator.resources.backup_status import Failure, Phase

PHASE_OF: Final = MappingProxyType(
    {
        RecordStatus.INITIALIZING: Phase.INITIALIZING,
        RecordStatus.IN_PROGRESS: Phase.IN_PROGRESS,
        RecordStatus.SUCCESS: Phase.SUCCEEDED,
        RecordStatus.FAILED: Phase.FAILED,
        RecordStatus.CANCELLING: Phase.CANCELLING,
        RecordStatus.DELETING: Phase.DELETING,
        RecordStatus.MISSING: Phase.MISSING,
    }
)
"""The phase of every state of a record (architecture §2.1)."""

DEADLINE_EXCEEDED: Final = "DeadlineExceeded"


def pending(
    reason: str, message: str, *, is_stalled: bool = False, is_busy: bool = False
) -> Standing:
    """Build the standing of a Backup that waits to be submitted."""
    return Standing(
        phase=Phase.PENDING,
        reason=reason,
        message=cut(message),
        is_stalled=is_stalled,
        is_busy=is_busy,
    )


def waiting(trouble: Trouble, phase: Phase | None) -> Standing:
    """Build the standing of a Backup that waits for its engine; phase None: it stays."""
    return Standing(
        phase=phase,
        reason=trouble.reason,
        message=cut(trouble.message),
        is_stalled=trouble.needs_people,
    )


def failed(failure: Failure, record: BackupRecord | None = None) -> Standing:
    """Build the standing of a Backup that failed for good."""
    return Standing(
        phase=Phase.FAILED,
        reason=failure.reason,
        message=failure.message,
        verdict=Verdict.FAILED,
        failure=failure,
        record=record,
    )


def cancelled(message: str, record: BackupRecord | None = None) -> Standing:
    """Build the standing of a Backup that was cancelled as its spec asks."""
    return Standing(
        phase=Phase.CANCELLED,
        reason="Cancelled",
        message=message,
        verdict=Verdict.CANCELLED,
        record=record,
    )


_RUNNING_WORDS: Final = MappingProxyType(
    {
        RecordStatus.INITIALIZING: ("Initializing", "The engine has accepted the backup."),
        RecordStatus.IN_PROGRESS: ("InProgress", "The engine is making the backup."),
    }
)


def begun(record: BackupRecord) -> Standing:
    """Build the standing of a Backup that runs, or whose record has only just become known."""
    reason, message = _RUNNING_WORDS.get(
        record.status or RecordStatus.INITIALIZING,
        ("Found", "The engine has a record of the backup."),
    )
    phase = PHASE_OF[record.status] if record.status in RUNNING else Phase.INITIALIZING
    return Standing(phase=phase, reason=reason, message=message, record=record)
