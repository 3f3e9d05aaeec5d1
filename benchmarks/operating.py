"""Measure the operator with ten thousand finished and a hundred running Backups (architecture §5).

A fake appliance with a request log stands for the engine. The same is measured with a hundredth of
the Backups, for the requests that an engine gets must depend on neither number.

Usage: PYTHONPATH=tests python benchmarks/operating.py [--finished N] [--running N] [--json FILE]
(not named after the operator: a module operator.py here would take the place of Python's own)
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.hosts import DATA_HOST
from appliance.server import FakeAppliance
from backup_sandbox import running_sandbox
from fixtures.population import place, side_by_side
from fixtures.scene import GROUP, Scene, connect, find_condition

ROOT = Path(__file__).resolve().parents[1]
REST_S = 60.0
LONGEST_SETTLING_S = 120.0
SETTLING_LOOK_S = 3.0
FIRST_SWEEP_S = 12.0
RESTING = 0.1
CREATED = 100
PENDING = 200  # the host takes one at a time
OUTAGE_S = 60.0
CYCLES = 10_000
LARGEST_RSS_MB = 250
LARGEST_CPU_PERCENT = 5.0
LONGEST_START_S = 10.0
P50_MS, P99_MS = 200.0, 1000.0


@dataclass(frozen=True, slots=True)
class Row:
    """One operator over so many Backups."""

    finished: int
    running: int
    start_s: float
    settled_s: float  # until the watches have delivered everything once more, and it rests
    rss_mb: float
    peak_rss_mb: float
    cpu_percent: float  # of one core, at rest
    requests_per_minute: float
    writes_at_rest: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Running:
    """A started operator."""

    pid: int
    started_s: float


@contextlib.asynccontextmanager
async def operator(kubeconfig: Path, namespace: str, log: Path) -> AsyncIterator[Running]:
    """Run the operator's own command; yields once it leads."""
    began = time.perf_counter()
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": str(ROOT / "operator"),
        "PYTHONPYCACHEPREFIX": str(log.parent / "bytecode"),  # as an installed package has it
    }
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backup_operator", "run", f"--kubeconfig={kubeconfig}"),
            f"--namespace={namespace}",
            stdout=stream,
            stderr=stream,
            env=environment,
        )
    try:
        while "backup_operator: leading" not in read_log(log):
            if process.returncode is not None:
                raise RuntimeError(read_log(log))
            await asyncio.sleep(0.02)
        yield Running(process.pid, time.perf_counter() - began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


def read_log(log: Path) -> str:
    """Read what an operator has said so far."""
    return log.read_text(errors="replace")


def read_rss_mb(pid: int, name: str = "VmRSS") -> float:
    """Read the resident set of a process from the kernel's account; ``VmHWM``: its peak."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def read_cpu_s(pid: int) -> float:
    """Read the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def wait_for_rest(pid: int) -> float:
    """Wait until a process hardly uses a processor, at least for the first sweep; returns seconds.

    Gives up after two minutes: then the figures at rest say so.
    """
    began = time.perf_counter()
    busy = 1.0
    while time.perf_counter() - began < LONGEST_SETTLING_S:
        before = read_cpu_s(pid)
        await asyncio.sleep(SETTLING_LOOK_S)
        busy = (read_cpu_s(pid) - before) / SETTLING_LOOK_S
        took = time.perf_counter() - began
        if busy < RESTING and took > FIRST_SWEEP_S:
            break
    return time.perf_counter() - began


async def list_versions(scene: Scene) -> dict[str, str]:
    """List what each Backup was last written as."""
    listed = await scene.cluster.call("GET", scene.path())
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in listed["items"]}


async def measure_latency(scene: Scene) -> tuple[float, float]:
    """Create Backups one after the other; return p50 and p99 ms until the engine is asked."""
    taken = []
    for number in range(CREATED):
        name = f"new-{number}-{secrets.token_hex(2)}"
        posts = scene.appliance.count("POST /backups")
        began = time.perf_counter()
        await scene.create(name)
        await scene.appliance.received("POST /backups", times=posts + 1, within_s=30)
        taken.append((time.perf_counter() - began) * 1000)
        await scene.appliance.answered("POST /backups", times=posts + 1)
        newest = max(one["id"] for one in scene.appliance.backups if isinstance(one["id"], int))
        scene.appliance.finish(newest)
    ordered = sorted(taken)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99) - 1]


