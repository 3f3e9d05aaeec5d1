"""The hooks of a DATA backup: what is run before its volumes are read is followed by what is after.

Rows of the database tell what has been run. Once they are kept the backup owes its hooks of stage
AFTER, whoever ends it: the run itself, a cancellation, or an engine that starts anew. One that was
cut off is run again from its first pod, so a hook runs once at least, and must bear a second time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from backup_api.extensions.hooks import HookInPod, HookStage, HookStatus
from backup_engine.host_definition import HookFailurePolicy, HostHooks
from backup_engine.records.backup_hooks import BackupHookRecords, StoredHook
from backup_engine.records.database import Database
from backup_engine.runs.claims import Claim
from backup_engine.runs.persistence import persist
from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.hooks import CommandEnd, HookPod, explain_end
from backup_engine.volumes.pod_commands import PodCommands

logger = logging.getLogger(__name__)

HOOK_FAILED: Final = "HookFailed"
AWAY_FOR_S: Final = 300.0
ASK_AGAIN_S: Final = 1.0

_OVER: Final = frozenset({HookStatus.SUCCESS, HookStatus.FAILED})

Result = TypeVar("Result")


class HookRunning:
    """Runs the hooks of backups. An API server that is away is asked again for ``away_for_s``."""

    def __init__(
        self, database: Database, commands: PodCommands, away_for_s: float = AWAY_FOR_S
    ) -> None:
        self._database = database
        self._commands = commands
        self._away_for_s = away_for_s

    async def keep(self, backup_id: int, claim: Claim, hooks: HostHooks) -> None:
        """Keep what a backup has to run, once; from now on it owes the hooks of stage AFTER."""

        async def keep() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                records = BackupHookRecords(connection)
                if not await records.list_stored(backup_id):
                    await records.add(backup_id, hooks)

        await persist(keep, f"backup {backup_id}: its hooks")

    async def run_before(self, backup_id: int, claim: Claim) -> None:
        """Run what is to be run before volumes are read; raises VolumeError if one may not fail."""
        for hook in await self._list(backup_id):
            if hook.stage is not HookStage.BEFORE:
                continue
            trouble = await self._run_once(backup_id, claim, hook)
            if trouble is not None:
                raise trouble

    async def run_after(self, backup_id: int, claim: Claim) -> VolumeError | None:
        """Run what the backup still owes, all of it; returns the first trouble that may not be."""
        first: VolumeError | None = None
        for hook in await self._list(backup_id):
            if hook.stage is HookStage.BEFORE:
                if hook.status is HookStatus.IN_PROGRESS:
                    cut = _failed("Interrupted", "the backup ended while the hook ran")
                    await self._note(backup_id, claim, hook, cut)
                continue
            trouble = await self._run_once(backup_id, claim, hook)
            first = first or trouble
        return first

    async def _run_once(self, backup_id: int, claim: Claim, hook: StoredHook) -> VolumeError | None:
        """Run a hook unless it is over; returns its failure if that may not be."""
        status, message = hook.status, hook.message
        if status not in _OVER:
            changes = await self._run(backup_id, claim, hook)
            await self._note(backup_id, claim, hook, changes)
            status, message = changes["status"], changes["message"]
        if status is HookStatus.SUCCESS:
            return None
        told = f"{_describe(hook)}: {message}"
        if hook.definition.on_error is HookFailurePolicy.CONTINUE:
            logger.warning("backup %d: %s", backup_id, told)
            return None
        return VolumeError(HOOK_FAILED, told)

    async def _run(self, backup_id: int, claim: Claim, hook: StoredHook) -> dict[str, Any]:
        """Run a hook in its pods; returns what to write of it."""
        definition = hook.definition
        await self._note(backup_id, claim, hook, {"status": HookStatus.IN_PROGRESS.value})
        is_vain = (  # to go on in other pods, if one has failed
            hook.stage is HookStage.BEFORE and definition.on_error is HookFailurePolicy.FAIL
        )
        ends: list[tuple[HookPod, CommandEnd]] = []
        try:
            pods = await self._patiently(lambda: self._commands.list_pods(definition))
        except VolumeError as trouble:
            return _failed(trouble.reason, trouble.message)
        for pod in pods:
            end = await self._run_in(pod, hook)
            ends.append((pod, end))
            if is_vain and not end.is_good:
                break
        told = {"pods": [_tell(pod, end) for pod, end in ends]}
        bad = next(((pod, end) for pod, end in ends if not end.is_good), None)
        if bad is not None:
            return told | _failed(HOOK_FAILED, f"{bad[0]}: {explain_end(bad[1])}")
        logger.info("backup %d: %s: done in %d pods", backup_id, _describe(hook), len(ends))
        return told | {"status": HookStatus.SUCCESS, "reason": None, "message": None}

    async def _run_in(self, pod: HookPod, hook: StoredHook) -> CommandEnd:
        definition = hook.definition
        try:
            return await self._patiently(
                lambda: self._commands.run(pod, definition.command, definition.timeout_seconds)
            )
        except VolumeError as trouble:
            return CommandEnd(None, message=trouble.message)

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask again while the API server is away, but not for ever."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            try:
                return await ask()
            except RepositoryUnreachableError as trouble:
                if loop.time() - began > self._away_for_s:
                    raise
                logger.warning("a hook waits: %s", trouble)
            await asyncio.sleep(ASK_AGAIN_S)

    async def _list(self, backup_id: int) -> list[StoredHook]:
        async def find() -> list[StoredHook]:
            async with self._database.reading() as connection:
                return await BackupHookRecords(connection).list_stored(backup_id)

        return await persist(find, f"backup {backup_id}: its hooks")

    async def _note(
        self, backup_id: int, claim: Claim, hook: StoredHook, changes: dict[str, Any]
    ) -> None:
        async def note() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                records = BackupHookRecords(connection)
                await records.note(backup_id, hook.stage, hook.number, changes)

        await persist(note, f"backup {backup_id}: writing {_describe(hook)}")


def _describe(hook: StoredHook) -> str:
    return f"hook {hook.stage.lower()}[{hook.number}]"


def _tell(pod: HookPod, end: CommandEnd) -> dict[str, object]:
    told = HookInPod(
        pod=pod.name,
        container=pod.container,
        exit_code=end.exit_code,
        stderr=end.stderr,
        message=end.message,
    )
    return told.model_dump(mode="json")


def _failed(reason: str, message: str) -> dict[str, Any]:
    return {"status": HookStatus.FAILED, "reason": reason, "message": message}
