"""What an engine last said about the records that somebody waits for."""

import asyncio

from backup_api.backups import LEAVING, RUNNING, BackupRecord
from backup_operator.decisions.facts import RecordGone

RecordSeen = BackupRecord | RecordGone


class RecordTable:
    """Records by id, each with the moment it was asked for; an older answer never counts.

    Holds what runs and what has changed; a reconciled end is dropped, so that thousands of
    finished backups cost nothing.
    """

    def __init__(self) -> None:
        self._records: dict[int, tuple[float, RecordSeen]] = {}

    def put(self, record_id: int, seen: RecordSeen, asked_at: float) -> bool:
        """Take over an answer to a request sent at ``asked_at``; True if it says something new."""
        before = self._records.get(record_id)
        if before is not None and before[0] > asked_at:
            return False
        self._records[record_id] = (asked_at, seen)
        return before is None or before[1] != seen

    def find(self, record_id: int) -> RecordSeen | None:
        """Find what is known of a record; None: nothing."""
        known = self._records.get(record_id)
        return known[1] if known is not None else None

    def drop(self, record_id: int) -> None:
        """Forget a record."""
        self._records.pop(record_id, None)

    def is_moving(self, record_id: int) -> bool:
        """Tell whether the record may change on its own soon; an unknown one may."""
        match self.find(record_id):
            case None:
                return True
            case RecordGone():
                return False
            case record:
                return record.status is None or record.status in RUNNING | LEAVING

    def __len__(self) -> int:
        return len(self._records)


def now() -> float:
    """Return the time that answers are dated by: the loop's clock."""
    return asyncio.get_running_loop().time()
