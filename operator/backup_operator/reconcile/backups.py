"""Reconciling one Backup: observe, decide, apply one step, until there is nothing to do now."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Final

from backup_api.exceptions import BackupApiError, RefusedError
from backup_operator.cluster.api import ClusterError, ConflictError, GoneError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.decisions.backup import decide
from backup_operator.decisions.engine_trouble import SERVER_ERROR, explain_trouble
from backup_operator.decisions.standings import pending, waiting
from backup_operator.decisions.status import build_status
from backup_operator.decisions.steps import (
    AddFinalizer,
    Adopt,
    ChangeDescription,
    Decision,
    DeleteRecord,
    RemoveFinalizer,
    Report,
    Rest,
    Standing,
    StartDeploy,
    Submit,
    WriteAhead,
)
from backup_operator.engines.link import EngineUnusableError
from backup_operator.reconcile.applying import EngineSteps
from backup_operator.reconcile.memory import Memories
from backup_operator.reconcile.observing import Observer, Sight
from backup_operator.reconcile.queue import RetryLaterError
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.reading import read_status

MOST_STEPS: Final = 25
SHORTEST_WAIT: Final = timedelta(milliseconds=50)

logger = logging.getLogger(__name__)


class BackupReconciler:
    """Brings Backups to where their specs ask them to be."""

    def __init__(
        self,
        cache: ObjectCache,
        observer: Observer,
        steps: EngineSteps,
        writer: StatusWriter,
        memories: Memories,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._observer = observer
        self._steps = steps
        self._writer = writer
        self._memories = memories
        self._clock = clock

    async def reconcile(self, key: Key) -> timedelta | None:
        """Take steps until the Backup rests; returns when to come back, None: on the next event.

        Raises RetryLaterError when the cluster or the engine did not go along.
        """
        for _ in range(MOST_STEPS):
            entry = self._cache.find(key)
            if entry is None:
                return None
            try:
                sight = await self._observer.observe(entry, self._clock())
                decision = decide(sight.wanted, sight.seen, self._clock())
                logger.debug("%s: %s", key, decision)
                if isinstance(decision, Rest):
                    return self._wait(decision)
                if isinstance(decision, Report):
                    await self._report(sight, decision.standing)
                    return self._wait(decision)
                await self._apply(entry, sight, decision)
            except InvalidSpecError as problem:
                await self._report_invalid(entry, problem)
                return None
            except EngineUnusableError:
                continue  # the next decision sees why, and tells it
            except ConflictError:
                await self._refresh(entry)
            except GoneError:
                self._forget(entry)
                return None
            except ClusterError as trouble:
                raise RetryLaterError(str(trouble)) from trouble
        raise RetryLaterError(f"{MOST_STEPS} steps led to no rest")

    async def _apply(self, entry: Entry, sight: Sight, decision: Decision) -> None:
        match decision:
            case AddFinalizer():
                await self._writer.write_finalizers(BACKUP, sight.body, wanted=True)
            case RemoveFinalizer():
                await self._writer.write_finalizers(BACKUP, sight.body, wanted=False)
            case WriteAhead():
                await self._write_ahead(entry, sight, decision)
            case Adopt():
                await self._adopt(entry, sight, decision)
            case Rest() | Report():
                raise AssertionError(decision)
            case _:
                await self._ask_engine(entry, sight, decision)

    async def _write_ahead(self, entry: Entry, sight: Sight, step: WriteAhead) -> None:
        status = self._build(sight, step.standing).model_copy(
            update={"submission": step.submission, "engine": step.engine}
        )
        await self._writer.write_status(BACKUP, sight.body, status)
        self._memories.change(
            entry.uid,
            unsent_attempt=step.submission.attempts,
            answer=None,
            look=None,
            first_look_at=None,
        )

    async def _adopt(self, entry: Entry, sight: Sight, step: Adopt) -> None:
        await self._writer.write_status(BACKUP, sight.body, self._build(sight, step.standing))
        self._memories.forget(entry.uid)
        if sight.engine is not None:  # else its BackupEngine went while the request was under way
            sight.engine.table.put(step.record.id, step.record, 0.0)  # any later answer counts more
            sight.engine.poller.wake()
        name = step.record.name or sight.seen.requested_name
        asked = sight.seen.status.engine
        engine = asked.name if asked is not None else "its engine"
        reason, words = (
            ("Adopted", "The answer was lost; found")
            if step.is_found
            else ("Submitted", "The engine accepted")
        )
        note = f"{words} backup {name} as id {step.record.id} at {engine}."
        self._writer.tell(BACKUP, sight.body, reason, note)

    async def _ask_engine(self, entry: Entry, sight: Sight, step: Decision) -> None:
        engine = sight.engine
        if engine is None:
            raise EngineUnusableError(f"no engine for {entry.key}")
        match step:
            case Rest() | Report() | AddFinalizer() | RemoveFinalizer() | WriteAhead() | Adopt():
                raise AssertionError(step)
            case _:
                pass
        if isinstance(step, DeleteRecord) and sight.seen.metadata.deletion_timestamp is not None:
            begun = sight.seen.metadata.deletion_timestamp
            self._memories.note_deletion(engine.link.uid, entry.uid, begun)
        try:
            await self._steps.take(entry.uid, engine, step)
        except BackupApiError as trouble:
            if _is_remembered(step, trouble):
                return
            await self._tell_trouble(sight, trouble, engine.link.spec.url)
            raise RetryLaterError(str(trouble)) from trouble
        if isinstance(step, DeleteRecord):
            engine.poller.wake()

    async def _tell_trouble(self, sight: Sight, trouble: BackupApiError, url: str) -> None:
        """Tell a refusal that repeating will hardly mend; silence is told by the link."""
        if isinstance(trouble, RefusedError) and trouble.http_status < SERVER_ERROR:
            standing = waiting(explain_trouble(trouble, url), None)
            await self._report(sight, replace(standing, failure=sight.seen.status.failure))

    async def _report(self, sight: Sight, standing: Standing) -> None:
        await self._writer.write_status(BACKUP, sight.body, self._build(sight, standing))
        uid = sight.seen.metadata.uid
        if standing.verdict is not None:
            self._memories.forget(uid)
            if sight.engine is not None and sight.seen.status.id is not None:
                sight.engine.table.drop(sight.seen.status.id)  # told, and watched by the sweep

    async def _report_invalid(self, entry: Entry, problem: InvalidSpecError) -> None:
        body = entry.body()
        status, _ = read_status(BackupStatus, body)
        standing = replace(
            pending("InvalidSpec", str(problem), is_stalled=True),
            phase=status.phase,
            failure=status.failure,
        )
        generation = ObjectMetadata.from_body(body).generation
        unused = BackupSpec.model_validate({"backupType": "CONFIG"})
        told = build_status(unused, generation, status, standing, self._clock())
        try:
            await self._writer.write_status(BACKUP, body, told)
        except ConflictError:
            await self._refresh(entry)
            raise RetryLaterError("the object changed meanwhile") from problem
        except GoneError:
            self._forget(entry)

    async def _refresh(self, entry: Entry) -> None:
        key = entry.key
        try:
            await self._writer.refresh(BACKUP, key.namespace, key.name)
        except GoneError:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        self._cache.remove(entry.key, entry.uid)
        self._memories.forget(entry.uid)

    def _build(self, sight: Sight, standing: Standing) -> BackupStatus:
        seen = sight.seen
        return build_status(
            sight.wanted, seen.metadata.generation, seen.status, standing, self._clock()
        )

    def _wait(self, decision: Rest | Report) -> timedelta | None:
        if decision.until is None:
            return None
        return max(decision.until - self._clock(), SHORTEST_WAIT)


def _is_remembered(step: Decision, trouble: BackupApiError) -> bool:
    """Tell whether the failure is a fact that the next decision knows of."""
    if isinstance(step, Submit):
        return True
    is_refusal = isinstance(trouble, RefusedError) and trouble.http_status < SERVER_ERROR
    return is_refusal and isinstance(step, ChangeDescription | StartDeploy)
