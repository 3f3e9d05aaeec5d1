"""Which engine an object means, and whether its namespace may use it."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from backup_operator.cluster.api import ClusterApi, GoneError
from backup_operator.cluster.cache import Key, ObjectCache
from backup_operator.decisions.engine_choice import (
    Candidate,
    choose_engine,
    namespace_trouble,
    restore_trouble,
)
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.engines.directory import EngineDirectory, KnownEngine
from backup_operator.resources.backup import EngineRef
from backup_operator.resources.backup_status import EngineIdentity
from backup_operator.resources.engine import BackupEngineResource
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP_ENGINE
from backup_operator.resources.restore_volumes import RestoredClaim

NO_ENGINE: Final = EngineSeen(None, is_connecting=True)


class EngineFinder:
    """Finds the engine of an object; only namespace labels may have to be asked for."""

    def __init__(self, cluster: ClusterApi, cache: ObjectCache, engines: EngineDirectory) -> None:
        self._cluster = cluster
        self._cache = cache
        self._engines = engines

    async def find(
        self, engine_ref: EngineRef | None, pinned: EngineIdentity | None, namespace: str | None
    ) -> tuple[KnownEngine | None, EngineSeen]:
        """Find the engine that ``engine_ref`` names, or that the object is bound to (``pinned``).

        ``namespace`` None: a cluster-scoped object, which every engine serves. Without an engine
        EngineSeen says why.
        """
        candidates = [
            Candidate(entry.key.name, entry.uid, entry.is_default)
            for entry in self._cache.entries(BACKUP_ENGINE)
        ]
        chosen = choose_engine(engine_ref, pinned, candidates)
        if isinstance(chosen, Trouble):
            return None, EngineSeen(None, chosen)
        engine = self._engines.find(chosen.uid)
        if engine is None:
            return None, self._explain_absence(chosen)
        if pinned is None and namespace is not None:
            trouble = await self._find_namespace_trouble(engine, namespace)
            if trouble is not None:
                return None, EngineSeen(None, trouble)
        return engine, engine.link.seen()

    async def find_restore_trouble(
        self, engine: KnownEngine, namespace: str, volumes: Sequence[RestoredClaim] = ()
    ) -> Trouble | None:
        """Tell why a Restore of a namespace may not use an engine; None: it may."""
        resource = engine.link.resource
        lists = (resource.spec.restore_namespaces, resource.spec.volume_restore_namespaces)
        labels: dict[str, str] = {}
        if any(each is not None and each.selector is not None for each in lists):
            labels = await self._read_labels(namespace)
        return restore_trouble(resource, namespace, labels, volumes)

    def _explain_absence(self, chosen: Candidate) -> EngineSeen:
        entry = self._cache.find(Key(BACKUP_ENGINE.kind, "", chosen.name))
        if entry is None:
            return NO_ENGINE
        try:
            BackupEngineResource.from_body(entry.body())
        except InvalidSpecError as problem:
            return EngineSeen(None, Trouble("EngineInvalid", str(problem), needs_people=True))
        return NO_ENGINE  # it is about to be linked

    async def _find_namespace_trouble(self, engine: KnownEngine, namespace: str) -> Trouble | None:
        resource = engine.link.resource
        allowed = resource.spec.allowed_namespaces
        if allowed is None:
            return None
        labels: dict[str, str] = {}
        if allowed.selector is not None:
            labels = await self._read_labels(namespace)
        if resource.allows(namespace, labels):
            return None
        return namespace_trouble(resource.metadata.name, namespace)

    async def _read_labels(self, namespace: str) -> dict[str, str]:
        try:
            body = await self._cluster.get(f"/api/v1/namespaces/{quote(namespace, safe='')}")
        except GoneError:
            return {}
        return dict(body["metadata"].get("labels") or {})
