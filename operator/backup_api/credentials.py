"""The ways to say who one is (spec §2.2), and whom one trusts (spec §2.1)."""

import base64
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol


class Credentials(Protocol):
    """Turns a secret into request headers; its repr never shows the secret."""

    async def headers(self) -> dict[str, str]:
        """Headers that authenticate one request."""
        ...


@dataclass(frozen=True, slots=True)
class SecToken:
    """An authorized-service token, the recommended way (spec §2.2)."""

    token: str = field(repr=False)

    async def headers(self) -> dict[str, str]:
        """Headers that authenticate one request."""
        return {"SEC": self.token}


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """User name and password, for servers without authorized services (spec §2.2)."""

    username: str
    password: str = field(repr=False)

    async def headers(self) -> dict[str, str]:
        """Headers that authenticate one request."""
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A ServiceAccount token, which the in-cluster engine takes besides the appliance's ways.

    ``current`` is asked before each request, for such tokens expire and rotate.
    """

    current: Callable[[], Awaitable[str]] = field(repr=False)

    async def headers(self) -> dict[str, str]:
        """Headers that authenticate one request."""
        return {"Authorization": f"Bearer {await self.current()}"}


@dataclass(frozen=True, slots=True)
class Trust:
    """How the server's certificate is checked; the default certificate is self-signed (spec §2.1).

    ``ca_pem`` None: the system's authorities. ``server_name`` None: the name in the URL.
    """

    ca_pem: str | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False

    def ssl_context(self) -> ssl.SSLContext:
        """Build the TLS context; raises ssl.SSLError if ``ca_pem`` holds no certificate."""
        context = ssl.create_default_context(cadata=self.ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
