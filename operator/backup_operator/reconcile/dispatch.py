"""The junction: what watches, links and pollers have seen becomes keys in the work queue."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from backup_operator.cluster.api import ClusterApi, ClusterError, GoneError
from backup_operator.cluster.cache import Entry, Key, ObjectCache, build_key
from backup_operator.reconcile.queue import WorkQueue
from backup_operator.resources.group import BACKUP, BACKUP_ENGINE, KINDS, USERS_OF_ENGINES, Kind

LOOK_S: Final = 0.2
LIST_AGAIN_S: Final = 30.0

logger = logging.getLogger(__name__)


class Dispatcher:
    """Puts every object that is seen into the cache, and its key into the queue if it matters."""

    def __init__(self, cache: ObjectCache, queue: WorkQueue[Key]) -> None:
        self._cache = cache
        self._queue = queue

    def saw(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take the state of an object that exists; our own writes come back as no news."""
        entry = self._cache.put(kind, body)
        if entry is None:
            return
        if not entry.is_quiet:
            self._queue.add(entry.key)
        self._add_neighbours(kind, entry)

    def saw_deleted(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take the last state of an object that is gone."""
        key = build_key(kind, body)
        entry = self._cache.remove(key, body["metadata"]["uid"])
        if entry is None:
            return
        if kind is BACKUP:
            self._queue.forget(key)
        else:
            self._queue.add(key)  # its reconciler may keep something for it
        self._add_neighbours(kind, entry)

    def engine_changed(self, name: str) -> None:
        """Have the status of a BackupEngine looked at."""
        self._queue.add(Key(BACKUP_ENGINE.kind, "", name))

    def usability_changed(self, uid: str) -> None:
        """Have the objects looked at that an engine's coming or going concerns."""
        for kind in USERS_OF_ENGINES:
            for entry in self._cache.unfinished(kind):
                if entry.engine_uid in {None, uid}:
                    self._queue.add(entry.key)

    def record_changed(self, uid: str, record_id: int) -> None:
        """Have the Backup of a record looked at."""
        entry = self._cache.find_by_record(uid, record_id)
        if entry is not None:
            self._queue.add(entry.key)

    def _add_neighbours(self, kind: Kind, entry: Entry) -> None:
        """Have those looked at that rest on an object which has changed or gone."""
        if kind is BACKUP_ENGINE:
            for user in USERS_OF_ENGINES:
                for waiting in self._cache.unfinished(user):
                    self._queue.add(waiting.key)
        if kind is BACKUP:
            for key in entry.refers_to:
                self._queue.add(key)
            for other in self._cache.referring_to(entry.key):
                self._queue.add(other.key)


class Inventory:
    """Compares the cache with the cluster: at the start, and for deletions that no watch told."""

    def __init__(self, cluster: ClusterApi, cache: ObjectCache, namespaces: Sequence[str]) -> None:
        self._cluster = cluster
        self._cache = cache
        self._places: list[tuple[Kind, str | None]] = [
            (kind, namespace)
            for kind in KINDS
            for namespace in (namespaces if kind.is_namespaced and namespaces else (None,))
        ]

    async def wait_until_seen(self) -> None:
        """Return once the watches have delivered every object that existed at the start.

        Decisions made earlier would find engines missing that are merely not listed yet.
        """
        missing = await self._list_unseen()
        loop = asyncio.get_running_loop()
        while missing:
            listed_at = loop.time()
            while missing and loop.time() < listed_at + LIST_AGAIN_S:
                await asyncio.sleep(LOOK_S)
                missing = {one for one in missing if not self._has(one)}
            if missing:  # some may be gone again, or seen under a new uid
                missing = await self._list_unseen()

    async def prune_forever(self, dispatcher: Dispatcher, interval: timedelta) -> None:
        """Find objects that were deleted while a watch was interrupted."""
        while True:
            await asyncio.sleep(interval.total_seconds())
            try:
                await self.prune(dispatcher)
            except ClusterError as trouble:
                logger.warning("the cache could not be compared with the cluster: %s", trouble)

    async def prune(self, dispatcher: Dispatcher) -> None:
        """Remove from the cache what the cluster no longer has; raises ClusterError."""
        for kind in KINDS:
            before = list(self._cache.entries(kind))
            listed: set[str] = set()
            for place, namespace in self._places:
                if place is kind:
                    async for item in self._cluster.list_metadata(kind, namespace):
                        listed.add(item["metadata"]["uid"])
            for entry in before:
                if entry.uid not in listed:
                    await self._check(kind, entry, dispatcher)

    async def _check(self, kind: Kind, entry: Entry, dispatcher: Dispatcher) -> None:
        try:
            namespace = entry.key.namespace or None
            body = await self._cluster.get_object(kind, namespace, entry.key.name)
        except GoneError:
            dispatcher.saw_deleted(kind, entry.body())
        else:
            dispatcher.saw(kind, body)

    async def _list_unseen(self) -> set[tuple[Key, str]]:
        unseen = set()
        for kind, namespace in self._places:
            async for item in self._cluster.list_metadata(kind, namespace):
                one = (build_key(kind, item), item["metadata"]["uid"])
                if not self._has(one):
                    unseen.add(one)
        return unseen

    def _has(self, one: tuple[Key, str]) -> bool:
        key, uid = one
        entry = self._cache.find(key)
        return entry is not None and entry.uid == uid


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
