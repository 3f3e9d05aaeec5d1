"""One request and its answer: headers, deadlines, bounds, repetition, and what can go wrong."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Protocol, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from backup_api.credentials import Credentials, Trust
from backup_api.endpoints import JSON, Endpoint
from backup_api.errors import TRANSIENT_STATUSES, ErrorBody
from backup_api.exceptions import (
    BackupApiError,
    LostAnswerError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)
from backup_api.pacing import RequestPacer, RetryPolicy
from backup_api.wire import WireRequest

Shape = TypeVar("Shape")

logger = logging.getLogger(__name__)

LARGEST_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""No page of a list comes near it; whatever sends more is no server of this API."""

_SENDABLE: Final = re.compile(r"([!-~]([ -~]*[!-~])?)?")
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class RequestWatch(Protocol):
    """Is told of every single request, repetitions included, and may hold one back."""

    def leaving(self, endpoint: Endpoint) -> None:
        """Hear that a request is about to go out; raises NotSentError to keep it back."""
        ...

    def ended(self, endpoint: Endpoint, http_status: int | None, seconds: float) -> None:
        """Hear how a request ended; ``http_status`` None: no answer, or no whole one."""
        ...


class NoWatch:
    """Lets every request go, and keeps no account."""

    def leaving(self, endpoint: Endpoint) -> None:
        """Let it go."""

    def ended(self, endpoint: Endpoint, http_status: int | None, seconds: float) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Everything that decides how a server is spoken to.

    ``url`` is ``https://host[:port]``; ``api_version`` None sends no ``Version`` header.
    ``silence_timeout_s`` bounds the wait for the next byte, ``answer_timeout_s`` for the last.
    """

    url: str
    credentials: Credentials
    trust: Trust = field(default_factory=Trust)
    api_version: str | None = None
    connect_timeout_s: float = 5.0
    silence_timeout_s: float = 30.0
    answer_timeout_s: float = 60.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    requests_per_second: float = 20.0
    request_watch: RequestWatch = field(default_factory=NoWatch)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer below 400."""

    endpoint: Endpoint
    http_status: int
    headers: Mapping[str, str]
    content: bytes

    def parsed(self, shape: TypeAdapter[Shape]) -> Shape:
        """Read the body; raises MalformedAnswerError, naming the member that is wrong."""
        try:
            return shape.validate_json(self.content)
        except ValidationError as trouble:
            first = trouble.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "the body"
            message = f"{where}: {first['msg']}; found {self.excerpt()}"
            raise MalformedAnswerError(self.endpoint, self.http_status, message) from trouble

    def excerpt(self) -> str:
        """Say what came without quoting it: a body may hold anything."""
        kind = self.headers.get("Content-Type", "no content type")
        return f"{len(self.content)} bytes of {kind[:60]}"


