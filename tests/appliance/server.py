"""The fake appliance as a server on a real TCP port, with TLS and with levers for tests."""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from email.utils import formatdate
from types import TracebackType
from typing import Self

from aiohttp import web

from appliance import gate
from appliance.callers import Callers
from appliance.certificates import build_identity
from appliance.faults import (
    Cut,
    Delay,
    Fault,
    Faults,
    Hold,
    Moment,
    Replaced,
    Truncated,
    error_bytes,
)
from appliance.journal import Journal, SeenRequest, names_of
from appliance.levers import Levers
from appliance.restores import Outage
from appliance.state import ApplianceState
from appliance.wire import Answer, Request, error_body

LOOPBACK = "127.0.0.1"
_SECRET_HEADERS = frozenset({"sec", "authorization", "cookie"})
_DRAIN_BYTES = 16 * 1024 * 1024


class FakeAppliance(Levers):
    """Serves the API on one address of this machine; an async context manager.

    It lives in the event loop of the test, so it survives any client that the test kills.
    ``names``: what its certificate is for. The levers are those of the base class.
    """

    def __init__(
        self, names: Sequence[str] = ("localhost", LOOPBACK), address: str = LOOPBACK
    ) -> None:
        super().__init__(ApplianceState(), Callers(), Faults(), Journal())
        identity = build_identity(names)
        self.ca_pem = identity.ca_pem
        self._context = identity.context
        self._names = tuple(names)
        self._address = address
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Address of the server, without ``/api``."""
        return f"https://{self._address}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = _Listener(self._serve, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=2.0)
        await self._runner.setup()
        await self.come_up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.faults.clear()
        await self.go_down()
        if self._runner is not None:
            await self._runner.cleanup()

    async def go_down(self) -> None:
        """Close the port and every connection: from now on connecting is refused."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for connection in self._server.connections if self._server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def come_up(self) -> None:
        """Listen, again on the same port."""
        if self._runner is None:
            raise RuntimeError("the fake appliance has not been entered")
        if self._site is None:
            self._site = web.TCPSite(
                self._runner,
                self._address,
                self.port,
                ssl_context=self._context,
                reuse_address=True,
            )
            await self._site.start()
            self.port = self._runner.addresses[0][1]

    async def rotate_certificate(self) -> None:
        """Serve with a certificate of another authority from now on; ``ca_pem`` is the new one."""
        identity = build_identity(self._names)
        self.ca_pem, self._context = identity.ca_pem, identity.context
        await self.go_down()
        await self.come_up()

    async def move(self) -> None:
        """Listen on another port; the old one refuses connections."""
        await self.go_down()
        self.port = 0
        await self.come_up()

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        seen = SeenRequest(
            method=http.method,
            path=http.path,
            query=dict(http.query),
            headers={k: v for k, v in http.headers.items() if k.lower() not in _SECRET_HEADERS},
            backup_type=http.headers.get("backup_type"),
            time_s=self.clock.now_s(),
            client_port=_port_of(http),
            names=names_of(http.method, http.path),
        )
        fault = self.faults.take(seen.names) or self._find_outage()
        if isinstance(fault, Cut) and fault.moment is Moment.BEFORE_ACTING:
            await self.journal.add(seen)
            return _cut_off(http)
        if http.headers.get("Expect", "").lower() == "100-continue" and http.transport is not None:
            http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen.body = await _read_body(http)
        await self.journal.add(seen)
        if await self._is_stopped_before_acting(fault):
            return _cut_off(http)
        response = await self._respond(http, seen, fault)
        is_gone = http.transport is None or http.transport.is_closing()
        seen.status = None if is_gone else response.status
        await self.journal.wake()
        return response

    def _find_outage(self) -> Fault | None:
        self.state.settle()
        outage = self.state.restores.present_outage
        if outage is Outage.NONE:
            return None
        if outage is Outage.REFUSED:  # a connection from before the port was closed
            return Cut("*", None)
        return Replaced("*", None, status=outage.value, body=error_bytes(outage.value, 0))

    async def follow_outage(self) -> None:
        """Close or open the port, as a running restore has it at this time of the clock."""
        self.state.settle()
        if self.state.restores.present_outage is Outage.REFUSED:
            await self.go_down()
        else:
            await self.come_up()

    async def _is_stopped_before_acting(self, fault: Fault | None) -> bool:
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, Hold) and fault.moment is Moment.BEFORE_ACTING:
            await fault.wait()
            return fault.is_dropped
        return False

    async def _respond(
        self, http: web.BaseRequest, seen: SeenRequest, fault: Fault | None
    ) -> web.StreamResponse:
        if isinstance(fault, Replaced) and fault.moment is Moment.BEFORE_ACTING:
            return self._replaced(fault)
        request = Request(http.method, http.path, http.query, http.headers, http.cookies, seen.body)
        answer = gate.answer(self.state, self.callers, request)
        match fault:
            case Replaced():
                return self._replaced(fault)
            case Hold(moment=Moment.AFTER_ACTING):
                await fault.wait()
                return _cut_off(http) if fault.is_dropped else self._response(answer)
            case Cut():
                return _cut_off(http)
            case Truncated():
                return await self._truncated(http, answer, fault)
            case _:
                return self._response(answer)

    def _headers(self) -> dict[str, str]:
        return {"Date": formatdate(self.clock.now_s(), usegmt=True)}

    def _response(self, answer: Answer) -> web.Response:
        if answer.status == 204:
            headers = {**self._headers(), **answer.headers, "Content-Type": "text/plain"}
            return web.Response(status=204, headers=headers)
        body = json.dumps(answer.body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers = {**self._headers(), **answer.headers, "Content-Type": "application/json"}
        return web.Response(status=answer.status, body=body, headers=headers)

    def _replaced(self, fault: Replaced) -> web.Response:
        headers = {**self._headers(), "Content-Type": fault.content_type}
        return web.Response(status=fault.status, body=fault.body, headers=headers)

    async def _truncated(
        self, http: web.BaseRequest, answer: Answer, fault: Truncated
    ) -> web.StreamResponse:
        whole = json.dumps(answer.body).encode()
        half = whole[: len(whole) // 2]
        headers = {**self._headers(), "Content-Type": "application/json"}
        if fault.is_announced:
            return web.Response(status=answer.status, body=half, headers=headers)
        headers["Content-Length"] = str(len(whole))
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(http)
        await response.write(half)
        if http.transport is not None:
            http.transport.close()
        return response


def _port_of(http: web.BaseRequest) -> int:
    peer = http.transport.get_extra_info("peername") if http.transport is not None else None
    return int(peer[1]) if peer else 0


class _Handler(web.RequestHandler):
    """One connection; what is no HTTP is refused in the error body, too (spec §2.11)."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status == 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        body = json.dumps(error_body(400, 0, "The request is no HTTP")).encode()
        answer = web.Response(status=400, body=body, headers={"Content-Type": "application/json"})
        answer.force_close()
        return answer


class _Listener(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


async def _read_body(http: web.BaseRequest) -> bytes | None:
    """Read it all, so that the client sees an answer rather than a broken pipe."""
    kept = bytearray()
    size = 0
    async for piece in http.content.iter_any():
        size += len(piece)
        if size > _DRAIN_BYTES:
            break
        if size <= gate.BIGGEST_BODY_BYTES:
            kept += piece
    return bytes(kept) if size <= gate.BIGGEST_BODY_BYTES else None


def _cut_off(http: web.BaseRequest) -> web.Response:
    transport = http.transport
    if transport is not None:
        connection: socket.socket = transport.get_extra_info("socket")
        linger = struct.pack("ii", 1, 0)  # reset rather than an orderly end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response(status=500)  # goes nowhere
