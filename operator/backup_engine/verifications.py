"""What is known of archives, and asking to know it anew: use cases of the engine's extension."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backup_api.backups import BackupRecord, BackupType, RecordStatus
from backup_api.extensions.verification import (
    BackupVerification,
    GetVerificationErrors,
    StartVerificationErrors,
    ValidityCriterion,
    VerificationDepth,
    VerificationVerdict,
)
from backup_engine.archive.criteria import find_criterion
from backup_engine.errors import RefusalError
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.verifications import Verification, VerificationRecords

ARCHIVE_MISSING: Final = "ArchiveMissing"

_WITH_ARCHIVE: Final = frozenset({RecordStatus.SUCCESS, RecordStatus.MISSING})


@dataclass(frozen=True, slots=True)
class Verifications:
    """The use cases; whoever scans the archives sees in the records what is asked for."""

    database: Database
    clock: Callable[[], datetime]

    async def get(self, backup_id: int) -> BackupVerification:
        """Get what is known of an archive; raises RefusalError."""
        async with self.database.reading() as connection:
            backup = await BackupRecords(connection).find(backup_id)
            if backup is None:
                raise RefusalError(GetVerificationErrors.UNKNOWN_BACKUP, _not_found(backup_id))
            known = await VerificationRecords(connection).find(backup_id)
        return build_verification(backup, known)

    async def start(self, backup_id: int) -> BackupVerification:
        """Ask for a look at every byte; raises RefusalError."""
        async with self.database.writing() as connection:
            backup = await BackupRecords(connection).find(backup_id)
            if backup is None:
                raise RefusalError(StartVerificationErrors.UNKNOWN_BACKUP, _not_found(backup_id))
            if not has_archive(backup.record):
                raise RefusalError(
                    StartVerificationErrors.NO_ARCHIVE,
                    f"Backup {backup_id} is a {backup.record.type} backup in state"
                    f" {backup.record.status}; there is nothing to verify",
                )
            records = VerificationRecords(connection)
            await records.request(backup_id, int(self.clock().timestamp() * 1000))
            known = await records.find(backup_id)
        return build_verification(backup, known)


def has_archive(record: BackupRecord) -> bool:
    """Tell whether there is, or was, something to verify: an archive, or snapshots."""
    return record.status in _WITH_ARCHIVE


def build_verification(backup: StoredBackup, known: Verification) -> BackupVerification:
    """Put together what record and verification tell. Pure.

    A failed backup has no archive: its verdict is UNKNOWN, and the reason why it failed.
    """
    record = backup.record
    reason, message = known.reason, known.message
    if record.status is RecordStatus.MISSING:
        place = record.content_file_path or backup.archive_name
        if record.type is BackupType.CONFIG or reason is None:
            reason, message = ARCHIVE_MISSING, f"{place} does not exist; it was moved or removed"
    elif reason is None:
        reason, message = backup.failure_reason, backup.failure_message
    criterion = find_criterion(reason)
    return BackupVerification(
        backup_id=record.id,
        verdict=_choose_verdict(record, criterion),
        reason=reason,
        criterion=criterion,
        message=message,
        depth=VerificationDepth(known.depth) if known.depth else None,
        time_verified=known.time_verified,
        time_seen=known.time_seen,
        time_requested=known.time_requested,
        is_version_compatible=record.is_version_compatible,
        incompatibilities=known.incompatibilities,
        conversions=known.conversions,
    )


def _choose_verdict(
    record: BackupRecord, criterion: ValidityCriterion | None
) -> VerificationVerdict:
    if not has_archive(record):
        return VerificationVerdict.UNKNOWN
    if record.is_valid:
        return VerificationVerdict.VALID
    return VerificationVerdict.INVALID if criterion else VerificationVerdict.UNKNOWN


def _not_found(backup_id: int) -> str:
    return f"Backup {backup_id} was not found"
