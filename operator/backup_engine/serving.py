"""The HTTP server: uvicorn, with sockets, signals and the ready line in our hands."""

import asyncio
import contextlib
import signal
import socket
import ssl
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from backup_engine.errors import EngineError
from backup_engine.http_protocol import EngineProtocol
from backup_engine.settings import ListenAddress

GRACE_S: Final = 20  # for requests that run when the process is told to stop
KEEP_ALIVE_S: Final = 30
FAREWELL_S: Final = 1.0  # for the other end of a connection to confirm that it is over
BACKLOG: Final = 512


@dataclass(slots=True)
class Departure:
    """How the server goes: once it ``has_begun`` nobody should send requests here any more.

    For ``drain_s`` seconds they are served all the same: who sends them learns of it late.
    """

    drain_s: float = 0.0
    has_begun: bool = False


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


class EngineServer(uvicorn.Server):
    """Serves until told to stop, then lets running requests finish."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        departure: Departure,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=EngineProtocol,
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
        self._departure = departure
        self._is_encrypted = tls is not None

    @property
    def url(self) -> str:
        """Where the server answers; the real port, if any free one was asked for."""
        host, port = self._listener.getsockname()[:2]
        scheme = "https" if self._is_encrypted else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def run_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT, and then until the departure is over.

        A second signal ends that at once, a third the waiting for running requests.
        """
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running requests finish, and wait for nobody else."""
        leaving = asyncio.create_task(self._leave_silent())
        try:
            await super().shutdown(sockets)
        finally:
            leaving.cancel()

    async def _leave_silent(self) -> None:
        """Drop connections that we have closed, and the other end has not.

        A client with a pool does not read from a connection at rest, so it confirms no end of TLS,
        for which asyncio waits 30 s.
        """
        silent: set[EngineProtocol] = set()
        while True:
            await asyncio.sleep(FAREWELL_S)
            for connection in silent & self.server_state.connections:
                connection.transport.abort()
            silent = {
                each
                for each in self.server_state.connections
                if isinstance(each, EngineProtocol) and each.transport.is_closing()
            }

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn would raise them again at the end, and the exit not be 0."""
        yield

    def _stop(self) -> None:
        if not self._departure.has_begun and self._departure.drain_s:
            self._departure.has_begun = True
            asyncio.get_running_loop().call_later(self._departure.drain_s, self._exit)
            return
        self.force_exit = self.should_exit
        self._exit()

    def _exit(self) -> None:
        self._departure.has_begun = True
        self.should_exit = True