async def measure(kubeconfig: Path, finished: int, running: int, folder: Path) -> Row:
    """Populate a namespace, start an operator upon it, and let it rest."""
    namespace = f"bench-{secrets.token_hex(3)}"
    async with FakeAppliance() as appliance, connect(kubeconfig) as cluster:
        path = "/api/v1/namespaces"
        await cluster.call("POST", path, {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, None, namespace)  # type: ignore[arg-type]
        await scene.create_engine(pollInterval="5s")
        engine = await cluster.call("GET", f"{GROUP}/backupengines/{scene.engine}")
        uid = engine["metadata"]["uid"]
        began = time.perf_counter()
        await side_by_side(range(finished), lambda n: place(scene, uid, n, finished=True))
        await side_by_side(range(running), lambda n: place(scene, uid, n, finished=False))
        took = time.perf_counter() - began
        sys.stderr.write(f"placed {finished + running} Backups in {took:.0f} s\n")
        async with operator(kubeconfig, namespace, folder / f"{namespace}.log") as one:
            await scene.engine_condition("Ready", "True", "Connected", within_s=60)
            settled_s = one.started_s + await wait_for_rest(one.pid)
            before, cpu = await list_versions(scene), read_cpu_s(one.pid)
            asked_before = len(appliance.requests)
            await asyncio.sleep(REST_S)
            cpu = read_cpu_s(one.pid) - cpu
            asked = appliance.requests[asked_before:]
            after = await list_versions(scene)
            rss = read_rss_mb(one.pid)
            shown = Counter(f"{seen.method} {seen.path}" for seen in asked)
            sys.stderr.write(f"the engine's log of {REST_S:.0f} s: {dict(shown)}\n")
            p50, p99 = await measure_latency(scene)
            return Row(
                finished=finished,
                running=running,
                start_s=round(one.started_s, 2),
                settled_s=round(settled_s, 1),
                rss_mb=round(rss, 1),
                peak_rss_mb=round(read_rss_mb(one.pid, "VmHWM"), 1),
                cpu_percent=round(cpu / REST_S * 100, 2),
                requests_per_minute=len(asked) * 60 / REST_S,
                writes_at_rest=sum(after[name] != before[name] for name in before),
                p50_ms=round(p50, 1),
                p99_ms=round(p99, 1),
            )


async def measure_cycles(kubeconfig: Path, cycles: int, folder: Path) -> tuple[float, float]:
    """Create and delete Backups over and over; return RSS in MiB after a tenth and at the end."""
    namespace = f"bench-{secrets.token_hex(3)}"
    async with FakeAppliance() as appliance, connect(kubeconfig) as cluster:
        await cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, None, namespace)  # type: ignore[arg-type]
        async with operator(kubeconfig, namespace, folder / f"{namespace}.log") as one:
            early = 0.0
            for done in range(cycles // 10, cycles + 1, cycles // 10):
                await side_by_side(range(done - cycles // 10, done), lambda n: cycle(scene, n))
                early = early or read_rss_mb(one.pid)
            return round(early, 1), round(read_rss_mb(one.pid), 1)


@dataclass(frozen=True, slots=True)
class Outage:
    """What an engine gets to see that was down while so many Backups waited for it."""

    pending: int
    down_s: float
    requests_while_down: int
    untruthful: int  # Backups whose condition said something else meanwhile
    done_after_s: float
    most_requests_per_s: int
    backups_made: int


async def measure_outage(kubeconfig: Path, pending: int, folder: Path) -> Outage:
    """Create Backups while the engine is down, and let it come back."""
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
            await asyncio.sleep(max(OUTAGE_S, 10.0))
            listed = await cluster.call("GET", scene.path())
            told = [find_condition(one, "Ready") for one in listed["items"]]
            untruthful = sum(one is None or one["reason"] != "UnexpectedAnswer" for one in told)
            down_s, asked = time.perf_counter() - began, len(appliance.requests) - down_at
            appliance.backup_seconds = 0.0  # each ends at the next look
            appliance.faults.clear()
            began, up_at = time.perf_counter(), len(appliance.requests)
            while await count_complete(scene) < pending:  # noqa: ASYNC110 - a cluster has no event
                await asyncio.sleep(1)
            rates = Counter(int(one.time_s) for one in appliance.requests[up_at:])
            return Outage(
                pending=pending,
                down_s=round(down_s, 1),
                requests_while_down=asked,
                untruthful=untruthful,
                done_after_s=round(time.perf_counter() - began, 1),
                most_requests_per_s=max(rates.values()),
                backups_made=scene.created(),
            )


async def create_waiting(scene: Scene, number: int) -> None:
    """Create one of many Backups of one host, which run one after the other."""
    await scene.create(f"waits-{number}", backupType="DATA", hostId=DATA_HOST, busyTimeout="24h")


async def count_complete(scene: Scene) -> int:
    """Count the Backups that finished without errors."""
    listed = await scene.cluster.call("GET", scene.path())
    found = [find_condition(one, "Complete") for one in listed["items"]]
    return sum(one is not None and one["status"] == "True" for one in found)


async def cycle(scene: Scene, number: int) -> None:
    """Create a Backup that waits for a missing engine, see it told, and delete it."""
    name = f"cycle-{number}"
    await scene.create(name, engine="nowhere")
    await scene.condition(name, "Stalled", reason="EngineNotFound", within_s=60)
    await scene.delete(name)


def render(rows: list[Row]) -> str:
    """Lay the rows out for people."""
    names = list(asdict(rows[0]))
    lines = ["  ".join(f"{name:>19}" for name in names)]
    lines += ["  ".join(f"{asdict(row)[name]:>19}" for name in names) for row in rows]
    return "\n".join(lines)


def is_within_budget(few: Row, many: Row) -> bool:
    """Compare with the budgets of architecture §5."""
    return (
        many.rss_mb <= LARGEST_RSS_MB
        and many.cpu_percent <= LARGEST_CPU_PERCENT
        and many.start_s <= LONGEST_START_S
        and many.requests_per_minute <= few.requests_per_minute + 2
        and many.writes_at_rest == 0
        and many.p50_ms <= P50_MS
        and many.p99_ms <= P99_MS
    )


def main() -> int:
    """Run the benchmark; exit code 1 if a budget of architecture §5 is missed."""
    parser = argparse.ArgumentParser(description="the operator over many Backups")
    parser.add_argument("--finished", type=int, default=10_000)
    parser.add_argument("--running", type=int, default=100)
    parser.add_argument("--cycles", type=int, default=CYCLES, help="0: no create/delete cycles")
    parser.add_argument("--pending", type=int, default=PENDING, help="0: no outage")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="operating-") as place_,
        running_sandbox(Path(place_) / "sandbox", crds=(ROOT / "crds",)) as sandbox,
    ):
        folder, kubeconfig = Path(place_), Path(sandbox.kubeconfig)
        sizes = (
            (max(1, arguments.finished // 100), max(1, arguments.running // 100)),
            (arguments.finished, arguments.running),
        )
        rows = [
            asyncio.run(measure(kubeconfig, finished, running, folder))
            for finished, running in sizes
        ]
        print(render(rows))
        result: dict[str, object] = {
            "rows": [asdict(row) for row in rows],
            "is_within_budget": is_within_budget(*rows),
        }
        if arguments.cycles:
            early, late = asyncio.run(measure_cycles(kubeconfig, arguments.cycles, folder))
            print(f"{arguments.cycles} create/delete cycles: RSS {early} MiB, then {late} MiB")
            result["cycles"] = {"count": arguments.cycles, "early_mb": early, "late_mb": late}
        if arguments.pending:
            outage = asyncio.run(measure_outage(kubeconfig, arguments.pending, folder))
            print(outage)
            result["outage"] = asdict(outage)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["is_within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
