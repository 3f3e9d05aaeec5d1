"""One Kubernetes API server as an aiohttp session.

aiohttp, because of the clients at hand it gets bytes off the socket fastest, and a capture is
mostly that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec

from backup_engine.cluster_access.access import (
    ClusterAccess,
    ClusterError,
    ClusterSettingsError,
    ClusterUnreachableError,
)
from backup_engine.cluster_access.kubeconfig import load_kubeconfig
from backup_engine.cluster_access.service_account import load_service_account

__all__ = [
    "ClusterAccess",
    "ClusterConnection",
    "ClusterError",
    "ClusterSettingsError",
    "ClusterUnreachableError",
]

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 60.0  # between two pieces of an answer
TOTAL_TIMEOUT_S: Final = 300.0
TOKEN_LIFETIME_S: Final = 30.0  # tokens rotate hours ahead of their end, so this is soon enough
CONNECTIONS: Final = 64
HEARTBEAT_S: Final = 30.0  # so that nothing on the way takes a quiet WebSocket for a dead one
CLOSE_TIMEOUT_S: Final = 5.0
LARGE_BODY_BYTES: Final = 512 * 1024
READ_BUFFER_BYTES: Final = 1024 * 1024
USER_AGENT: Final = "backup-engine"


class ClusterConnection:
    """An API server, ready to be asked while entered with ``async with``.

    ``load`` is called once on entering; ``token_lifetime_s`` is how long a token is used before
    its source is read again.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[ClusterAccess]],
        *,
        token_lifetime_s: float = TOKEN_LIFETIME_S,
    ) -> None:
        self._load = load
        self._token_lifetime_s = token_lifetime_s
        self._access: ClusterAccess | None = None
        self._session: aiohttp.ClientSession | None = None
        self._token: str | None = None
        self._token_ends = float("-inf")
        self._token_turn = asyncio.Lock()

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """Connect as the current context of the kubeconfig at ``path`` says.

        Entering raises ClusterSettingsError if the file is missing, malformed or its exec plugin
        gives no credentials.
        """
        return cls(lambda: load_kubeconfig(path))

    @classmethod
    def in_cluster(cls) -> Self:
        """Connect with the ServiceAccount of the pod this runs in."""
        return cls(load_service_account)

    async def __aenter__(self) -> Self:
        self._access = await self._load()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(
                total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
            ),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # gzip costs the server more than the wire
                "User-Agent": USER_AGENT,
            },
            read_bufsize=READ_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def url(self) -> str:
        """The server's base URL, for messages."""
        return self._access.url if self._access else ""

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask once and yield the answer, whatever its status; its body is still to be read.

        ``path`` begins with a slash. Raises ClusterUnreachableError if the server cannot be
        reached or falls silent, also while the body is read inside the block.
        """
        session, access = self._session, self._access
        if session is None or access is None:
            raise RuntimeError("ClusterConnection.request outside of its async with block")
        sent = dict(headers or {})
        token = await self._read_token(access)
        if token is not None:
            sent["Authorization"] = token
        content: bytes | BytesIO | None = None
        if json is not None:
            sent.setdefault("Content-Type", "application/json")
            # plain UTF-8: escapes would swell a large object beyond what the server takes
            content = msgspec.json.encode(json)
            if len(content) > LARGE_BODY_BYTES:
                content = BytesIO(content)  # sent piece by piece
        try:
            async with session.request(
                method,
                access.url + path,
                params=params,
                headers=sent,
                data=content,
                ssl=access.tls,
                server_hostname=access.server_name,
                proxy=access.proxy,
                allow_redirects=False,  # a redirect would carry the token elsewhere
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise ClusterUnreachableError(f"{method} {access.url}{path}: {said}") from trouble

    @asynccontextmanager
    async def websocket(
        self, path: str, params: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket that speaks one of ``protocols``.

        Raises aiohttp.WSServerHandshakeError if the server refuses, ClusterUnreachableError if it
        cannot be reached or the connection breaks.
        """
        session, access = self._session, self._access
        if session is None or access is None:
            raise RuntimeError("ClusterConnection.websocket outside of its async with block")
        token = await self._read_token(access)
        try:
            async with session.ws_connect(
                access.url + path,
                params=params,
                protocols=protocols,
                # a kubelet refuses whoever takes JSON alone, as the session says of all else
                headers={"Accept": "*/*"} | ({"Authorization": token} if token is not None else {}),
                heartbeat=HEARTBEAT_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                ssl=access.tls,
                server_hostname=access.server_name,
                proxy=access.proxy,
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError:
            raise
        except (aiohttp.ClientError, TimeoutError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise ClusterUnreachableError(f"GET {access.url}{path}: {said}") from trouble

    async def _read_token(self, access: ClusterAccess) -> str | None:
        now = asyncio.get_running_loop().time()
        if now >= self._token_ends:
            async with self._token_turn:
                if now >= self._token_ends:
                    self._token = await access.read_token()
                    self._token_ends = now + self._token_lifetime_s
        return self._token
