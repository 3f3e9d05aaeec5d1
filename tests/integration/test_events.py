"""Events at the end of the operator: what was told is posted, not cut off in the middle."""

import asyncio
import contextlib
from typing import Any, cast

from backup_operator.cluster.api import ClusterApi
from backup_operator.cluster.events import EventPoster, ObjectEvent


class SlowCluster:
    """An API server that takes its time to accept an event."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.reasons: list[str] = []

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.is_asked.set()
        await self.may_answer.wait()
        self.reasons.append(f"{path.rpartition('/')[2]}/{body['reason']}")
        return body


async def test_a_stop_loses_no_event_that_is_half_posted() -> None:
    cluster = SlowCluster()
    poster = EventPoster(cast("ClusterApi", cluster), "operator-0")
    for reason in ("Submitted", "Succeeded"):
        poster.post(ObjectEvent("Backup", {"name": "b", "namespace": "n"}, reason, "told"))
    posting = asyncio.create_task(poster.run())
    await cluster.is_asked.wait()

    posting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await posting
    cluster.may_answer.set()
    await poster.flush(within_s=60.0)

    assert cluster.reasons == ["events/Submitted", "events/Succeeded"]
