"""What a slow sweep compares for a finished Backup (architecture §2.3)."""

from dataclasses import dataclass

from backup_api.backups import BackupRecord, RecordStatus
from backup_operator.resources.parts import ConditionStatus


@dataclass(frozen=True, slots=True)
class Told:
    """What the stored status tells of a record, as far as it may change after the end."""

    status: str | None
    valid: str
    compatible: str


def has_drifted(record: BackupRecord, told: Told) -> bool:
    """Tell whether a status that says ``told`` no longer says what the record says."""
    if record.status != told.status:
        return True
    if record.status is not RecordStatus.SUCCESS:
        return False
    return (told.valid, told.compatible) != (
        _as_condition(record.is_valid),
        _as_condition(record.is_version_compatible),
    )


def _as_condition(flag: bool | None) -> str:
    if flag is None:
        return ConditionStatus.UNKNOWN
    return ConditionStatus.TRUE if flag else ConditionStatus.FALSE
