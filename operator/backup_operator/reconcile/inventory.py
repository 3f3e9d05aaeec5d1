"""The cache compared with the cluster: at the start, and for what no watch told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

from backup_operator.cluster.api import Body, ClusterApi, ClusterError, GoneError
from backup_operator.cluster.cache import Key, ObjectCache, build_key
from backup_operator.cluster.entries import version_of
from backup_operator.reconcile.dispatch import Dispatcher
from backup_operator.resources.group import KINDS, Kind

SOON_AFTER_START_S: Final = 30.0
WATCH_LAG_S: Final = 10.0
"""An object that the cluster listed and that no watch has delivered since is late."""

logger = logging.getLogger(__name__)


class Inventory:
    """Compares the cache with the cluster: at the start, and for deletions that no watch told."""

    def __init__(self, cluster: ClusterApi, cache: ObjectCache, namespaces: Sequence[str]) -> None:
        self._cluster = cluster
        self._cache = cache
        self.has_seen_all = False
        self.late_comparisons = 0  # in a row that found the watches behind
        self._places: list[tuple[Kind, str | None]] = [
            (kind, namespace)
            for kind in KINDS
            for namespace in (namespaces if kind.is_namespaced and namespaces else (None,))
        ]

    async def take_over(self, dispatcher: Dispatcher) -> None:
        """Have every object seen that exists now; raises ClusterError.

        Decisions made earlier would find engines missing that are merely not listed yet. kopf
        delivers each object in a task of its own, for ten thousand a matter of half a minute; what
        is known already costs little there.
        """
        for kind, namespace in self._places:
            async for body in self._cluster.list_objects(kind, namespace):
                dispatcher.saw(kind, body)
        self.has_seen_all = True

    async def compare_forever(self, dispatcher: Dispatcher, interval: timedelta) -> None:
        """Find what the watches have missed: deletions while one was interrupted, or anything.

        The first time soon, for until kopf has listed as well nobody tells of deletions.
        """
        pause_s = min(SOON_AFTER_START_S, interval.total_seconds())
        while True:
            await asyncio.sleep(pause_s)
            pause_s = interval.total_seconds()
            try:
                await self.compare(dispatcher)
            except ClusterError as trouble:
                logger.warning("the cache could not be compared with the cluster: %s", trouble)

    async def compare(self, dispatcher: Dispatcher) -> None:
        """Bring the cache to where the cluster is; raises ClusterError."""
        late = 0
        for kind in KINDS:
            late += await self._compare(kind, dispatcher)
        if late:
            logger.warning("the watches are behind: %s objects had to be fetched", late)
        self.late_comparisons = self.late_comparisons + 1 if late else 0

    async def _compare(self, kind: Kind, dispatcher: Dispatcher) -> int:
        before = list(self._cache.entries(kind))
        listed: set[str] = set()
        newer: dict[Key, int] = {}
        async for item in self._list(kind):
            listed.add(item["metadata"]["uid"])
            key, version = build_key(kind, item), version_of(item)
            if self._is_behind(key, version):
                newer[key] = version
        for entry in before:
            if entry.uid not in listed:
                await self._check(kind, entry.key, dispatcher)
        if newer:  # most are merely on their way
            await asyncio.sleep(WATCH_LAG_S)
        late = [key for key, version in newer.items() if self._is_behind(key, version)]
        for key in late:
            await self._check(kind, key, dispatcher)
        return len(late)

    async def _list(self, kind: Kind) -> AsyncIterator[Body]:
        for place, namespace in self._places:
            if place is kind:
                async for item in self._cluster.list_metadata(kind, namespace):
                    yield item

    def _is_behind(self, key: Key, version: int) -> bool:
        entry = self._cache.find(key)
        return entry is None or entry.version < version

    async def _check(self, kind: Kind, key: Key, dispatcher: Dispatcher) -> None:
        try:
            body = await self._cluster.get_object(kind, key.namespace or None, key.name)
        except GoneError:
            entry = self._cache.find(key)
            if entry is not None:
                dispatcher.saw_deleted(kind, entry.body())
        else:
            dispatcher.saw(kind, body)
