"""Reconciling one BackupEngine: link it as its spec says, and tell what the link found out."""

from datetime import timedelta

from backup_operator.cluster.api import ClusterError, ConflictError, GoneError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.decisions.engine_status import build_engine_status, invalid_engine
from backup_operator.engines.directory import EngineDirectory
from backup_operator.reconcile.queue import RetryLaterError
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.engine import BackupEngineResource, BackupEngineStatus
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP_ENGINE
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.reading import read_status


class EngineReconciler:
    """Keeps the directory and the statuses of BackupEngines in step with the cluster."""

    def __init__(
        self, cache: ObjectCache, engines: EngineDirectory, writer: StatusWriter, clock: Clock
    ) -> None:
        self._cache = cache
        self._engines = engines
        self._writer = writer
        self._clock = clock
        self._uids: dict[str, str] = {}

    async def reconcile(self, key: Key) -> timedelta | None:
        """Link the engine and store its status; raises RetryLaterError."""
        entry = self._cache.find(key)
        known = self._uids.get(key.name)
        if known is not None and (entry is None or entry.uid != known):
            del self._uids[key.name]
            await self._engines.drop(known)
        if entry is None:
            return None
        self._uids[key.name] = entry.uid
        try:
            await self._tell(entry)
        except ConflictError:
            await self._refresh(entry)
            raise RetryLaterError("the object changed meanwhile") from None
        except GoneError:
            self._cache.remove(entry.key, entry.uid)
        except ClusterError as trouble:
            raise RetryLaterError(str(trouble)) from trouble
        return None

    async def _tell(self, entry: Entry) -> None:
        body = entry.body()
        now = self._clock()
        try:
            resource = BackupEngineResource.from_body(body)
        except InvalidSpecError as problem:
            await self._engines.drop(entry.uid)
            stored, _ = read_status(BackupEngineStatus, body)
            generation = ObjectMetadata.from_body(body).generation
            status = build_engine_status(generation, stored, invalid_engine(str(problem)), now)
        else:
            facts = self._engines.ensure(resource).link.facts()
            if facts.is_connecting and resource.status.conditions:
                return  # the verdict follows at once
            generation = resource.metadata.generation
            status = build_engine_status(generation, resource.status, facts, now)
        await self._writer.write_status(BACKUP_ENGINE, body, status)

    async def _refresh(self, entry: Entry) -> None:
        try:
            await self._writer.refresh(BACKUP_ENGINE, None, entry.key.name)
        except GoneError:
            self._cache.remove(entry.key, entry.uid)
