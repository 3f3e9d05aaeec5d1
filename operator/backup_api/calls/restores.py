"""Calls of the restores (spec §4)."""

from collections.abc import AsyncIterator
from typing import Final

from pydantic import TypeAdapter

from backup_api import endpoints
from backup_api.calls.calling import PAGE_LENGTH, Calls
from backup_api.paging import ItemRange, Page
from backup_api.restores import CreateRestore, LaunchRestore, RestoreRecord, RestoreStatus

_RESTORE: Final = TypeAdapter(RestoreRecord)
_RESTORES: Final = TypeAdapter(tuple[RestoreRecord, ...])


class RestoreCalls(Calls):
    """Create, launch, read and drop restores."""

    async def create_restore(self, body: CreateRestore) -> RestoreRecord:
        """Make a PENDING restore; nothing happens until it is launched (spec §4.2).

        Sent once only. After LostAnswerError or MalformedAnswerError, and after a RefusedError of
        500 and above, one may exist: list before asking again.
        """
        return await self._post(endpoints.CREATE_RESTORE, _RESTORE, body)

    async def launch_restore(self, restore_id: int) -> RestoreRecord:
        """Launch a PENDING restore: all services stop until it is over (spec §4.4).

        Sent once only. After a lost answer get_restore tells whether it is still PENDING.
        """
        body = LaunchRestore(status=RestoreStatus.REQUESTING.value)
        return await self._post(endpoints.LAUNCH_RESTORE, _RESTORE, body, ids={"id": restore_id})

    async def get_restore(self, restore_id: int) -> RestoreRecord:
        """Get one restore; 404/1001 is GetRestoreErrors.UNKNOWN_RESTORE (spec §4.3)."""
        return await self._get(endpoints.GET_RESTORE, _RESTORE, ids={"id": restore_id})

    async def delete_restore(self, restore_id: int) -> None:
        """Drop the record of a restore that is not over; a running one runs on (spec §4.5)."""
        await self._exchange.send(endpoints.DELETE_RESTORE, ids={"id": restore_id})

    async def list_restores_page(
        self, items: ItemRange, *, filter_by: str | None = None, sort: str | None = None
    ) -> Page[RestoreRecord]:
        """List one stretch of the restores that match ``filter_by`` (spec §4.1)."""
        return await self._page(
            endpoints.LIST_RESTORES, _RESTORES, items, filter_by=filter_by, sort=sort
        )

    def list_restores(
        self, *, filter_by: str | None = None, page_length: int = PAGE_LENGTH
    ) -> AsyncIterator[RestoreRecord]:
        """List all restores that match, by ascending id, one page in memory at a time."""
        return self._each_by_id(endpoints.LIST_RESTORES, _RESTORES, filter_by, page_length)
