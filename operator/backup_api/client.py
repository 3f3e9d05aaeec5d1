"""The async client of the backup API: one typed method per endpoint (spec §1)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from backup_api import endpoints
from backup_api.about import ApiVersion, SystemAbout
from backup_api.backups import BackupRecord, BackupType, ChangeBackup, CreateBackup
from backup_api.credentials import Credentials, Trust
from backup_api.deploy import DeployStatus, DeployType, StartDeploy
from backup_api.endpoints import Endpoint
from backup_api.errors import TRANSIENT_STATUSES, ErrorBody
from backup_api.exceptions import (
    BackupApiError,
    LostAnswerError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)
from backup_api.hosts import HostRecord
from backup_api.pacing import RequestPacer, RetryPolicy
from backup_api.paging import ItemRange, Page, parse_total
from backup_api.wire import WireRequest

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

PAGE_LENGTH: Final = 500

_BACKUP: Final = TypeAdapter(BackupRecord)
_BACKUPS: Final = TypeAdapter(tuple[BackupRecord, ...])
_HOSTS: Final = TypeAdapter(tuple[HostRecord, ...])
_DEPLOY: Final = TypeAdapter(DeployStatus)
_ABOUT: Final = TypeAdapter(SystemAbout)
_VERSIONS: Final = TypeAdapter(tuple[ApiVersion, ...])

_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Everything that decides how a server is spoken to.

    ``url`` is ``https://host[:port]``; ``api_version`` None sends no ``Version`` header.
    """

    url: str
    credentials: Credentials
    trust: Trust = field(default_factory=Trust)
    api_version: str | None = None
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 30.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    requests_per_second: float = 20.0


