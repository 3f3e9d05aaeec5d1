"""How an engine is reached: a BackupEngine's spec and the Secrets it names, made client options."""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from backup_api.client import ClientOptions
from backup_api.credentials import BasicCredentials, BearerToken, Credentials, SecToken, Trust
from backup_operator.decisions.facts import Trouble
from backup_operator.errors import AccessError
from backup_operator.resources.engine import BackupEngineSpec
from backup_operator.resources.engine_access import EngineAuth, EngineTls, SecretRef

ANSWER_TIMEOUT_S: Final = 20.0
TOKEN_LIFETIME_S: Final = 3600
RENEW_AT: Final = 0.8  # of the lifetime


class SecretSource(Protocol):
    """Where Secrets and ServiceAccount tokens come from."""

    async def find_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Find a Secret; None: there is none. Raises AccessError if it may not be read."""
        ...

    async def request_token(self, audience: str, lifetime_s: int) -> tuple[str, datetime]:
        """Request a token of the operator's own ServiceAccount, and when it expires."""
        ...


@dataclass(frozen=True, slots=True)
class EngineAccess:
    """Everything that a client needs, with the parts that tell whether it has changed."""

    options: ClientOptions
    fingerprint: tuple[object, ...] = field(repr=False)  # holds the secrets themselves


async def read_access(spec: BackupEngineSpec, source: SecretSource) -> EngineAccess:
    """Read the Secrets of an engine; raises AccessError that names the Secret and what it lacks."""
    credentials, secret = await _read_credentials(spec.auth, source)
    trust = await _read_trust(spec.tls, source)
    options = ClientOptions(
        url=spec.url,
        credentials=credentials,
        trust=trust,
        answer_timeout_s=ANSWER_TIMEOUT_S,
        requests_per_second=float(spec.requests_per_second),
    )
    shown = (spec.url, spec.requests_per_second, spec.api_version, spec.auth, secret, trust)
    return EngineAccess(options, shown)


async def _read_credentials(
    auth: EngineAuth, source: SecretSource
) -> tuple[Credentials, tuple[str, ...]]:
    if auth.sec_token is not None:
        ref = auth.sec_token.secret_ref
        token = (await _read_key(ref, ref.key, source)).strip()
        _check_header(token, ref, ref.key)
        return SecToken(token), (token,)
    if auth.basic is not None:
        name = (await _read_key(auth.basic.secret_ref, "username", source)).strip()
        # a Secret made from a file ends with a line end; spaces may belong to a password
        password = (await _read_key(auth.basic.secret_ref, "password", source)).rstrip("\r\n")
        return BasicCredentials(name, password), (name, password)
    assert auth.service_account is not None  # the model has exactly one
    tokens = AccountTokens(source, auth.service_account.audience)
    await tokens.current()
    return BearerToken(tokens.current), (auth.service_account.audience,)


async def _read_trust(tls: EngineTls | None, source: SecretSource) -> Trust:
    if tls is None:
        return Trust()
    ca_pem = tls.ca_bundle
    where = "spec.tls.caBundle"
    if tls.ca_secret_ref is not None:
        ref = tls.ca_secret_ref
        ca_pem = await _read_key(ref, ref.key, source)
        where = f"key {ref.key} of Secret {ref.namespace}/{ref.name}"
    trust = Trust(ca_pem, tls.server_name, tls.insecure_skip_verify)
    try:
        await asyncio.to_thread(trust.ssl_context)
    except (ssl.SSLError, ValueError) as trouble:
        message = f"{where} holds no usable certificates in PEM: {trouble}"
        raise AccessError(Trouble("InvalidCertificate", message, needs_people=True)) from trouble
    return trust


async def _read_key(ref: SecretRef, key: str, source: SecretSource) -> str:
    secret = await source.find_secret(ref.namespace, ref.name)
    if secret is None:
        message = f"There is no Secret {ref.namespace}/{ref.name}; create it with key {key}."
        raise AccessError(Trouble("SecretNotFound", message, needs_people=True))
    encoded = (secret.get("data") or {}).get(key)
    try:
        value = base64.b64decode(encoded or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        value = ""
    if not value.strip():
        message = f"Secret {ref.namespace}/{ref.name} has no text under key {key}; add it."
        raise AccessError(Trouble("SecretIncomplete", message, needs_people=True))
    return value


def _check_header(value: str, ref: SecretRef, key: str) -> None:
    if not (value.isascii() and value.isprintable()):
        message = (
            f"Key {key} of Secret {ref.namespace}/{ref.name} holds characters that no token has;"
            " expected one line of printable ASCII."
        )
        raise AccessError(Trouble("SecretIncomplete", message, needs_people=True))


class AccountTokens:
    """Tokens of the operator's own ServiceAccount, renewed well before they expire."""

    def __init__(
        self,
        source: SecretSource,
        audience: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._source = source
        self._audience = audience
        self._clock = clock
        self._token = ""
        self._renew_at = datetime.min.replace(tzinfo=UTC)
        self._lock = asyncio.Lock()

    async def current(self) -> str:
        """Return a token that is good for a while; raises AccessError."""
        async with self._lock:
            now = self._clock()
            if now >= self._renew_at:
                self._token, expires = await self._source.request_token(
                    self._audience, TOKEN_LIFETIME_S
                )
                self._renew_at = now + max((expires - now) * RENEW_AT, timedelta(seconds=10))
            return self._token
