"""Whether a record at the engine is the one that a Backup asked for (architecture §2.2)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from backup_api.backups import BackupRecord
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import Submission

CLOCK_GRAIN: Final = timedelta(seconds=2)
"""Allowance where both times are the engine's: a ``Date`` header has whole seconds."""

CLOCK_SKEW: Final = timedelta(minutes=5)
"""Allowance where only our own clock is known, as usual between hosts without a shared clock."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def wire_time(time_ms: int | None) -> datetime | None:
    """Read a time of the wire (epoch ms); None where it is absent, zero or beyond the calendar."""
    if not time_ms or time_ms < 0:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None


def is_ours(
    record: BackupRecord, wanted: BackupSpec, submission: Submission, host_id: int | None
) -> bool:
    """Tell whether ``record`` came of this submission.

    Name, type, configuration and host (None: the console, whose id nobody asked for) must agree,
    and it must not have begun before the submission. What a server leaves out (spec §13 no. 2)
    speaks neither for nor against.
    """
    same = (
        record.name == submission.requested_name
        and record.type in {None, wanted.backup_type}
        and record.configuration_id in {None, wanted.configuration_id}
        and (host_id is None or record.host_id in {None, host_id})
    )
    return same and not _began_before(record, submission)


def find_ours(
    records: Iterable[BackupRecord],
    wanted: BackupSpec,
    submission: Submission,
    host_id: int | None,
) -> tuple[BackupRecord, ...]:
    """Find the records that may have come of this submission; several cannot be told apart."""
    return tuple(record for record in records if is_ours(record, wanted, submission, host_id))


def _began_before(record: BackupRecord, submission: Submission) -> bool:
    began = wire_time(record.time_initiated)
    if began is None:
        return False
    if submission.engine_time is not None:
        return began < submission.engine_time - CLOCK_GRAIN
    return began < submission.submitted_at - CLOCK_SKEW
