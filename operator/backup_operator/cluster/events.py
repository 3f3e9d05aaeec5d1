"""Events that tell people what happened to an object: best effort, never in the way."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from backup_operator.cluster.api import ClusterApi, ClusterError
from backup_operator.resources.group import API_VERSION

REPORTER: Final = "backup-operator"
WAITING_ROOM: Final = 1000
PER_SECOND: Final = 20.0
LONGEST_NOTE: Final = 1000  # the API server takes 1 kB
DEFAULT_NAMESPACE: Final = "default"  # of events about cluster-scoped objects

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """One thing that happened to an object, whose metadata is ``metadata``."""

    kind: str
    metadata: dict[str, Any]
    reason: str
    note: str
    is_warning: bool = False


class EventPoster:
    """Posts events one after the other at a bounded rate; a full queue drops the newest."""

    def __init__(self, cluster: ClusterApi, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance
        self._queue: asyncio.Queue[ObjectEvent] = asyncio.Queue(WAITING_ROOM)
        self._sending: asyncio.Task[None] | None = None

    def post(self, event: ObjectEvent) -> None:
        """Have an event posted soon; it tells what is already stored."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            logger.warning("event %s of %s dropped: too many", event.reason, event.metadata["name"])

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            event = await self._queue.get()
            self._sending = asyncio.create_task(self._send(event))
            await asyncio.shield(self._sending)  # a stop must not lose what is half posted
            await asyncio.sleep(1 / PER_SECOND)

    async def flush(self, within_s: float) -> None:
        """Post what is waiting, as far as the time allows."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if self._sending is not None:
                    await self._sending
                while not self._queue.empty():
                    await self._send(self._queue.get_nowait())

    async def _send(self, event: ObjectEvent) -> None:
        namespace = event.metadata.get("namespace") or DEFAULT_NAMESPACE
        body = build_event(event, namespace, self._instance, datetime.now(UTC))
        try:
            await self._cluster.create(
                f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body
            )
        except ClusterError as trouble:  # a namespace on its way out takes none
            logger.debug("event %s not posted: %s", event.reason, trouble)


def build_event(event: ObjectEvent, namespace: str, instance: str, now: datetime) -> dict[str, Any]:
    """Build the body of an events.k8s.io/v1 Event."""
    name = event.metadata["name"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            # kubectl tells events of the same second in the order of their names
            "name": f"{name[:200]}.{int(now.timestamp() * 1_000_000):016x}",
            "namespace": namespace,
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": REPORTER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": event.reason[:128],
        "note": event.note[:LONGEST_NOTE],
        "type": "Warning" if event.is_warning else "Normal",
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": event.kind,
            "name": name,
            "uid": event.metadata.get("uid"),
            **({"namespace": namespace} if event.metadata.get("namespace") else {}),
            "resourceVersion": event.metadata.get("resourceVersion"),
        },
    }
