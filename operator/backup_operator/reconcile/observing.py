"""Gathering the facts about one Backup; only namespace labels may have to be asked for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from backup_operator.cluster.api import ClusterApi, GoneError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.decisions.deletion import is_held, was_held
from backup_operator.decisions.engine_choice import Candidate, choose_engine, namespace_trouble
from backup_operator.decisions.existing import is_settled
from backup_operator.decisions.facts import EngineSeen, Observed, Trouble
from backup_operator.engines.directory import EngineDirectory, KnownEngine
from backup_operator.reconcile.memory import Memories
from backup_operator.resources.backup import (
    BackupResource,
    BackupSpec,
    DeletionPolicy,
    requested_name,
)
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.engine import BackupEngineResource
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import ACKNOWLEDGE_ANNOTATION, BACKUP_ENGINE
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.reading import read_status

NO_ENGINE: Final = EngineSeen(None, is_connecting=True)


@dataclass(frozen=True, slots=True)
class Sight:
    """One Backup with all facts; ``engine`` None: it has none yet."""

    body: dict[str, Any]
    wanted: BackupSpec
    seen: Observed
    engine: KnownEngine | None


class Observer:
    """Puts together what the cache, the engines and this process know of a Backup."""

    def __init__(
        self,
        cluster: ClusterApi,
        cache: ObjectCache,
        engines: EngineDirectory,
        memories: Memories,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._engines = engines
        self._memories = memories

    async def observe(self, entry: Entry, now: datetime) -> Sight:
        """Gather the facts; raises InvalidSpecError if the spec breaks a rule.

        For an object that is being deleted a broken spec does not matter.
        """
        body = entry.body()
        metadata = ObjectMetadata.from_body(body)
        if metadata.is_deleting:
            wanted, status = _read_leniently(body)
        else:
            resource = BackupResource.from_body(body)
            wanted, status = resource.spec, resource.status
        seen = Observed(
            metadata=metadata,
            status=status,
            engine=NO_ENGINE,
            requested_name=requested_name(wanted, metadata),
            memory=self._memories.recall(entry.uid),
        )
        if is_settled(seen) and entry.is_quiet and not self._has_news(entry):
            return Sight(body, wanted, seen, None)
        engine, engine_seen = await self._find_engine(wanted, status, metadata)
        record = None
        if engine is not None and status.id is not None:
            record = engine.table.find(status.id)
        return Sight(
            body,
            wanted,
            Observed(
                metadata=metadata,
                status=status,
                engine=engine_seen,
                requested_name=seen.requested_name,
                record=record,
                memory=seen.memory,
                is_held=self._is_held(entry, seen, engine, now),
            ),
            engine,
        )

    def _has_news(self, entry: Entry) -> bool:
        if entry.engine_uid is None or entry.record_id is None:
            return False
        engine = self._engines.find(entry.engine_uid)
        return engine is not None and engine.table.find(entry.record_id) is not None

    async def _find_engine(
        self, wanted: BackupSpec, status: BackupStatus, metadata: ObjectMetadata
    ) -> tuple[KnownEngine | None, EngineSeen]:
        candidates = [
            Candidate(entry.key.name, entry.uid, entry.is_default)
            for entry in self._cache.entries(BACKUP_ENGINE)
        ]
        pinned = status.engine if status.submission is not None else None
        chosen = choose_engine(wanted, pinned, candidates)
        if isinstance(chosen, Trouble):
            return None, EngineSeen(None, chosen)
        engine = self._engines.find(chosen.uid)
        if engine is None:
            return None, self._explain_absence(chosen)
        if pinned is None:
            trouble = await self._find_namespace_trouble(engine, metadata.namespace or "")
            if trouble is not None:
                return None, EngineSeen(None, trouble)
        return engine, engine.link.seen()

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

    def _is_held(
        self, entry: Entry, seen: Observed, engine: KnownEngine | None, now: datetime
    ) -> bool:
        mine = entry.deleting_since
        if mine is None or engine is None:
            return False
        uid = engine.link.uid
        waiting = self._cache.deletions(uid)
        others = [at for key, at in waiting.items() if key != entry.key]
        recent = self._memories.deletions(uid, now)
        kept = {found.uid for key in waiting if (found := self._cache.find(key)) is not None}
        others += [at for other, at in recent.items() if other not in kept]
        return is_held(mine, others, self._acknowledged(engine), was_held=was_held(seen))

    def _acknowledged(self, engine: KnownEngine) -> datetime | None:
        entry = self._cache.find(Key(BACKUP_ENGINE.kind, "", engine.link.resource.metadata.name))
        if entry is None:
            return None
        annotations = entry.body()["metadata"].get("annotations") or {}
        return parse_time(annotations.get(ACKNOWLEDGE_ANNOTATION))


def parse_time(text: str | None) -> datetime | None:
    """Read RFC 3339; None where it is absent, unreadable or without a time zone."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _read_leniently(body: dict[str, Any]) -> tuple[BackupSpec, BackupStatus]:
    status, _ = read_status(BackupStatus, body)
    try:
        return BackupResource.from_body(body).spec, status
    except InvalidSpecError:
        raw = body.get("spec")
        policy = raw.get("deletionPolicy") if isinstance(raw, dict) else None
        keeps = policy == DeletionPolicy.DELETE
        return (
            BackupSpec.model_validate(
                {
                    "backupType": "CONFIG",
                    "deletionPolicy": DeletionPolicy.DELETE if keeps else DeletionPolicy.RETAIN,
                }
            ),
            status,
        )
