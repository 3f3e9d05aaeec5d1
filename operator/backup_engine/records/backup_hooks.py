"""Rows of the hooks of DATA backups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.extensions.hooks import BackupHook, HookStage, HookStatus
from backup_engine.host_definition import HookDefinition, HostHooks
from backup_engine.records.tables import BACKUP_HOOKS


@dataclass(frozen=True, slots=True)
class StoredHook:
    """One hook of a backup: what is to be run, and what became of it."""

    stage: HookStage
    number: int
    definition: HookDefinition
    status: HookStatus
    message: str | None = None


class BackupHookRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, backup_id: int, hooks: HostHooks) -> None:
        """Keep what a backup has to run: an edit of the host changes nothing of it any more."""
        rows = [
            {
                "backup_id": backup_id,
                "stage": stage.value,
                "number": number,
                "definition": msgspec.to_builtins(hook),
                "status": HookStatus.PENDING.value,
                "pods": [],
            }
            for stage, chosen in ((HookStage.BEFORE, hooks.before), (HookStage.AFTER, hooks.after))
            for number, hook in enumerate(chosen)
        ]
        if rows:
            await self._connection.execute(insert(BACKUP_HOOKS), rows)

    async def list_stored(self, backup_id: int) -> list[StoredHook]:
        """List the hooks of a backup in the order of their running."""
        return [_stored(row) for row in await self._rows(backup_id)]

    async def list_all(self, backup_id: int) -> list[BackupHook]:
        """List them as the wire has them."""
        return [_hook(row) for row in await self._rows(backup_id)]

    async def note(
        self, backup_id: int, stage: HookStage, number: int, changes: Mapping[str, Any]
    ) -> None:
        """Write columns of one hook."""
        await self._connection.execute(
            update(BACKUP_HOOKS)
            .where(
                BACKUP_HOOKS.c.backup_id == backup_id,
                BACKUP_HOOKS.c.stage == stage.value,
                BACKUP_HOOKS.c.number == number,
            )
            .values(**changes)
        )

    async def _rows(self, backup_id: int) -> list[RowMapping]:
        found = await self._connection.execute(
            select(BACKUP_HOOKS)
            .where(BACKUP_HOOKS.c.backup_id == backup_id)
            .order_by(BACKUP_HOOKS.c.stage.desc(), BACKUP_HOOKS.c.number)  # BEFORE, then AFTER
        )
        return list(found.mappings())


def _stored(row: RowMapping) -> StoredHook:
    definition = msgspec.convert(row["definition"], HookDefinition)
    stage, status = HookStage(row["stage"]), HookStatus(row["status"])
    return StoredHook(stage, row["number"], definition, status, row["message"])


def _hook(row: RowMapping) -> BackupHook:
    definition = msgspec.convert(row["definition"], HookDefinition)
    told = {"namespace": definition.namespace, "on_error": definition.on_error.value}
    return BackupHook.model_validate({**row, **told})
