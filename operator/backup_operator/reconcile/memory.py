"""What this process remembers about Backups between two steps; a restart begins with nothing."""

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from backup_operator.decisions.facts import Recollection

REMEMBERED: Final = timedelta(minutes=1)


class Memories:
    """A Recollection for each Backup that has one, by uid, and the latest deletions by engine."""

    def __init__(self) -> None:
        self._recollections: dict[str, Recollection] = {}
        self._deletions: dict[str, deque[tuple[str, datetime]]] = {}

    def recall(self, uid: str) -> Recollection:
        """Return what is remembered of a Backup."""
        return self._recollections.get(uid) or Recollection()

    def change(self, uid: str, **changes: Any) -> None:  # noqa: ANN401 - fields of Recollection
        """Remember something else of a Backup."""
        self._recollections[uid] = replace(self.recall(uid), **changes)

    def forget(self, uid: str) -> None:
        """Forget a Backup that is settled or gone."""
        self._recollections.pop(uid, None)

    def note_deletion(self, engine_uid: str, uid: str, begun: datetime) -> None:
        """Remember that a record was deleted for a Backup whose deletion was asked at ``begun``."""
        latest = self._deletions.setdefault(engine_uid, deque())
        if all(other != uid for other, _ in latest):
            latest.append((uid, begun))

    def deletions(self, engine_uid: str, now: datetime) -> dict[str, datetime]:
        """Return the deletions of the last minute by uid of their Backups."""
        latest = self._deletions.get(engine_uid, deque())
        while latest and latest[0][1] < now - REMEMBERED:
            latest.popleft()
        return dict(latest)