class BackupApiClient:
    """Speaks to one server of the API; an async context manager that owns its connections.

    Every method raises a BackupApiError: NotSentError, LostAnswerError, MalformedAnswerError, or
    RefusedError with the row of the endpoint's code table. Only GETs are repeated (spec §2.11).
    """

    def __init__(
        self, options: ClientOptions, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._options = options
        self._pacer = RequestPacer(options.requests_per_second)
        self._deprecations_told: set[Endpoint] = set()
        self._clock_offset: timedelta | None = None
        self._http = httpx2.AsyncClient(
            base_url=options.url,
            transport=transport,
            verify=options.trust.ssl_context(),
            timeout=httpx2.Timeout(options.answer_timeout_s, connect=options.connect_timeout_s),
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4),
            trust_env=False,  # a proxy for the internet is never the way to an appliance
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    @property
    def options(self) -> ClientOptions:
        """What this client was made with."""
        return self._options

    @property
    def clock_offset(self) -> timedelta | None:
        """How far the server's clock is ahead of ours by its last ``Date``; None: not told."""
        return self._clock_offset

    async def about(self) -> SystemAbout:
        """Get the product version; the cheapest probe of address, trust and credentials."""
        return await self._read(endpoints.ABOUT, _ABOUT)

    async def list_versions(self) -> tuple[ApiVersion, ...]:
        """List the API versions that the server knows (spec §8)."""
        return await self._read(endpoints.LIST_VERSIONS, _VERSIONS)

    async def list_hosts(self) -> tuple[HostRecord, ...]:
        """List the deployed hosts (spec §6.1)."""
        return await self._read(endpoints.LIST_HOSTS, _HOSTS)

    async def create_backup(self, body: CreateBackup, backup_type: BackupType) -> BackupRecord:
        """Ask for a backup and return its record, still INITIALIZING (spec §3.2).

        Sent once only. After LostAnswerError or MalformedAnswerError, and after a RefusedError of
        500 and above, a backup may exist: list by name before asking again.
        """
        headers = {"backup_type": backup_type.value}  # a header, not a member (spec §2.5)
        answer = await self._exchange(endpoints.CREATE_BACKUP, body=body, headers=headers)
        return _parsed(endpoints.CREATE_BACKUP, answer, _BACKUP)

    async def get_backup(self, backup_id: int) -> BackupRecord:
        """Get one backup; 404/1001 is GetBackupErrors.UNKNOWN_BACKUP (spec §3.3)."""
        return await self._read(endpoints.GET_BACKUP, _BACKUP, ids={"id": backup_id})

    async def change_description(self, backup_id: int, description: str) -> BackupRecord:
        """Change the one member that can change (spec §3.4); sent once, harmless to repeat."""
        body = ChangeBackup(description=description)
        ids = {"id": backup_id}
        answer = await self._exchange(endpoints.CHANGE_BACKUP, body=body, ids=ids)
        return _parsed(endpoints.CHANGE_BACKUP, answer, _BACKUP)

    async def delete_backup(self, backup_id: int) -> BackupRecord:
        """Cancel a running backup, delete any other; returns it CANCELLING or DELETING.

        It is over when get_backup answers 404/1001 (spec §3.5).
        """
        ids = {"id": backup_id}
        answer = await self._exchange(endpoints.DELETE_BACKUP, ids=ids)
        return _parsed(endpoints.DELETE_BACKUP, answer, _BACKUP)

    async def list_backups_page(
        self, items: ItemRange, *, filter_by: str | None = None, sort: str | None = None
    ) -> Page[BackupRecord]:
        """List one stretch of the backups that match ``filter_by`` (spec §2.8 to §2.10)."""
        query = {"filter": filter_by, "sort": sort}
        answer = await self._exchange(
            endpoints.LIST_BACKUPS,
            query={name: value for name, value in query.items() if value is not None},
            headers={"Range": str(items)},
        )
        records = _parsed(endpoints.LIST_BACKUPS, answer, _BACKUPS)
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
        return await self._read(endpoints.GET_DEPLOY, _DEPLOY)

    async def start_deploy(self, deploy_type: DeployType = DeployType.INCREMENTAL) -> DeployStatus:
        """Put the staged configuration in force (spec §7.2).

        409/1002 and 409/1004: one is running or there is nothing to do; deploy_status tells which.
        """
        body = StartDeploy(type=deploy_type)
        answer = await self._exchange(endpoints.START_DEPLOY, body=body)
        return _parsed(endpoints.START_DEPLOY, answer, _DEPLOY)

    async def _read(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[Answer],
        *,
        ids: Mapping[str, int] | None = None,
    ) -> Answer:
        return _parsed(endpoint, await self._exchange(endpoint, ids=ids), shape)

    async def _exchange(
        self,
        endpoint: Endpoint,
        *,
        ids: Mapping[str, int] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: WireRequest | None = None,
    ) -> httpx2.Response:
        request_headers = {"Accept": "application/json", **(headers or {})}
        if self._options.api_version is not None:
            request_headers["Version"] = self._options.api_version
        content: bytes | None = None
        if body is not None:
            request_headers["Content-Type"] = "application/json"
            content = body.model_dump_json(exclude_none=True).encode()
        extensions = {}
        if self._options.trust.server_name is not None:
            extensions["sni_hostname"] = self._options.trust.server_name
        request = self._http.build_request(
            endpoint.method,
            endpoint.url_path(**(ids or {})),
            params=query,
            headers=request_headers,
            content=content,
            extensions=extensions,
        )
        attempts = self._options.retry.attempts if endpoint.is_safe else 1
        for attempt in range(1, attempts):
            try:
                return await self._send(endpoint, request)
            except BackupApiError as trouble:
                if not _is_worth_repeating(trouble):
                    raise
            await asyncio.sleep(self._options.retry.delay_s(attempt))
        return await self._send(endpoint, request)

    async def _send(self, endpoint: Endpoint, request: httpx2.Request) -> httpx2.Response:
        await self._pacer.wait()
        request.headers.update(await self._options.credentials.headers())
        try:
            answer = await self._http.send(request)
        except _NEVER_SENT as trouble:
            raise NotSentError(
                endpoint, f"no connection to {self._options.url}: {trouble}"
            ) from trouble
        except httpx2.TransportError as trouble:
            silence = str(trouble) or type(trouble).__name__
            raise LostAnswerError(
                endpoint, f"no answer from {self._options.url}: {silence}"
            ) from trouble
        except httpx2.DecodingError as trouble:
            raise LostAnswerError(endpoint, f"unreadable answer: {trouble}") from trouble
        self._note_clock(answer)
        self._tell_deprecation(endpoint, answer)
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            raise _refusal(endpoint, answer)
        if answer.status_code not in {endpoint.success, *_also_accepted(endpoint)}:
            message = f"expected {endpoint.success}"
            raise MalformedAnswerError(endpoint, answer.status_code, message)
        return answer

    def _note_clock(self, answer: httpx2.Response) -> None:
        try:
            server_time = parsedate_to_datetime(answer.headers["Date"])
        except (KeyError, ValueError):
            return  # many servers send none; nothing depends on it alone
        if server_time.tzinfo is not None:
            self._clock_offset = server_time - datetime.now(UTC)

    def _tell_deprecation(self, endpoint: Endpoint, answer: httpx2.Response) -> None:
        notice = answer.headers.get("Deprecated")
        if notice is not None and endpoint not in self._deprecations_told:
            self._deprecations_told.add(endpoint)  # once per endpoint is enough (spec §2.3)
            logger.warning("%s %s is deprecated: %s", self._options.url, endpoint, notice[:200])


def _also_accepted(endpoint: Endpoint) -> tuple[int, ...]:
    return (HTTPStatus.PARTIAL_CONTENT,) if endpoint.is_list else ()  # spec §13 no. 20


def _is_worth_repeating(trouble: BackupApiError) -> bool:
    match trouble:
        case NotSentError() | LostAnswerError():
            return True
        case RefusedError() | MalformedAnswerError():
            return trouble.http_status in TRANSIENT_STATUSES
        case _:
            return False


def _refusal(endpoint: Endpoint, answer: httpx2.Response) -> BackupApiError:
    try:
        body = ErrorBody.model_validate_json(answer.content)
    except ValidationError:
        message = "expected the API's error body, found " + _excerpt(answer)
        return MalformedAnswerError(endpoint, answer.status_code, message)
    status = answer.status_code
    return RefusedError(endpoint, status, body.code, body.message[:500], body.description[:500])


def _parsed(endpoint: Endpoint, answer: httpx2.Response, shape: TypeAdapter[Answer]) -> Answer:
    try:
        return shape.validate_json(answer.content)
    except ValidationError as trouble:
        first = trouble.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the body"
        message = f"{where}: {first['msg']}; found {_excerpt(answer)}"
        raise MalformedAnswerError(endpoint, answer.status_code, message) from trouble


def _excerpt(answer: httpx2.Response) -> str:
    kind = answer.headers.get("Content-Type", "no content type")
    return f"{len(answer.content)} bytes of {kind[:60]}"
