"""The lease that one of several replicas holds while it acts (coordination.k8s.io/v1)."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

from backup_operator.cluster.api import ClusterApi, ClusterError, ConflictError, GoneError
from backup_operator.decisions.leadership import (
    LeaseSeen,
    LeaseTimes,
    may_act,
    may_take,
    next_look_s,
)

LEASE_API: Final = "coordination.k8s.io/v1"
RELEASED_DURATION_S: Final = 1

logger = logging.getLogger(__name__)


class Leadership(Protocol):
    """Decides whether this replica may act."""

    @property
    def is_held(self) -> bool:
        """Whether it may act at this very moment."""
        ...

    async def acquire(self) -> None:
        """Return once this replica may act."""
        ...

    async def keep(self) -> None:
        """Return when it may no longer act."""
        ...

    async def release(self) -> None:
        """Let another one act at once; only after everything has stopped."""
        ...


class SoleLeadership:
    """That of an operator which is told that it is the only one."""

    is_held = True

    async def acquire(self) -> None:
        """Return at once."""

    async def keep(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class LeasePlace:
    """Where the lease is."""

    namespace: str
    name: str

    @property
    def collection(self) -> str:
        """Path of the leases of its namespace."""
        return f"/apis/{LEASE_API}/namespaces/{quote(self.namespace, safe='')}/leases"

    @property
    def path(self) -> str:
        """Path of the lease."""
        return f"{self.collection}/{quote(self.name, safe='')}"


def steady_clock() -> float:
    """Return seconds of a clock that goes on while the machine sleeps and is never set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LeaderLease:
    """One replica's side of the lease; ``me`` names the process, not the machine."""

    def __init__(
        self,
        cluster: ClusterApi,
        place: LeasePlace,
        me: str,
        times: LeaseTimes,
        clock: Callable[[], float] = steady_clock,
    ) -> None:
        self._cluster = cluster
        self._place = place
        self._me = me
        self._times = times
        self._clock = clock
        self._body: dict[str, Any] | None = None
        self._is_deleted = True
        self._unchanged_since = 0.0
        self._renewed_at: float | None = None  # None: it is not ours

    @property
    def is_held(self) -> bool:
        """Whether this replica may act at this very moment."""
        renewed_at = self._renewed_at
        return renewed_at is not None and may_act(self._clock() - renewed_at, self._times)

    async def acquire(self) -> None:
        """Wait until the lease is free or has run out, and take it."""
        waits_for = ""
        while True:
            pause_s = self._times.retry_s
            try:
                async with asyncio.timeout(self._times.renew_deadline_s):
                    await self._look()
                    seen = self._seen()
                    unchanged_s = self._clock() - self._unchanged_since
                    if may_take(seen, self._me, unchanged_s):
                        await self._write(self._me)
                        logger.info("leading by lease %s", self._name)
                        return
                assert seen is not None
                if seen.holder != waits_for:
                    waits_for = seen.holder
                    logger.info("standing by: lease %s is held by %s", self._name, waits_for)
                pause_s = next_look_s(seen, unchanged_s, self._times)
            except ConflictError:  # another one was quicker
                pass
            except (ClusterError, TimeoutError) as trouble:
                logger.warning("lease %s cannot be read or taken: %s", self._name, trouble)
            await asyncio.sleep(pause_s)

    async def keep(self) -> None:
        """Renew the lease until that has failed for too long or another one has it."""
        is_ours = True
        while is_ours and self._left_s() > 0:
            await asyncio.sleep(min(self._times.retry_s, self._left_s()))
            is_ours = await self._renew()
        self._renewed_at = None
        logger.error("lease %s is lost: this replica stops acting", self._name)

    async def _renew(self) -> bool:
        """Renew once; False: another one has the lease."""
        try:
            async with asyncio.timeout(self._left_s()):
                await self._write_over(self._me)
        except GoneError:
            logger.warning("lease %s was deleted", self._name)
            return False
        except (ClusterError, TimeoutError) as trouble:
            logger.warning("lease %s could not be renewed: %s", self._name, trouble)
            seen = self._seen()
            return seen is not None and seen.holder == self._me
        return True

    async def release(self) -> None:
        """Give the lease up, if it is ours."""
        if not self.is_held:
            return
        try:
            async with asyncio.timeout(self._left_s()):
                await self._write_over("")
        except (ClusterError, TimeoutError) as trouble:
            logger.warning("lease %s was not released and runs out: %s", self._name, trouble)
        self._renewed_at = None

    @property
    def _name(self) -> str:
        return f"{self._place.namespace}/{self._place.name}"

    def _left_s(self) -> float:
        if self._renewed_at is None:
            return 0.0
        return max(0.0, self._times.renew_deadline_s - (self._clock() - self._renewed_at))

    async def _look(self) -> None:
        try:
            body = await self._cluster.get(self._place.path)
        except GoneError:
            self._is_deleted = True  # its last holder may not know yet, so its time still counts
            return
        if self._body is None or body.get("spec") != self._body.get("spec"):
            self._unchanged_since = self._clock()
        self._body = body
        self._is_deleted = False

    def _seen(self) -> LeaseSeen | None:
        if self._body is None:
            return None
        spec = self._body.get("spec") or {}
        return LeaseSeen(
            holder=spec.get("holderIdentity") or "",
            duration_s=float(spec.get("leaseDurationSeconds") or self._times.duration_s),
        )

    async def _write_over(self, holder: str) -> None:
        """Write a lease that is ours, though somebody may have annotated it meanwhile."""
        try:
            await self._write(holder)
        except ConflictError:
            await self._look()
            seen = self._seen()
            if seen is None or seen.holder != self._me:
                raise
            await self._write(holder)

    async def _write(self, holder: str) -> None:
        """Store the lease over the state that was read; raises ConflictError if it has changed."""
        sent_at = self._clock()
        body = build_lease(
            self._place, self._body, holder, self._times.duration_s, datetime.now(UTC)
        )
        if self._is_deleted:
            body["metadata"] = {"name": self._place.name, "namespace": self._place.namespace}
            stored = await self._cluster.create(self._place.collection, body)
        else:
            stored = await self._cluster.replace(self._place.path, body)
        self._body, self._is_deleted = stored, False
        self._unchanged_since = self._clock()
        self._renewed_at = sent_at if holder else None


def build_lease(
    place: LeasePlace,
    before: dict[str, Any] | None,
    holder: str,
    duration_s: float,
    now: datetime,
) -> dict[str, Any]:
    """Build the lease as ``holder`` wants it over ``before``; holder empty: released."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = dict((before or {}).get("spec") or {})
    is_other = spec.get("holderIdentity") != holder
    metadata = dict((before or {}).get("metadata") or {})
    metadata.pop("managedFields", None)
    return {
        "apiVersion": LEASE_API,
        "kind": "Lease",
        "metadata": {**metadata, "name": place.name, "namespace": place.namespace},
        "spec": {
            **spec,
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(duration_s)) if holder else RELEASED_DURATION_S,
            "renewTime": moment,
            **({"acquireTime": moment} if is_other else {}),
            "leaseTransitions": int(spec.get("leaseTransitions") or 0)
            + int(is_other and bool(holder) and before is not None),
        },
    }
