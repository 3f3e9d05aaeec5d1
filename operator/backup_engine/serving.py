"""The HTTP server: uvicorn, with sockets, signals and the ready line in our hands."""

import asyncio
import contextlib
import signal
import socket
import ssl
import sys
import uuid
from collections.abc import Generator
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from backup_engine.errors import EngineError
from backup_engine.routes.answers import ServerErrors, build_refusal
from backup_engine.settings import ListenAddress

GRACE_S: Final = 20  # for requests that run when the process is told to stop
KEEP_ALIVE_S: Final = 30
BACKLOG: Final = 512


class ListenError(EngineError):
    """The address cannot be listened on."""


def open_listener(address: ListenAddress) -> socket.socket:
    """Bind ``address``; raises ListenError."""
    try:
        ((family, kind, protocol, _, target), *_) = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(target)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError as trouble:
        raise ListenError(
            f"cannot listen on {address.host}:{address.port}: {trouble.strerror}"
        ) from trouble
    return listener


class _Protocol(H11Protocol):
    """HTTP as uvicorn reads it; what it cannot read is refused in the API's own error body."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP (spec §2.11: 400), and close the connection."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            answer = build_refusal(ServerErrors.BAD_SYNTAX, msg, {"Connection": "close"})
            headers = [*answer.raw_headers, (b"x-request-id", uuid.uuid4().hex.encode())]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class EngineServer(uvicorn.Server):
    """Serves until told to stop, then lets running requests finish."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
                ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
            )
        )
        self._listener = listener
        self._is_encrypted = tls is not None

    @property
    def url(self) -> str:
        """Where the server answers; the real port, if any free one was asked for."""
        host, port = self._listener.getsockname()[:2]
        scheme = "https" if self._is_encrypted else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def run_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one stops waiting for running requests."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._stop)
        try:
            await self.serve([self._listener])
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell so on stderr."""
        await super().startup(sockets)
        if self.started:
            sys.stderr.write(f"backup_engine: serving on {self.url}\n")
            sys.stderr.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn would raise them again at the end, and the exit not be 0."""
        yield

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
