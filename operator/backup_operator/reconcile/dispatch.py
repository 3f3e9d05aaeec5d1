"""The junction: what watches, links and pollers have seen becomes keys in the work queue."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from backup_operator.cluster.cache import Entry, Key, ObjectCache, build_key
from backup_operator.reconcile.queue import WorkQueue
from backup_operator.resources.group import (
    BACKUP,
    BACKUP_CONFIGURATION,
    BACKUP_ENGINE,
    KINDS,
    USERS_OF_ENGINES,
    Kind,
)


class Dispatcher:
    """Puts every object that is seen into the cache, and its key into the queue if it matters.

    While this replica does not lead there is no queue, and the cache alone is kept.
    """

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._queue: WorkQueue[Key] | None = None
        cache.subscribe(self._add_neighbours)

    def open(self, queue: WorkQueue[Key]) -> None:
        """Deliver to ``queue`` from now on, beginning with everything that is not at rest."""
        self._queue = queue
        for kind in KINDS:
            for entry in self._cache.entries(kind):
                if not entry.is_quiet:
                    queue.add(entry.key)

    def close(self) -> None:
        """Deliver to no queue."""
        self._queue = None

    def saw(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take the state of an object that exists; our own writes come back as no news."""
        entry = self._cache.put(kind, body)
        if entry is None:
            return
        if not entry.is_quiet:
            self._add(entry.key)
        if kind is BACKUP_ENGINE:
            self._add_users()

    def saw_deleted(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take the last state of an object that is gone."""
        key = build_key(kind, body)
        entry = self._cache.remove(key, body["metadata"]["uid"])
        if entry is None:
            return
        if kind is not BACKUP:
            self._add(key)  # its reconciler may keep something for it
        elif self._queue is not None:
            self._queue.forget(key)
        if kind in {BACKUP_ENGINE, BACKUP_CONFIGURATION}:  # the next oldest takes its place
            self._add_users()

    def engine_changed(self, name: str) -> None:
        """Have the status of a BackupEngine looked at."""
        self._add(Key(BACKUP_ENGINE.kind, "", name))

    def usability_changed(self, uid: str) -> None:
        """Have the objects looked at that an engine's coming or going concerns."""
        for kind in USERS_OF_ENGINES:
            for entry in self._cache.unfinished(kind):
                if entry.engine_uid in {None, uid}:
                    self._add(entry.key)

    def record_changed(self, uid: str, record_id: int) -> None:
        """Have the Backup of a record looked at."""
        entry = self._cache.find_by_record(uid, record_id)
        if entry is not None:
            self._add(entry.key)

    def _add_users(self) -> None:
        for kind in USERS_OF_ENGINES:
            for entry in self._cache.unfinished(kind):
                self._add(entry.key)

    def _add_neighbours(self, entry: Entry) -> None:
        """Have those looked at that rest on a Backup which has changed or gone.

        Our own writes count as well: a Backup that we find finished frees its schedule.
        """
        if entry.key.kind == BACKUP.kind:
            for key in entry.refers_to:
                self._add(key)
            for other in self._cache.referring_to(entry.key):
                self._add(other.key)

    def _add(self, key: Key) -> None:
        if self._queue is not None:
            self._queue.add(key)


class KindReconciler(Protocol):
    """Brings the objects of one kind to where they are to be."""

    async def reconcile(self, key: Key) -> timedelta | None:
        """Reconcile one object, which may be gone; returns when to come back, None: on an event.

        Raises RetryLaterError for trouble that is told already.
        """
        ...


class Reconciler:
    """Sends each key to the reconciler of its kind."""

    def __init__(self, kinds: Mapping[Kind, KindReconciler]) -> None:
        self._kinds = {kind.kind: reconciler for kind, reconciler in kinds.items()}

    async def reconcile(self, key: Key) -> timedelta | None:
        """Reconcile one object; returns when to come back."""
        return await self._kinds[key.kind].reconcile(key)
