"""The call that tells of the hooks of a DATA backup."""

from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import Calls
from backup_api.extensions.hooks import LIST_BACKUP_HOOKS, BackupHook

_HOOKS: Final = TypeAdapter(tuple[BackupHook, ...])


class HookCalls(Calls):
    """Ask for the hooks of a DATA backup."""

    async def list_backup_hooks(self, backup_id: int) -> tuple[BackupHook, ...]:
        """List the hooks in the order of their running; none: nothing was to be run."""
        return await self._get(LIST_BACKUP_HOOKS, _HOOKS, ids={"id": backup_id})
