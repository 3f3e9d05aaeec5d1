"""Where an API server is and how it lets us in; the trouble there may be on the way."""

import asyncio
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

ReadToken = Callable[[], Awaitable[str | None]]


async def nothing() -> str | None:
    """Give no Authorization header: a client certificate lets us in, or nothing is needed."""
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
    read_token: ReadToken = field(default=nothing, repr=False)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate chain and its key, both PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Use it for the connections that ``context`` makes from now on."""
        with tempfile.TemporaryDirectory() as place:  # the ssl module reads nothing but files
            chain, key = Path(place, "chain"), Path(place, "key")
            chain.write_bytes(self.chain)
            key.write_bytes(self.key)
            context.load_cert_chain(chain, key)


def build_context(authority: bytes | None, *, is_verified: bool = True) -> ssl.SSLContext:
    """Trust ``authority``, PEM; None: those of the system. May block: it can read files."""
    # beside the certificates a file may hold comments in any encoding
    given = authority.decode("ascii", "ignore") if authority is not None else None
    context = ssl.create_default_context(cadata=given)
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def token_file(path: Path) -> ReadToken:
    """Read the token anew each time, for whoever wrote it rotates it."""

    async def read() -> str | None:
        try:
            token = (await asyncio.to_thread(path.read_text)).strip()
        except OSError as trouble:
            raise ClusterSettingsError(f"token file {path}: {trouble.strerror}") from trouble
        return f"Bearer {token}"

    return read
