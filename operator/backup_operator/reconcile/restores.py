"""Reconciling one Restore: observe, decide, take one step, until there is nothing to do now."""

import logging
from dataclasses import replace
from typing import Any, Final

from backup_api.exceptions import RefusedError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.decisions.engine_trouble import (
    SERVER_ERROR,
    explain_refused_step,
    is_silence,
    needs_new_access,
)
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.decisions.restore import decide_restore
from backup_operator.decisions.restore_facts import (
    AdoptRestore,
    AdoptVolumes,
    EngineRestoreStep,
    KeepRestore,
    Obstacle,
    ReportRestore,
    RestoreDecision,
    RestoreMemory,
    RestoreSeen,
    RestoreStanding,
    RestRestore,
    VolumeRestoreStep,
    VolumesView,
    WriteLaunchAhead,
    WriteRestoreAhead,
    WriteVolumesAhead,
)
from backup_operator.decisions.restore_standings import pending
from backup_operator.decisions.restore_status import build_restore_status
from backup_operator.decisions.volume_standings import describe_running
from backup_operator.engines.directory import KnownEngine
from backup_operator.engines.link import EngineUnusableError
from backup_operator.reconcile.engine_finding import EngineFinder
from backup_operator.reconcile.restoring import RestoreSteps
from backup_operator.reconcile.restoring_volumes import VolumeSteps
from backup_operator.reconcile.stepping import Resting, Stepper
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP, RESTORE
from backup_operator.resources.parts import ConditionStatus, ConditionType, ObjectMetadata
from backup_operator.resources.reading import read_status
from backup_operator.resources.restore import RestoreResource, RestoreSpec
from backup_operator.resources.restore_status import RestoreStatus

LOST_BACKUP: Final = "BackupNotUsable"

logger = logging.getLogger(__name__)


