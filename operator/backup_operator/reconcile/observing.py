"""Gathering the facts about one Backup."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.cluster.entries import parse_time
from backup_operator.decisions.deletion import is_held, was_held
from backup_operator.decisions.existing import is_settled
from backup_operator.decisions.facts import Observed
from backup_operator.engines.directory import EngineDirectory, KnownEngine
from backup_operator.reconcile.engine_finding import NO_ENGINE, EngineFinder
from backup_operator.reconcile.memory import Memories
from backup_operator.resources.backup import (
    BackupResource,
    BackupSpec,
    DeletionPolicy,
    requested_name,
)
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import ACKNOWLEDGE_ANNOTATION, BACKUP_ENGINE
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.reading import read_status


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
        cache: ObjectCache,
        engines: EngineDirectory,
        finder: EngineFinder,
        memories: Memories,
    ) -> None:
        self._cache = cache
        self._engines = engines
        self._finder = finder
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
        pinned = status.engine if status.submission is not None else None
        engine, engine_seen = await self._finder.find(
            wanted.engine_ref, pinned, metadata.namespace or ""
        )
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
                crowd=self._cache.count_unanswered(engine.link.uid) if engine is not None else 1,
            ),
            engine,
        )

    def _has_news(self, entry: Entry) -> bool:
        if entry.engine_uid is None or entry.record_id is None:
            return False
        engine = self._engines.find(entry.engine_uid)
        return engine is not None and engine.table.find(entry.record_id) is not None

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
