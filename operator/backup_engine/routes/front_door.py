"""Everything that happens to a request before and after its endpoint (spec §14).

The order is the spec's, once the head of the request is one that HTTP and our limits allow:
credentials, capability, Version, path, method, Accept, body size, Content-Type. The endpoint goes
on from there: ``parameters.py``, then the use case.
"""

import asyncio
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backup_api.errors import FrameworkErrors
from backup_engine.api_versions import SpokenVersion, WrongVersionError, choose_spoken
from backup_engine.auth.audit import AuditLine, write_audit
from backup_engine.auth.callers import ReviewFailedError, UnknownCallerError
from backup_engine.auth.gate import Credential, Gate
from backup_engine.auth.sessions import build_set_cookie
from backup_engine.errors import RefusalError
from backup_engine.records.troubles import DatabaseAwayError
from backup_engine.routes.answers import ServerErrors, build_refusal, find_server_error
from backup_engine.routes.call import SCOPE_KEY, Call, Handler
from backup_engine.routes.preconditions import find_accepted, is_json
from backup_engine.routes.request_head import check_head
from backup_engine.routes.table import (
    LOGOUT_PATH,
    Match,
    Operation,
    ServedTable,
    is_api_path,
    strip_slash,
)

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 1024 * 1024  # spec §14
BODY_TIMEOUT_S: Final = 30.0
MAX_CONCURRENT: Final = 256
WITH_BODY: Final = frozenset({"POST", "PUT"})

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STRANGER: Final = "unknown"


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the checks, and what the answer needs of it."""

    scope: Scope
    headers: Mapping[str, str]
    path: str
    request_id: str
    credential: Credential | None = None
    version: SpokenVersion | None = None
    operation: Operation | None = None
    call: Call | None = None
    status: int = 0
    code: int = 0
    refusal_headers: dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method as sent."""
        return str(self.scope["method"])

    @property
    def client(self) -> str:
        """Address that the request came from; empty if it is not known."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def cookie(self) -> str | None:
        """The session that the answer hands out, unless it is the one that ends it."""
        if self.credential is None or self.path == LOGOUT_PATH:
            return None
        return self.credential.cookie


class FrontDoor:
    """ASGI middleware around the routes; ``table`` decides what exists.

    ``handlers`` are the routes' own by method and path, called without a second search for them;
    what is in none of them is left to the app, which publishes all of it.

    While the engine ``is_leaving`` each answer is the last on its connection, so that clients
    with a connection of long standing go elsewhere, too.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        table: ServedTable,
        handlers: Mapping[tuple[str, str], Handler],
        is_leaving: Callable[[], bool],
    ) -> None:
        self._app = app
        self._handlers = handlers
        self._is_leaving = is_leaving
        self._gate = gate
        self._table = table
        self._concurrent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP is passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _read_headers(scope)
        exchange = Exchange(scope, headers, strip_slash(scope["path"]), _choose_request_id(headers))
        self._concurrent += 1
        try:
            await self._serve(exchange, receive, _stamped(send, exchange, self._is_leaving))
        except ClientGoneError:
            logger.info("request %s: the client hung up", exchange.request_id)
        finally:
            self._concurrent -= 1
            _audit(exchange)

    async def _serve(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        try:
            check_head(exchange.scope)
            operation = await self._admit(exchange, receive)
            # the routes know GET only, and no trailing slash
            inner = dict(exchange.scope, method=operation.method, path=exchange.path)
            handler = self._handlers.get((operation.method, operation.path))
            if handler is not None and exchange.call is not None:
                answer = await handler(exchange.call)
                await answer(inner, receive, send)
                return
            inner[SCOPE_KEY] = exchange.call
            await self._app(inner, receive, send)
        except RefusalError as refusal:
            row, message = refusal.row, refusal.message
        except ReviewFailedError as trouble:
            logger.error("request %s: %s", exchange.request_id, trouble)  # noqa: TRY400
            row = ServerErrors.UNAVAILABLE
            message = "The Kubernetes API server cannot be asked about this caller now"
        except ClientGoneError:
            raise
        except DatabaseAwayError as trouble:
            logger.error("request %s: %s", exchange.request_id, trouble)  # noqa: TRY400
            row = ServerErrors.UNAVAILABLE
            message = "The engine's database does not answer now; try again later"
        except Exception:
            logger.exception(
                "request %s: %s %s failed", exchange.request_id, exchange.method, exchange.path
            )
            if exchange.status:
                raise  # half an answer is out; cutting the connection tells the client so
            row = find_server_error(exchange.operation)
            message = f"The engine failed; its log tells more about request {exchange.request_id}"
        else:
            return
        exchange.code = row.code
        refused = build_refusal(row, message, exchange.refusal_headers)
        await refused(exchange.scope, receive, send)

    async def _admit(self, exchange: Exchange, receive: Receive) -> Operation:
        """Make the checks in the order of spec §14; raises RefusalError with the first to fail."""
        match = self._table.find(exchange.path)
        wanted = match.operations.get(exchange.method) if match is not None else None
        exchange.operation = wanted
        if self._concurrent > MAX_CONCURRENT:
            message = f"The engine serves {MAX_CONCURRENT} requests already; try again later"
            raise RefusalError(ServerErrors.UNAVAILABLE, message)
        if is_api_path(exchange.path):
            await self._check_caller(exchange, wanted)
            exchange.version = _check_version(exchange.headers)
        operation = _check_operation(exchange, match)
        accept = exchange.headers.get("accept")
        if operation.media_types and find_accepted(accept, operation.media_types) is None:
            offered = " or ".join(operation.media_types)
            message = f"The answer is {offered}, which Accept does not allow"
            raise RefusalError(FrameworkErrors.NOT_ACCEPTABLE, message)
        body = await _read_body(exchange, receive)
        if operation.method in WITH_BODY and not is_json(exchange.headers.get("content-type")):
            message = "Expected Content-Type: application/json, in UTF-8"
            raise RefusalError(FrameworkErrors.WRONG_CONTENT_TYPE, message)
        if exchange.credential is not None and exchange.version is not None:
            assert match is not None
            exchange.call = Call(
                credential=exchange.credential,
                version=exchange.version.number,
                headers=exchange.headers,
                ids=match.ids,
                query_string=exchange.scope["query_string"],
                body=body,
                is_head=exchange.method == "HEAD",
            )
        return operation

    async def _check_caller(self, exchange: Exchange, wanted: Operation | None) -> None:
        try:
            credential = await self._gate.identify(exchange.headers, exchange.client)
        except UnknownCallerError as trouble:
            exchange.refusal_headers["WWW-Authenticate"] = self._gate.challenge
            if trouble.retry_after_s is not None:
                exchange.refusal_headers["Retry-After"] = str(ceil(trouble.retry_after_s))
            raise RefusalError(FrameworkErrors.NO_CREDENTIALS, str(trouble)) from trouble
        exchange.credential = credential
        right = wanted.right if wanted is not None else None
        if not await self._gate.is_allowed(credential, right):
            message = f"{credential.caller.name} has insufficient capabilities to {right}"
            raise RefusalError(FrameworkErrors.NOT_CAPABLE, message)


def _check_version(headers: Mapping[str, str]) -> SpokenVersion:
    try:
        return choose_spoken(headers.get("version"))
    except WrongVersionError as trouble:
        raise RefusalError(FrameworkErrors.WRONG_VERSION, str(trouble)) from trouble


def _check_operation(exchange: Exchange, match: Match | None) -> Operation:
    if match is None:
        message = f"{exchange.path[:200]} is no path of this API"
        raise RefusalError(FrameworkErrors.UNKNOWN_PATH, message)
    operation = match.operations.get(exchange.method)
    if operation is None:
        exchange.refusal_headers["Allow"] = match.allow
        message = f"{exchange.method[:20]} is not offered here; there are {match.allow}"
        raise RefusalError(FrameworkErrors.WRONG_METHOD, message)
    return operation


async def _read_body(exchange: Exchange, receive: Receive) -> bytes:
    """Read the body of a POST or PUT, up to the limit; no other method's body has a meaning."""
    too_large = RefusalError(
        FrameworkErrors.BODY_TOO_LARGE, f"The body is longer than {MAX_BODY_BYTES} bytes"
    )
    declared = exchange.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise too_large
    if exchange.method not in WITH_BODY:
        return b""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGoneError
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError as trouble:
        text = f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s"
        raise RefusalError(ServerErrors.TOO_SLOW, text) from trouble


def _read_headers(scope: Scope) -> dict[str, str]:
    """File the headers by lower-case name; repeated ones are joined, as HTTP has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _choose_request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _stamped(send: Send, exchange: Exchange, is_leaving: Callable[[], bool]) -> Send:
    """Put the headers that every answer has on it, and send no body to HEAD."""

    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = exchange.request_id
            headers["Cache-Control"] = "no-store"
            if is_leaving():
                headers["Connection"] = "close"
            if exchange.cookie is not None:
                headers["Set-Cookie"] = build_set_cookie(exchange.cookie)
            if exchange.version is not None and exchange.version.deprecation is not None:
                headers["Deprecated"] = exchange.version.deprecation  # spec §2.3
        elif message["type"] == "http.response.body" and exchange.method == "HEAD":
            message = {**message, "body": b""}
        await send(message)

    return stamped


def _audit(exchange: Exchange) -> None:
    if exchange.method in {"GET", "HEAD"} or not is_api_path(exchange.path):
        return
    write_audit(
        AuditLine(
            who=exchange.credential.caller.name if exchange.credential is not None else _STRANGER,
            client=exchange.client,
            what=f"{exchange.method} {exchange.path}"[:300],
            subject=(exchange.call.subject if exchange.call is not None else None) or "",
            http_status=exchange.status,
            code=exchange.code,
            request_id=exchange.request_id,
        )
    )