class RestoreReconciler:
    """Brings Restores to where their specs ask them to be."""

    def __init__(
        self, cache: ObjectCache, finder: EngineFinder, writer: StatusWriter, clock: Clock
    ) -> None:
        self._cache = cache
        self._finder = finder
        self._writer = writer
        self._clock = clock
        self._stepper = Stepper(RESTORE, cache, writer, clock)
        self._memories: dict[str, RestoreMemory] = {}
        self._steps = RestoreSteps(clock)
        self._volume_steps = VolumeSteps(clock)

    async def reconcile(self, key: Key) -> Any:  # noqa: ANN401
        """Take steps until the Restore rests; returns when to come back."""
        return await self._stepper.run(key, self._take_step, self._report_invalid)

    async def _take_step(self, entry: Entry, body: dict[str, Any]) -> Resting | None:
        wanted, status, metadata = _read(body)
        engine, seen = await self._see(entry, wanted, status, metadata)
        decision = decide_restore(wanted, seen, self._clock())
        logger.debug("%s: %s", entry.key, decision)
        match decision:
            case RestRestore():
                if entry.is_quiet:
                    self._memories.pop(entry.uid, None)
                return Resting()
            case ReportRestore(standing, until):
                await self._report(body, seen, standing)
                return None if standing.is_over else Resting(until)
            case _:
                await self._apply(entry, body, engine, seen, decision)
                return None

    async def _see(
        self, entry: Entry, wanted: RestoreSpec, status: RestoreStatus, metadata: ObjectMetadata
    ) -> tuple[KnownEngine | None, RestoreSeen]:
        namespace = metadata.namespace or ""
        memory = self._memories.get(entry.uid) or RestoreMemory()
        backup, backup_trouble, is_lost = self._find_backup(wanted, namespace)
        pinned = status.engine if status.submission is not None else None
        if pinned is None and wanted.backup_ref is not None:
            pinned = backup.engine if backup is not None else None
            if pinned is None:  # which engine it is, the Backup will tell
                seen = RestoreSeen(metadata, status, EngineSeen(None), memory)
                return None, replace(seen, backup_trouble=backup_trouble, backup_is_lost=is_lost)
        engine, engine_seen = await self._finder.find(wanted.engine_ref, pinned, namespace)
        not_allowed = None
        if engine is not None and status.submission is None:
            not_allowed = await self._finder.find_restore_trouble(engine, namespace, wanted.volumes)
        look = memory.look.records if memory.look is not None else ()
        return engine, RestoreSeen(
            metadata=metadata,
            status=status,
            engine=engine_seen,
            memory=memory,
            backup_id=wanted.backup_id or (backup.id if backup is not None else None),
            backup_trouble=backup_trouble,
            backup_is_lost=is_lost,
            not_allowed=not_allowed,
            in_the_way=self._find_holder(engine, look[0].id) if look else None,
        )

    def _find_holder(self, engine: KnownEngine | None, record_id: int) -> str | None:
        """Find the Restore that an open record of an engine came of."""
        if engine is None:
            return None
        uid = engine.link.resource.metadata.uid
        for entry in self._cache.unfinished(RESTORE):
            if entry.engine_uid != uid:
                continue
            body = entry.body()
            status, _ = read_status(RestoreStatus, body)
            if status.id == record_id and not (body.get("spec") or {}).get("volumes"):
                return str(entry.key)
        return None

    def _find_backup(
        self, wanted: RestoreSpec, namespace: str
    ) -> tuple[BackupStatus | None, Trouble | None, bool]:
        """Find the Backup of ``backupRef``; the flag says that waiting for it is of no use."""
        if wanted.backup_ref is None:
            return None, None, False
        name = wanted.backup_ref.name
        entry = self._cache.find(Key(BACKUP.kind, namespace, name))
        if entry is None:
            message = f"There is no Backup {name} in this namespace; create it, or use backupId."
            return None, Trouble("BackupNotFound", message, needs_people=True), False
        status, _ = read_status(BackupStatus, entry.body())
        finished = status.find_condition(ConditionType.FINISHED)
        if finished is None or finished.status is not ConditionStatus.TRUE:
            return None, Trouble("BackupNotFinished", f"Waiting for Backup {name}."), False
        complete = status.find_condition(ConditionType.COMPLETE)
        if complete is None or complete.status is not ConditionStatus.TRUE or status.id is None:
            message = f"spec.backupRef: Backup {name} ended as {status.phase}; choose another."
            return None, Trouble(LOST_BACKUP, message, needs_people=True), True
        return status, None, False

    async def _apply(
        self,
        entry: Entry,
        body: dict[str, Any],
        engine: KnownEngine | None,
        seen: RestoreSeen,
        step: RestoreDecision,
    ) -> None:
        match step:
            case KeepRestore(wanted):
                await self._writer.write_finalizers(RESTORE, body, wanted=wanted)
            case WriteRestoreAhead(submission):
                status = self._build(seen, pending("Submitting", "Requesting the restore."))
                change = {"submission": submission, "engine": seen.engine.identity}
                await self._writer.write_status(RESTORE, body, status.model_copy(update=change))
                self._memories[entry.uid] = replace(
                    seen.memory,
                    unsent_attempt=submission.attempts,
                    refusal=None,
                    look=None,
                    first_look_at=None,
                )
            case AdoptRestore():
                await self._adopt(entry, body, seen, step)
            case WriteLaunchAhead(launch, standing):
                status = self._build(seen, standing).model_copy(update={"launch": launch})
                await self._writer.write_status(RESTORE, body, status)
            case WriteVolumesAhead(submission, launch, standing):
                status = self._build(seen, standing)
                ahead: dict[str, Any] = {"submission": submission, "launch": launch}
                ahead["engine"] = seen.engine.identity
                await self._writer.write_status(RESTORE, body, status.model_copy(update=ahead))
                self._memories[entry.uid] = replace(
                    seen.memory, unsent_attempt=submission.attempts, refusal=None
                )
            case AdoptVolumes():
                await self._adopt_volumes(entry, body, seen, step)
            case RestRestore() | ReportRestore():
                raise AssertionError(step)
            case _:
                if engine is None:
                    raise EngineUnusableError(f"no engine for {entry.key}")
                await self._ask(entry, engine, step)

    async def _ask(
        self, entry: Entry, engine: KnownEngine, step: VolumeRestoreStep | EngineRestoreStep
    ) -> None:
        """Take a step at the engine; a refusal that no table has is remembered, to be told.

        What is refused has changed nothing at the engine, so what was known still holds. After an
        error of its own nobody knows, so that counts as a lost answer does.
        """
        before = self._memories.get(entry.uid) or RestoreMemory()
        remembered = replace(before, obstacle=None)
        taken = (
            self._volume_steps.take(engine, remembered, step)
            if isinstance(step, VolumeRestoreStep)
            else self._steps.take(engine, remembered, step)
        )
        try:
            async for memory in taken:
                self._memories[entry.uid] = memory
        except RefusedError as trouble:
            if is_silence(trouble) or needs_new_access(trouble):
                raise  # the engine as a whole cannot be used, which it tells itself
            logger.warning("%s: %s", entry.key, trouble)
            told = explain_refused_step(trouble, engine.link.resource.metadata.name)
            is_known = trouble.http_status < SERVER_ERROR
            memory = before if is_known else self._memories.get(entry.uid, before)
            self._memories[entry.uid] = replace(memory, obstacle=Obstacle(self._clock(), told))

    async def _adopt(
        self, entry: Entry, body: dict[str, Any], seen: RestoreSeen, step: AdoptRestore
    ) -> None:
        record = step.record
        standing = pending("Requested", f"The engine has the restore as id {record.id}.")
        status = self._build(seen, standing).model_copy(
            update={"id": record.id, "backup_id": record.backup_id, "status": record.status}
        )
        await self._writer.write_status(RESTORE, body, status)
        self._memories[entry.uid] = RestoreMemory()
        if step.is_found:
            note = f"The answer was lost; found restore {record.id} at the engine."
            self._writer.tell(RESTORE, body, "Adopted", note)

    async def _adopt_volumes(
        self, entry: Entry, body: dict[str, Any], seen: RestoreSeen, step: AdoptVolumes
    ) -> None:
        record = step.record
        view = VolumesView(self._clock(), record)
        memory = RestoreMemory(volumes=view)
        standing = describe_running(record)
        status = self._build(replace(seen, memory=memory), standing)
        await self._writer.write_status(RESTORE, body, status.model_copy(update={"id": record.id}))
        self._memories[entry.uid] = memory
        if step.is_found:
            note = f"The answer was lost; found restore {record.id} at the engine."
            self._writer.tell(RESTORE, body, "Adopted", note)

    async def _report(
        self, body: dict[str, Any], seen: RestoreSeen, standing: RestoreStanding
    ) -> None:
        await self._writer.write_status(RESTORE, body, self._build(seen, standing))

    async def _report_invalid(self, body: dict[str, Any], problem: InvalidSpecError) -> None:
        stored, _ = read_status(RestoreStatus, body)
        seen = RestoreSeen(
            ObjectMetadata.from_body(body), stored, EngineSeen(None), RestoreMemory()
        )
        standing = replace(pending("InvalidSpec", str(problem), is_stalled=True), phase=None)
        await self._report(body, seen, replace(standing, failure=stored.failure))

    def _build(self, seen: RestoreSeen, standing: RestoreStanding) -> RestoreStatus:
        return build_restore_status(seen, standing, self._clock())


def _read(body: dict[str, Any]) -> tuple[RestoreSpec, RestoreStatus, ObjectMetadata]:
    """Read an object; for one that is being deleted a broken spec does not matter."""
    metadata = ObjectMetadata.from_body(body)
    try:
        resource = RestoreResource.from_body(body)
    except InvalidSpecError:
        if not metadata.is_deleting:
            raise
        status, _ = read_status(RestoreStatus, body)
        spec = RestoreSpec.model_validate({"backupId": 1, "groups": ["CUSTOM_RULES_CONFIG"]})
        return spec, status, metadata
    return resource.spec, resource.status, metadata
