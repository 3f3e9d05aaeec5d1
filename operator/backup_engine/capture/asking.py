"""Asks the API server until it answers for good: retries, back-off, bounded answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec

from backup_engine.capture.errors import CaptureError
from backup_engine.cluster import ClusterConnection, ClusterUnreachableError

OK: Final = 200
GONE: Final = 410
TOO_MANY_REQUESTS: Final = 429
UNAUTHORIZED: Final = 401
FIRST_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to wait for a server that is busy or away; times in seconds.

    429 has attempts of its own: an API server that sheds load (priority and fairness) is well, and
    says with Retry-After when it wants to be asked again.
    """

    attempts: int = 8
    busy_attempts: int = 60
    first_delay_s: float = 0.25
    longest_delay_s: float = 15.0
    longest_wish_s: float = 300.0

    def delay_s(self, failed: int, retry_after: str | None) -> float:
        """Return the pause behind the ``failed``-th failure; the server's own wish goes first."""
        if retry_after is not None and retry_after.isdecimal():
            return min(float(retry_after), self.longest_wish_s)
        return float(min(self.first_delay_s * 2 ** min(failed - 1, 16), self.longest_delay_s))


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer: any status but 429 and 5xx."""

    status: int
    body: bytes


class ServerUnavailableError(CaptureError):
    """The server answers, but only that it cannot serve this: 5xx, or busy for too long."""


class AnswerTooLargeError(Exception):
    """The body went past the limit and was cut off."""


class Status(msgspec.Struct, rename="camel"):
    """What of a Kubernetes ``Status`` matters here."""

    class Metadata(msgspec.Struct):
        """Metadata of a Status: with 410 Gone it may hold a token to go on with."""

        continue_: str = msgspec.field(default="", name="continue")

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    reason: str = ""
    message: str = ""


def parse_status(body: bytes) -> Status:
    """Read a Status; an answer that is none, such as a proxy's page, gives an empty one."""
    try:
        return msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Status(message=body[:200].decode(errors="replace"))


async def ask(
    cluster: ClusterConnection,
    path: str,
    retries: RetryPolicy,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    longest_bytes: int | None = None,
) -> Answer:
    """GET ``path``, as often as ``retries`` allows.

    Raises CaptureError (ClusterUnreachable, Unauthorized), or ServerUnavailableError when the
    attempts are used up, AnswerTooLargeError at once if the body is longer than ``longest_bytes``.
    """
    failures = {True: 0, False: 0}  # by whether the server was only busy
    while True:
        retry_after: str | None = None
        is_busy = False
        trouble: CaptureError
        try:
            async with cluster.request("GET", path, params=params, headers=headers) as response:
                body = await _read(response, longest_bytes)
                status = response.status
                retry_after = response.headers.get("Retry-After")
        except ClusterUnreachableError as silence:
            trouble = CaptureError("ClusterUnreachable", str(silence))
        else:
            if status == UNAUTHORIZED:
                raise CaptureError(
                    "Unauthorized",
                    f"{cluster.url} does not accept the engine's credentials; check its kubeconfig"
                    " or ServiceAccount",
                )
            if status != TOO_MANY_REQUESTS and status < FIRST_SERVER_ERROR:
                return Answer(status, body)
            trouble = ServerUnavailableError(
                "ServerUnavailable",
                f"GET {path}: status {status} {parse_status(body).message}".rstrip(),
            )
            is_busy = status == TOO_MANY_REQUESTS
        failures[is_busy] += 1
        if failures[is_busy] >= (retries.busy_attempts if is_busy else retries.attempts):
            raise type(trouble)(
                trouble.reason,
                f"{trouble.message}; gave up after {sum(failures.values())} attempts",
            )
        await asyncio.sleep(retries.delay_s(failures[is_busy], retry_after))


async def _read(response: aiohttp.ClientResponse, longest_bytes: int | None) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if longest_bytes is not None and size > longest_bytes:
            response.close()  # the rest is not worth waiting for
            raise AnswerTooLargeError
        pieces.append(piece)
    return b"".join(pieces)
