"""One Kubernetes API server as an aiohttp session.

aiohttp, because of the clients at hand it gets bytes off the socket fastest, and a capture is
mostly that. Kubeconfigs and the pod's own account are read by the official client's loader.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec
import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_TOKEN_FILENAME,
    load_incluster_config,
)
from kubernetes.aio.config.kube_config import KubeConfigLoader, load_kube_config

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 60.0  # between two pieces of an answer
TOTAL_TIMEOUT_S: Final = 300.0
TOKEN_LIFETIME_S: Final = 30.0  # tokens rotate hours ahead of their end, so this is soon enough
PLUGIN_TIMEOUT_S: Final = 30.0
CONNECTIONS: Final = 64
HEARTBEAT_S: Final = 30.0  # so that nothing on the way takes a quiet WebSocket for a dead one
CLOSE_TIMEOUT_S: Final = 5.0
LARGE_BODY_BYTES: Final = 512 * 1024
READ_BUFFER_BYTES: Final = 1024 * 1024
USER_AGENT: Final = "backup-engine"

ReadToken = Callable[[], Awaitable[str | None]]


async def _nothing() -> str | None:
    return None


class ClusterError(Exception):
    """Trouble on the way to the API server."""


class ClusterSettingsError(ClusterError):
    """The kubeconfig or the pod's account cannot be used; the text says what is missing."""


class ClusterUnreachableError(ClusterError):
    """The API server could not be reached, or fell silent; asking again may help."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Where an API server is and how it lets us in.

    ``read_token`` gives the value of the Authorization header, None where a client certificate (or
    nothing) does; ``server_name`` is what its certificate must name if that is not the URL's host.
    """

    url: str
    tls: ssl.SSLContext | bool = True
    server_name: str | None = None
    proxy: str | None = None
    read_token: ReadToken = field(default=_nothing, repr=False)


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
                headers={"Authorization": token} if token is not None else {},
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


async def load_kubeconfig(path: Path) -> ClusterAccess:
    """Read the current context of a kubeconfig; raises ClusterSettingsError."""
    try:
        content = yaml.safe_load(await asyncio.to_thread(path.read_text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as trouble:
        raise ClusterSettingsError(f"kubeconfig {path}: {trouble}") from trouble
    settings = Configuration()
    try:
        async with asyncio.timeout(PLUGIN_TIMEOUT_S):
            loader: KubeConfigLoader = await load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(path), client_configuration=settings, persist_config=False
            )
        user = find_user(content, loader.current_context["context"].get("user"))
    except TimeoutError as trouble:
        raise ClusterSettingsError(
            f"kubeconfig {path}: its exec plugin gave no answer within {PLUGIN_TIMEOUT_S:.0f} s"
        ) from trouble
    except (ConfigException, AttributeError, KeyError, TypeError, ValueError) as trouble:
        raise ClusterSettingsError(
            f"kubeconfig {path}: the current context cannot be used: {trouble}"
        ) from trouble
    return await _build_access(settings, _choose_token(path, user, loader, settings))


async def load_service_account() -> ClusterAccess:
    """Read the account of the pod this runs in; raises ClusterSettingsError outside of a pod."""
    settings = Configuration()
    try:
        load_incluster_config(settings, try_refresh_token=False)  # type: ignore[no-untyped-call]
    except ConfigException as trouble:
        raise ClusterSettingsError(
            f"not inside a pod with a ServiceAccount: {trouble}; name a kubeconfig instead"
        ) from trouble
    return await _build_access(settings, _token_file(Path(SERVICE_TOKEN_FILENAME)))


def find_user(kubeconfig: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """Return the ``user`` settings of that name in a parsed kubeconfig, empty if there is none."""
    for user in kubeconfig.get("users") or []:
        if user.get("name") == name:
            return dict(user.get("user") or {})
    return {}


def _choose_token(
    path: Path, user: dict[str, Any], loader: KubeConfigLoader, settings: Configuration
) -> ReadToken:
    """Choose what keeps the token fresh: the plugin, the file, or nothing at all."""
    given: str | None = settings.api_key.get("BearerToken")
    if "exec" in user:
        if given is None and not settings.cert_file:
            raise ClusterSettingsError(
                f"kubeconfig {path}: exec plugin {user['exec'].get('command')!r} gave neither a"
                " token nor a client certificate; run it by hand to see why"
            )
        return _plugin_token(loader) if given is not None else _nothing
    if "tokenFile" in user and "token" not in user:
        return _token_file(path.parent / user["tokenFile"])

    async def fixed() -> str | None:
        return given

    return fixed


def _token_file(path: Path) -> ReadToken:
    async def read() -> str | None:
        try:
            token = (await asyncio.to_thread(path.read_text)).strip()
        except OSError as trouble:
            raise ClusterSettingsError(f"token file {path}: {trouble.strerror}") from trouble
        return f"Bearer {token}"

    return read


def _plugin_token(loader: KubeConfigLoader) -> ReadToken:
    async def read() -> str | None:
        try:
            async with asyncio.timeout(PLUGIN_TIMEOUT_S):
                # runs the plugin only if the token is near its end
                await loader.load_from_exec_plugin()  # type: ignore[no-untyped-call]
        except TimeoutError as trouble:
            raise ClusterUnreachableError(
                f"the kubeconfig's exec plugin gave no answer within {PLUGIN_TIMEOUT_S:.0f} s"
            ) from trouble
        return str(loader.token)

    return read


async def _build_access(settings: Configuration, read_token: ReadToken) -> ClusterAccess:
    url = str(settings.host)
    tls: ssl.SSLContext | bool = True
    if url.startswith("https"):
        try:
            tls = await asyncio.to_thread(_build_tls, settings)
        except (OSError, ssl.SSLError) as trouble:
            raise ClusterSettingsError(f"certificates for {url}: {trouble}") from trouble
    return ClusterAccess(
        url=url,
        tls=tls,
        server_name=settings.tls_server_name or None,
        proxy=settings.proxy or None,
        read_token=read_token,
    )


def _build_tls(settings: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file or None)
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
