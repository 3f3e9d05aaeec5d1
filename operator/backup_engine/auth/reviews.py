"""Kubernetes decides: TokenReview says who a token is, SubjectAccessReview what they may do."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import aiohttp

from backup_engine.auth.callers import ClusterUser, ReviewFailedError, Right
from backup_engine.cluster import ClusterConnection, ClusterError

AUDIENCE: Final = "backup-engine"
RESOURCE_GROUP: Final = "engine.backup-operator.io"

REVIEW_TIMEOUT_S: Final = 10.0
YES_LIFETIME_S: Final = 10.0  # so a revoked token works on for ten seconds at most
NO_LIFETIME_S: Final = 2.0  # a role just granted should not have to be waited for
CACHE_SIZE: Final = 1024
CONCURRENT_REVIEWS: Final = 8

_CREATED: Final = 201
_AUTHENTICATION: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_AUTHORIZATION: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Reviews:
    """Asks the API server, and remembers the answers for seconds."""

    def __init__(self, cluster: ClusterConnection) -> None:
        self._cluster = cluster
        self._slots = asyncio.Semaphore(CONCURRENT_REVIEWS)
        self._users: _Memory[bytes, ClusterUser | None] = _Memory()
        self._rights: _Memory[tuple[bytes, Right], bool] = _Memory()

    async def find_user(self, token: str) -> ClusterUser | None:
        """Whom ``token`` belongs to; None: nobody, or it is meant for another audience.

        Raises ReviewFailedError.
        """
        key = _key(token)

        async def ask() -> ClusterUser | None:
            spec = {"token": token, "audiences": [AUDIENCE]}
            return parse_token_review(await self._ask(_AUTHENTICATION, "TokenReview", spec))

        return await self._users.recall(key, ask, lambda user: user is not None)

    async def is_allowed(self, token: str, user: ClusterUser, right: Right) -> bool:
        """Tell whether ``user``, who came with ``token``, may; raises ReviewFailedError."""

        async def ask() -> bool:
            spec = {
                "user": user.username,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": {name: list(values) for name, values in user.extra.items()},
                "resourceAttributes": {
                    "group": RESOURCE_GROUP,
                    "resource": right.resource.value,
                    "verb": right.verb.value,
                },
            }
            status = await self._ask(_AUTHORIZATION, "SubjectAccessReview", spec)
            return status.get("allowed") is True

        return await self._rights.recall((_key(token), right), ask, bool)

    async def _ask(self, path: str, kind: str, spec: Mapping[str, object]) -> Mapping[str, Any]:
        """Send a review and return its status; raises ReviewFailedError, which names no token."""
        group = path.split("/")[2]
        review = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        try:
            async with (
                asyncio.timeout(REVIEW_TIMEOUT_S),
                self._slots,
                self._cluster.request("POST", path, json=review) as response,
            ):
                if response.status != _CREATED:
                    raise ReviewFailedError(
                        f"{kind}: the API server answered {response.status}; the engine needs the"
                        " right to create it (ClusterRole system:auth-delegator)"
                    )
                answer = await response.json()
        except (ClusterError, TimeoutError, aiohttp.ClientError, ValueError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise ReviewFailedError(f"{kind}: {said}") from trouble
        status = answer.get("status") if isinstance(answer, dict) else None
        return status if isinstance(status, dict) else {}


def parse_token_review(status: Mapping[str, Any]) -> ClusterUser | None:
    """Read a TokenReview's status; None unless the token was accepted for our audience."""
    user = status.get("user") or {}
    is_ours = AUDIENCE in (status.get("audiences") or ())  # absent: it never looked at audiences
    if status.get("authenticated") is not True or not is_ours or not user.get("username"):
        return None
    extra = {str(name): tuple(values) for name, values in (user.get("extra") or {}).items()}
    groups = tuple(user.get("groups") or ())
    return ClusterUser(user["username"], user.get("uid") or "", groups, extra)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[Value]):
    value: Value
    until: float


class _Memory(Generic[Key, Value]):
    """A bounded cache that forgets; the least recently added goes first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, _Remembered[Value]] = OrderedDict()

    async def recall(
        self, key: Key, ask: Callable[[], Awaitable[Value]], is_yes: Callable[[Value], bool]
    ) -> Value:
        now = asyncio.get_running_loop().time()
        entry = self._entries.get(key)
        if entry is not None and now < entry.until:
            return entry.value
        value = await ask()
        # counted from before the question, for the answer was true then
        lifetime_s = YES_LIFETIME_S if is_yes(value) else NO_LIFETIME_S
        self._entries.pop(key, None)
        self._entries[key] = _Remembered(value, now + lifetime_s)
        while len(self._entries) > CACHE_SIZE:
            self._entries.popitem(last=False)
        return value
