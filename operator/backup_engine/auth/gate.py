"""From request headers to a caller, and from a caller to yes or no."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backup_engine.auth.callers import Caller, Right, UnknownCallerError
from backup_engine.auth.logins import Logins
from backup_engine.auth.reviews import Reviews
from backup_engine.auth.sec_tokens import TokenFile
from backup_engine.auth.sessions import find_cookie
from backup_engine.auth.throttle import Throttle

NO_CREDENTIALS: Final = "No SEC header present in request"
_BEARER: Final = "bearer "
_BASIC: Final = "basic "


@dataclass(frozen=True, slots=True)
class Credential:
    """A caller with the bearer token, if any, that Kubernetes is asked about again.

    ``cookie`` is what a caller with a password is given for its next requests.
    """

    caller: Caller
    bearer: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)


class Gate:
    """Authenticates by ``SEC``, bearer token, password or cookie; the first one sent counts.

    ``logins`` None: nobody has a password.
    """

    def __init__(self, tokens: TokenFile, reviews: Reviews, logins: Logins | None = None) -> None:
        self._tokens = tokens
        self._reviews = reviews
        self._logins = logins
        self._throttle = Throttle()

    @property
    def challenge(self) -> str:
        """Value of ``WWW-Authenticate``."""
        return "Bearer" if self._logins is None else 'Bearer, Basic realm="backup-engine"'

    async def identify(self, headers: Mapping[str, str], client: str) -> Credential:
        """Find out who sends ``headers``; raises UnknownCallerError or ReviewFailedError.

        ``client`` is an address: the more often it fails, the later it is told.
        """
        try:
            return await self._identify(headers, client)
        except UnknownCallerError as refusal:
            if refusal.is_failure:
                await self._throttle.note_failure(client)
            raise

    async def is_allowed(self, credential: Credential, right: Right | None) -> bool:
        """Tell whether the caller may; None asks for no right beyond being known.

        Raises ReviewFailedError.
        """
        user, bearer = credential.caller.user, credential.bearer
        if right is None or user is None or bearer is None:
            return True
        return await self._reviews.is_allowed(bearer, user, right)

    async def logout(self, headers: Mapping[str, str]) -> None:
        """End the session of the cookie in ``headers``, if there is one (spec §14 no. 6)."""
        cookie = find_cookie(headers.get("cookie"))
        if cookie is not None and self._logins is not None:
            await self._logins.logout(cookie)

    async def _identify(self, headers: Mapping[str, str], client: str) -> Credential:
        token = headers.get("sec")
        if token is not None:
            return await self._identify_service(token)
        authorization = headers.get("authorization", "")
        scheme = authorization.lower()
        if scheme.startswith(_BEARER):
            return await self._identify_bearer(authorization[len(_BEARER) :].strip())
        if scheme.startswith(_BASIC) and self._logins is not None:
            written = authorization[len(_BASIC) :].strip()
            return await self._identify_user(self._logins, written, client)
        cookie = find_cookie(headers.get("cookie"))
        if cookie is not None and self._logins is not None:
            user = await self._logins.find_user(cookie)
            if user is None:  # a session ends by itself, so this alone is no failure to be counted
                raise UnknownCallerError(f"{NO_CREDENTIALS}, and the SEC cookie has ended")
            return Credential(Caller(user))
        raise UnknownCallerError(f"{NO_CREDENTIALS}, nor other credentials that are accepted here")

    async def _identify_service(self, token: str) -> Credential:
        service = await self._tokens.find_service(token)
        if service is not None:
            return Credential(Caller(f"API_user: {service.label}"))  # spec §13 no. 17
        # clients without a jar send the cookie of their login as the header, and look for it again
        user = await self._logins.find_user(token) if self._logins is not None else None
        if user is not None:
            return Credential(Caller(user), cookie=token)
        message = f"{NO_CREDENTIALS} that holds a known token"
        raise UnknownCallerError(message, is_failure=True)

    async def _identify_bearer(self, bearer: str) -> Credential:
        user = await self._reviews.find_user(bearer) if bearer else None
        if user is None:
            message = f"{NO_CREDENTIALS}, and the bearer token is not accepted"
            raise UnknownCallerError(message, is_failure=True)
        return Credential(Caller(user.username, user), bearer)

    async def _identify_user(self, logins: Logins, written: str, client: str) -> Credential:
        blocked_s = self._throttle.find_block(client)
        if blocked_s is not None:  # not even looked at, else guessing could go on
            message = f"{NO_CREDENTIALS}, and too many passwords from this address were wrong"
            raise UnknownCallerError(message, retry_after_s=blocked_s)
        name, password = _parse_basic(written)
        cookie = await logins.login(name, password) if name else None
        if cookie is None:
            message = f"{NO_CREDENTIALS}, and user name or password is wrong"
            raise UnknownCallerError(message, is_failure=True)
        return Credential(Caller(name), cookie=cookie)


def _parse_basic(written: str) -> tuple[str, str]:
    """Read what follows ``Basic``; two empty texts if it cannot be read."""
    try:
        text = base64.b64decode(written, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password
