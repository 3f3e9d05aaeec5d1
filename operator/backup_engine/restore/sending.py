"""Sends one request until it is answered for good: retries, back-off, the server's own wishes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from backup_engine.capture.asking import (
    FIRST_SERVER_ERROR,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    RetryPolicy,
    parse_status,
)
from backup_engine.capture.discovery import Kind
from backup_engine.cluster import (
    ClusterConnection,
    ClusterSettingsError,
    ClusterUnreachableError,
)
from backup_engine.restore.errors import RestoreError, WriteRefusedError

OK: Final = 200
CREATED: Final = 201
ACCEPTED: Final = 202
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
UNPROCESSABLE: Final = 422
NO_ANSWER: Final = 0

WEBHOOK_ATTEMPTS: Final = 3
_WEBHOOK_FAILED: Final = "failed calling webhook"  # in the message of the server's 500


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer: any status but 401, 429 and 5xx."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """What the server says of a refusal."""
        return parse_status(self.body).message

    @property
    def reason(self) -> str:
        """The CamelCase reason of a refusal, such as AlreadyExists; empty if it gives none."""
        return parse_status(self.body).reason


async def send(
    cluster: ClusterConnection,
    method: str,
    path: str,
    retries: RetryPolicy,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: object = None,
) -> Answer:
    """Send a request as often as ``retries`` allows; ``body`` becomes JSON.

    A write whose answer was lost is sent again: creating then meets what it made, deleting nothing.
    Raises WriteRefusedError if the server keeps failing on this one, RestoreError (Unauthorized,
    ClusterUnreachable) if it would fail on all others as well.
    """
    failed = 0
    while True:
        retry_after: str | None = None
        attempts = retries.attempts
        status = NO_ANSWER
        try:
            async with cluster.request(
                method, path, params=params, headers=headers, json=body
            ) as response:
                content = await response.read()
                status = response.status
                retry_after = response.headers.get("Retry-After")
        except ClusterUnreachableError as silence:
            said = str(silence)
        except ClusterSettingsError as trouble:
            raise RestoreError("Unauthorized", str(trouble)) from trouble
        else:
            if status == UNAUTHORIZED:
                raise RestoreError(
                    "Unauthorized",
                    f"{cluster.url} does not accept the credentials; check kubeconfig or account",
                )
            if status != TOO_MANY_REQUESTS and status < FIRST_SERVER_ERROR:
                return Answer(status, content)
            said = parse_status(content).message
            if _WEBHOOK_FAILED in said:
                attempts = min(attempts, WEBHOOK_ATTEMPTS)  # seldom recovers, and slows down all
        failed += 1
        if failed >= attempts:
            if status == NO_ANSWER:
                raise RestoreError("ClusterUnreachable", f"{said}; gave up after {failed} attempts")
            raise WriteRefusedError(
                status, "ServerUnavailable", f"status {status}, {said}; after {failed} attempts"
            )
        await asyncio.sleep(retries.delay_s(failed, retry_after))


def build_object_path(kind: Kind, namespace: str | None, name: str) -> str:
    """Return the path of one object."""
    return f"{kind.path(namespace)}/{quote(name, safe=':')}"
