"""Calls of the backups (spec §3)."""

from collections.abc import AsyncIterator
from typing import Final

from pydantic import TypeAdapter

from backup_api import endpoints
from backup_api.backups import BackupRecord, BackupType, ChangeBackup, CreateBackup
from backup_api.calls.calling import PAGE_LENGTH, Calls
from backup_api.paging import ItemRange, Page

_BACKUP: Final = TypeAdapter(BackupRecord)
_BACKUPS: Final = TypeAdapter(tuple[BackupRecord, ...])


class BackupCalls(Calls):
    """Create, read, change and delete backups."""

    async def create_backup(self, body: CreateBackup, backup_type: BackupType) -> BackupRecord:
        """Ask for a backup and return its record, still INITIALIZING (spec §3.2).

        Sent once only. After LostAnswerError or MalformedAnswerError, and after a RefusedError of
        500 and above, a backup may exist: list by name before asking again.
        """
        headers = {"backup_type": backup_type.value}  # a header, not a member (spec §2.5)
        return await self._post(endpoints.CREATE_BACKUP, _BACKUP, body, headers=headers)

    async def get_backup(self, backup_id: int) -> BackupRecord:
        """Get one backup; 404/1001 is GetBackupErrors.UNKNOWN_BACKUP (spec §3.3)."""
        return await self._get(endpoints.GET_BACKUP, _BACKUP, ids={"id": backup_id})

    async def change_description(self, backup_id: int, description: str) -> BackupRecord:
        """Change the one member that can change (spec §3.4); sent once, harmless to repeat."""
        body = ChangeBackup(description=description)
        return await self._post(endpoints.CHANGE_BACKUP, _BACKUP, body, ids={"id": backup_id})

    async def delete_backup(self, backup_id: int) -> BackupRecord:
        """Cancel a running backup, delete any other; returns it CANCELLING or DELETING.

        It is over when get_backup answers 404/1001 (spec §3.5).
        """
        ids = {"id": backup_id}
        answer = await self._exchange.send(endpoints.DELETE_BACKUP, ids=ids)
        return answer.parsed(_BACKUP)

    async def list_backups_page(
        self, items: ItemRange, *, filter_by: str | None = None, sort: str | None = None
    ) -> Page[BackupRecord]:
        """List one stretch of the backups that match ``filter_by`` (spec §2.8 to §2.10)."""
        return await self._page(
            endpoints.LIST_BACKUPS, _BACKUPS, items, filter_by=filter_by, sort=sort
        )

    def list_backups(
        self, *, filter_by: str | None = None, page_length: int = PAGE_LENGTH
    ) -> AsyncIterator[BackupRecord]:
        """List all backups that match, by ascending id, one page in memory at a time.

        A backup that goes while the list is read hides no other.
        """
        return self._each_by_id(endpoints.LIST_BACKUPS, _BACKUPS, filter_by, page_length)
