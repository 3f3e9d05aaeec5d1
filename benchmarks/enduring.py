"""What an operator endures: Backups without end, and an engine that is down while many wait."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from appliance.hosts import DATA_HOST
from appliance.server import FakeAppliance
from backup_api.pacing import RetryPolicy
from backup_operator.decisions.circuit import FIRST_PAUSE_S
from fixtures.population import (
    WINDOW_S,
    cycle,
    find_busiest,
    list_backups,
    side_by_side,
)
from fixtures.scene import Scene, connect, find_condition
from operator_runs import operator, read_rss_mb

BATCH = 200
LARGEST_GROWTH = 1.01
PER_SECOND, BURST = 50, 15  # spec.requestsPerSecond of the scene
PER_PROBE = RetryPolicy().attempts
SETTLING_S = 10.0  # of the conditions of those that were created last


@dataclass(frozen=True, slots=True)
class Cycles:
    """Resident set in MiB after each tenth of so many Backups created and deleted."""

    count: int
    backups_made: int
    took_s: float
    rss_mb: tuple[float, ...]

    @property
    def is_flat(self) -> bool:
        """Whether the second half grew by no more than a hundredth; the first warms up."""
        half = self.rss_mb[len(self.rss_mb) // 2 - 1]
        return self.rss_mb[-1] <= half * LARGEST_GROWTH

    def __str__(self) -> str:
        grown = " ".join(f"{one:.1f}" for one in self.rss_mb)
        return (
            f"{self.count} Backups created and deleted in {self.took_s:.0f} s,"
            f" {self.backups_made} of them at the engine\n  RSS in MiB after each tenth: {grown}"
        )


async def measure_cycles(kubeconfig: Path, cycles: int, folder: Path) -> Cycles:
    """Create Backups, see them told, and delete them, over and over."""
    namespace = f"bench-{secrets.token_hex(3)}"
    async with FakeAppliance() as appliance, connect(kubeconfig) as cluster:
        await cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, None, namespace)  # type: ignore[arg-type]
        await scene.create_engine()
        appliance.backup_seconds = 0.0  # each ends at the next look
        began, done = time.perf_counter(), 0
        grown: list[float] = []
        async with operator(kubeconfig, namespace, folder / f"{namespace}.log") as one:
            await scene.engine_condition("Ready", "True", "Connected", within_s=60)
            while done < cycles:
                await cycle(scene, done, min(BATCH, cycles - done))
                done = min(cycles, done + BATCH)
                if done * 10 // cycles > len(grown):
                    grown.append(round(read_rss_mb(one.pid), 1))
        return Cycles(
            count=cycles,
            backups_made=scene.created(),
            took_s=round(time.perf_counter() - began, 1),
            rss_mb=tuple(grown),
        )


@dataclass(frozen=True, slots=True)
class Outage:
    """What an engine gets to see that was down while so many Backups waited for it."""

    pending: int
    down_s: float
    requests_while_down: int
    untruthful: int  # Backups whose condition said something else meanwhile
    done_after_s: float
    most_requests_per_s: float
    backups_made: int

    @property
    def is_lived_through(self) -> bool:
        """Whether all was told as it was, everything was done, once, and there was no storm."""
        return (
            self.untruthful == 0
            and self.backups_made == self.pending
            and self.most_requests_per_s <= PER_SECOND + BURST / WINDOW_S
            and self.requests_while_down <= self.down_s / FIRST_PAUSE_S * PER_PROBE + PER_PROBE
        )

    def __str__(self) -> str:
        return (
            f"{self.pending} Backups waited for an engine that was down for {self.down_s:.0f} s\n"
            f"  requests to it meanwhile: {self.requests_while_down};"
            f" Backups that did not tell why they wait: {self.untruthful}\n"
            f"  all done {self.done_after_s:.0f} s after it came back: {self.backups_made} backups,"
            f" at most {self.most_requests_per_s} requests a second"
        )


async def measure_outage(kubeconfig: Path, pending: int, outage_s: float, folder: Path) -> Outage:
    """Create Backups while the engine is down, and let it come back after ``outage_s``."""
    namespace = f"bench-{secrets.token_hex(3)}"
    async with FakeAppliance() as appliance, connect(kubeconfig) as cluster:
        await cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, None, namespace)  # type: ignore[arg-type]
        await scene.create_engine()
        async with operator(kubeconfig, namespace, folder / f"{namespace}.log"):
            await scene.engine_condition("Ready", "True", "Connected", within_s=60)
            appliance.faults.html_page("*", 503, times=None)
            began, down_at = time.perf_counter(), len(appliance.requests)
            await scene.create("first")
            await scene.condition("first", "Reconciling", reason="UnexpectedAnswer", within_s=60)
            await side_by_side(range(pending - 1), lambda n: create_waiting(scene, n))
            await asyncio.sleep(max(SETTLING_S, outage_s - (time.perf_counter() - began)))
            told = [find_condition(one, "Ready") for one in await list_backups(scene)]
            untruthful = sum(one is None or one["reason"] != "UnexpectedAnswer" for one in told)
            down_s, asked = time.perf_counter() - began, len(appliance.requests) - down_at
            appliance.backup_seconds = 0.0  # each ends at the next look
            appliance.faults.clear()
            began, up_at = time.perf_counter(), len(appliance.requests)
            while await count_complete(scene) < pending:  # noqa: ASYNC110 - a cluster has no event
                await asyncio.sleep(1)
            return Outage(
                pending=pending,
                down_s=round(down_s, 1),
                requests_while_down=asked,
                untruthful=untruthful,
                done_after_s=round(time.perf_counter() - began, 1),
                most_requests_per_s=round(find_busiest(appliance.requests[up_at:]), 1),
                backups_made=scene.created(),
            )


async def create_waiting(scene: Scene, number: int) -> None:
    """Create one of many Backups of one host, which run one after the other."""
    await scene.create(f"waits-{number}", backupType="DATA", hostId=DATA_HOST, busyTimeout="24h")


async def count_complete(scene: Scene) -> int:
    """Count the Backups that finished without errors."""
    found = [find_condition(one, "Complete") for one in await list_backups(scene)]
    return sum(one is not None and one["status"] == "True" for one in found)
