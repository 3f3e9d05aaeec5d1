"""The async client of the backup API: one typed method per endpoint (spec §1)."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx2
from pydantic import TypeAdapter

from backup_api import endpoints
from backup_api.about import ApiVersion, SystemAbout
from backup_api.backups import BackupRecord, BackupType, ChangeBackup, CreateBackup
from backup_api.deploy import DeployStatus, DeployType, StartDeploy
from backup_api.endpoints import Endpoint
from backup_api.exchange import ClientOptions, Exchange
from backup_api.hosts import HostRecord
from backup_api.paging import ItemRange, Page, parse_total

__all__ = ["PAGE_LENGTH", "BackupApiClient", "ClientOptions"]

Shape = TypeVar("Shape")

PAGE_LENGTH: Final = 500

_BACKUP: Final = TypeAdapter(BackupRecord)
_BACKUPS: Final = TypeAdapter(tuple[BackupRecord, ...])
_HOSTS: Final = TypeAdapter(tuple[HostRecord, ...])
_DEPLOY: Final = TypeAdapter(DeployStatus)
_ABOUT: Final = TypeAdapter(SystemAbout)
_VERSIONS: Final = TypeAdapter(tuple[ApiVersion, ...])


class BackupApiClient:
    """Speaks to one server of the API; an async context manager that owns its connections.

    Every method raises a BackupApiError: NotSentError, LostAnswerError, MalformedAnswerError, or
    RefusedError with the row of the endpoint's code table. Only GETs are repeated (spec §2.11).
    """

    def __init__(
        self, options: ClientOptions, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._exchange = Exchange(options, transport)

    async def __aenter__(self) -> Self:
        await self._exchange.http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exchange.http.__aexit__(kind, error, trace)

    @property
    def options(self) -> ClientOptions:
        """What this client was made with."""
        return self._exchange.options

    @property
    def clock_offset(self) -> timedelta | None:
        """How far the server's clock is ahead of ours by its last ``Date``; None: not told."""
        return self._exchange.clock_offset

    async def about(self) -> SystemAbout:
        """Get the product version; the cheapest probe of address, trust and credentials."""
        return await self._get(endpoints.ABOUT, _ABOUT)

    async def list_versions(self) -> tuple[ApiVersion, ...]:
        """List the API versions that the server knows (spec §8)."""
        return await self._get(endpoints.LIST_VERSIONS, _VERSIONS)

    async def list_hosts(self) -> tuple[HostRecord, ...]:
        """List the deployed hosts (spec §6.1)."""
        return await self._get(endpoints.LIST_HOSTS, _HOSTS)

    async def create_backup(self, body: CreateBackup, backup_type: BackupType) -> BackupRecord:
        """Ask for a backup and return its record, still INITIALIZING (spec §3.2).

        Sent once only. After LostAnswerError or MalformedAnswerError, and after a RefusedError of
        500 and above, a backup may exist: list by name before asking again.
        """
        headers = {"backup_type": backup_type.value}  # a header, not a member (spec §2.5)
        answer = await self._exchange.send(endpoints.CREATE_BACKUP, body=body, headers=headers)
        return answer.parsed(_BACKUP)

    async def get_backup(self, backup_id: int) -> BackupRecord:
        """Get one backup; 404/1001 is GetBackupErrors.UNKNOWN_BACKUP (spec §3.3)."""
        return await self._get(endpoints.GET_BACKUP, _BACKUP, ids={"id": backup_id})

    async def change_description(self, backup_id: int, description: str) -> BackupRecord:
        """Change the one member that can change (spec §3.4); sent once, harmless to repeat."""
        body = ChangeBackup(description=description)
        ids = {"id": backup_id}
        answer = await self._exchange.send(endpoints.CHANGE_BACKUP, body=body, ids=ids)
        return answer.parsed(_BACKUP)

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
        query = {"filter": filter_by, "sort": sort}
        answer = await self._exchange.send(
            endpoints.LIST_BACKUPS,
            query={name: value for name, value in query.items() if value is not None},
            headers={"Range": str(items)},
        )
        records = answer.parsed(_BACKUPS)
        return Page(records, items.first, parse_total(answer.headers.get("Content-Range")))

    async def list_backups(
        self, *, filter_by: str | None = None, page_length: int = PAGE_LENGTH
    ) -> AsyncIterator[BackupRecord]:
        """List all backups that match, by ascending id, one page in memory at a time.

        Pages continue after the last id seen rather than at a position, so that a backup which
        goes while the list is read hides no other.
        """
        seen = 0
        while True:
            after = f"id > {seen}"
            page = await self.list_backups_page(
                ItemRange(0, page_length - 1),
                filter_by=f"({filter_by}) and {after}" if filter_by else after,
                sort="+id",
            )
            for record in page.records:
                yield record
            if len(page.records) < page_length:
                return
            seen = page.records[-1].id

    async def deploy_status(self) -> DeployStatus:
        """Get the running or the last deploy (spec §7.1)."""
        return await self._get(endpoints.GET_DEPLOY, _DEPLOY)

    async def start_deploy(self, deploy_type: DeployType = DeployType.INCREMENTAL) -> DeployStatus:
        """Put the staged configuration in force (spec §7.2).

        409/1002 and 409/1004: one is running or there is nothing to do; deploy_status tells which.
        """
        body = StartDeploy(type=deploy_type)
        answer = await self._exchange.send(endpoints.START_DEPLOY, body=body)
        return answer.parsed(_DEPLOY)

    async def _get(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[Shape],
        *,
        ids: Mapping[str, int | str] | None = None,
    ) -> Shape:
        return (await self._exchange.send(endpoint, ids=ids)).parsed(shape)
