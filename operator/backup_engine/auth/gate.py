"""From request headers to a caller, and from a caller to yes or no."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backup_engine.auth.callers import Caller, Right, UnknownCallerError
from backup_engine.auth.reviews import Reviews
from backup_engine.auth.sec_tokens import TokenFile

NO_CREDENTIALS: Final = "No SEC header present in request"
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Credential:
    """A caller with the bearer token, if any, that Kubernetes is asked about again."""

    caller: Caller
    bearer: str | None = field(default=None, repr=False)


class Gate:
    """Authenticates by ``SEC`` or bearer token; if both are sent, SEC counts (spec §14 no. 6)."""

    def __init__(self, tokens: TokenFile, reviews: Reviews) -> None:
        self._tokens = tokens
        self._reviews = reviews

    async def identify(self, headers: Mapping[str, str]) -> Credential:
        """Find out who sends ``headers``; raises UnknownCallerError or ReviewFailedError."""
        token = headers.get("sec")
        if token is not None:
            service = await self._tokens.find_service(token)
            if service is None:
                raise UnknownCallerError(f"{NO_CREDENTIALS} that holds a known token")
            return Credential(Caller(f"API_user: {service.label}"))  # spec §13 no. 17
        authorization = headers.get("authorization", "")
        if not authorization.lower().startswith(_BEARER):
            raise UnknownCallerError(f"{NO_CREDENTIALS}, nor a bearer token")
        bearer = authorization[len(_BEARER) :].strip()
        user = await self._reviews.find_user(bearer) if bearer else None
        if user is None:
            raise UnknownCallerError(f"{NO_CREDENTIALS}, and the bearer token is not accepted")
        return Credential(Caller(user.username, user), bearer)

    async def is_allowed(self, credential: Credential, right: Right | None) -> bool:
        """Tell whether the caller may; None asks for no right beyond being known.

        Raises ReviewFailedError.
        """
        user, bearer = credential.caller.user, credential.bearer
        if right is None or user is None or bearer is None:
            return True
        return await self._reviews.is_allowed(bearer, user, right)