class Exchange:
    """Sends requests over one pool of connections; whoever makes it closes ``http``."""

    def __init__(
        self, options: ClientOptions, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.options = options
        self.clock_offset: timedelta | None = None
        self.http = httpx2.AsyncClient(
            base_url=options.url,
            transport=transport,
            verify=options.trust.ssl_context(),
            timeout=httpx2.Timeout(options.silence_timeout_s, connect=options.connect_timeout_s),
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4),
            trust_env=False,  # a proxy for the internet is never the way to an appliance
        )
        self._pacer = RequestPacer(options.requests_per_second)
        self._deprecations_told: set[Endpoint] = set()

    async def send(
        self,
        endpoint: Endpoint,
        *,
        ids: Mapping[str, int | str] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: WireRequest | None = None,
    ) -> Answer:
        """Send a request, a GET again where that may help (spec §2.11); raises BackupApiError."""
        request = self._build(endpoint, ids or {}, query, headers or {}, body)
        attempts = self.options.retry.attempts if endpoint.is_safe else 1
        for attempt in range(1, attempts):
            try:
                return await self._send_once(endpoint, request)
            except BackupApiError as trouble:
                if not _is_worth_repeating(trouble):
                    raise
            await self.pause(attempt)
        return await self._send_once(endpoint, request)

    async def stream(
        self,
        endpoint: Endpoint,
        *,
        ids: Mapping[str, int | str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Send a GET once and yield its body piece by piece, however long; raises BackupApiError.

        Each piece has to come within ``silence_timeout_s``. LostAnswerError: the rest is missing.
        """
        request = self._build(endpoint, ids or {}, None, headers or {}, None)
        await self._pacer.wait()
        request.headers.update(await self._credentials(endpoint))
        with self._explained(endpoint):
            response = await self.http.send(request, stream=True)
            try:
                if response.status_code >= HTTPStatus.BAD_REQUEST:
                    raise _refusal(await _read(endpoint, response))
                async for piece in response.aiter_bytes():
                    yield piece
            finally:
                await response.aclose()

    async def pause(self, failed: int) -> None:
        """Wait before the next attempt after ``failed`` ones."""
        await asyncio.sleep(self.options.retry.delay_s(failed))

    @contextmanager
    def _explained(self, endpoint: Endpoint) -> Iterator[None]:
        """Raise what the HTTP library raises as ours."""
        url = self.options.url
        try:
            yield
        except _NEVER_SENT as trouble:
            raise NotSentError(endpoint, f"no connection to {url}: {trouble}") from trouble
        except httpx2.TransportError as trouble:
            silence = str(trouble) or type(trouble).__name__
            raise LostAnswerError(endpoint, f"no answer from {url}: {silence}") from trouble
        except httpx2.DecodingError as trouble:
            raise LostAnswerError(endpoint, f"unreadable answer: {trouble}") from trouble

    def _build(
        self,
        endpoint: Endpoint,
        ids: Mapping[str, int | str],
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: WireRequest | None,
    ) -> httpx2.Request:
        accept = JSON if endpoint.media_type == JSON else "*/*"  # a refusal is JSON all the same
        request_headers = {"Accept": accept, **headers}
        if self.options.api_version is not None:
            request_headers["Version"] = self.options.api_version
        content: bytes | None = None
        if body is not None:
            request_headers["Content-Type"] = JSON
            content = body.model_dump_json(exclude_none=True).encode()
        extensions = {}
        if self.options.trust.server_name is not None:
            extensions["sni_hostname"] = self.options.trust.server_name
        return self.http.build_request(
            endpoint.method,
            endpoint.url_path(**ids),
            params=query,
            headers=request_headers,
            content=content,
            extensions=extensions,
        )

    async def _send_once(self, endpoint: Endpoint, request: httpx2.Request) -> Answer:
        await self._pacer.wait()
        request.headers.update(await self._credentials(endpoint))
        self.options.request_watch.leaving(endpoint)  # after every wait: nothing may come between
        answer = await self._watched(endpoint, request)
        self._note_clock(answer)
        self._tell_deprecation(answer)
        if answer.http_status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(answer)
        if answer.http_status not in {endpoint.success, *_also_accepted(endpoint)}:
            message = f"expected {endpoint.success}"
            raise MalformedAnswerError(endpoint, answer.http_status, message)
        return answer

    async def _watched(self, endpoint: Endpoint, request: httpx2.Request) -> Answer:
        loop = asyncio.get_running_loop()
        began, status = loop.time(), None
        try:
            answer = await self._receive(endpoint, request)
            status = answer.http_status
        finally:
            self.options.request_watch.ended(endpoint, status, loop.time() - began)
        return answer

    async def _receive(self, endpoint: Endpoint, request: httpx2.Request) -> Answer:
        url, limit_s = self.options.url, self.options.answer_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                with self._explained(endpoint):
                    response = await self.http.send(request, stream=True)
                    try:
                        return await _read(endpoint, response)
                    finally:
                        await response.aclose()
        except TimeoutError as trouble:
            message = f"no whole answer from {url} within {limit_s:g} s"
            raise LostAnswerError(endpoint, message) from trouble

    async def _credentials(self, endpoint: Endpoint) -> dict[str, str]:
        try:
            headers = await self.options.credentials.headers()
        except OSError as trouble:
            raise NotSentError(endpoint, f"the credentials cannot be read: {trouble}") from trouble
        if not all(_SENDABLE.fullmatch(value) for value in headers.values()):
            # the HTTP library would say so too, but quote the secret
            message = "the credentials must be printable ASCII with no space or line end around"
            raise NotSentError(endpoint, message)
        return headers

    def _note_clock(self, answer: Answer) -> None:
        server_time = find_server_time(answer.headers.get("Date"))
        if server_time is not None:
            self.clock_offset = server_time - datetime.now(UTC)

    def _tell_deprecation(self, answer: Answer) -> None:
        notice = answer.headers.get("Deprecated")
        if notice is not None and answer.endpoint not in self._deprecations_told:
            self._deprecations_told.add(answer.endpoint)  # once is enough (spec §2.3)
            place = f"{self.options.url} {answer.endpoint}"
            logger.warning("%s is deprecated: %s", place, notice[:200])


def find_server_time(date: str | None) -> datetime | None:
    """Read a ``Date`` header; None where it is absent or odd, for nothing depends on it alone."""
    if date is None:
        return None
    try:
        server_time = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return server_time if server_time.tzinfo is not None else None


async def _read(endpoint: Endpoint, response: httpx2.Response) -> Answer:
    chunks: list[bytes] = []
    length = 0
    async for chunk in response.aiter_bytes():
        length += len(chunk)
        if length > LARGEST_ANSWER_BYTES:
            message = f"longer than {LARGEST_ANSWER_BYTES} bytes"
            raise MalformedAnswerError(endpoint, response.status_code, message)
        chunks.append(chunk)
    return Answer(endpoint, response.status_code, response.headers, b"".join(chunks))


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


def _refusal(answer: Answer) -> BackupApiError:
    endpoint, status = answer.endpoint, answer.http_status
    try:
        body = ErrorBody.model_validate_json(answer.content)
    except ValidationError:
        message = "expected the API's error body, found " + answer.excerpt()
        return MalformedAnswerError(endpoint, status, message)
    return RefusedError(endpoint, status, body.code, body.message[:500], body.description[:500])
