"""How a backup ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backup_api.backups import RecordStatus

BUG: Final = "InternalError"
TOO_LONG: Final = "TimeLimitExceeded"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a backup ended; no path: there is no archive."""

    status: RecordStatus
    size_bytes: int = 0
    content_file_path: str | None = None
    is_valid: bool = False
    failure_reason: str | None = None
    failure_message: str | None = None
    verification: Mapping[str, object] = field(default_factory=dict)  # columns of the table


def failed(reason: str, message: str) -> Outcome:
    """Build the outcome of a backup that failed."""
    return Outcome(RecordStatus.FAILED, failure_reason=reason, failure_message=message)
