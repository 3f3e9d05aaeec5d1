"""Measure the operator with ten thousand finished and a hundred running Backups (architecture §5).

A fake appliance with a request log stands for the engine. The same is measured with a hundredth of
the Backups, for the requests that an engine gets must depend on neither number.

Then Backups are created and deleted over and over, for the operator's memory must not grow, and an
engine is down while a thousand wait.

Usage: PYTHONPATH=tests python benchmarks/operating.py [--finished N] [--running N] [--cycles N]
       [--pending N] [--outage S] [--json FILE]
(not named after the operator: a module operator.py here would take the place of Python's own)
"""

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.journal import SeenRequest
from appliance.server import FakeAppliance
from backup_sandbox import running_sandbox
from enduring import measure_cycles, measure_outage
from etcd_storage import connect_storage
from fixtures.scene import GROUP, Scene, connect
from operator_runs import ROOT, operator, read_cpu_s, read_rss_mb
from placing import place_many

SEEN_WITHIN_S = 60.0
REST_S = 60.0
LONGEST_SETTLING_S = 120.0
SETTLING_LOOK_S = 3.0
FIRST_SWEEP_S = 12.0
RESTING = 0.1
CREATED = 100
PENDING = 1000
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
    p50_ms: float  # from the creation of a Backup until the engine is asked
    p99_ms: float
    engine_log: dict[str, int]  # what the engine was asked for in that minute, by what for


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


async def measure(sandbox_root: Path, finished: int, running: int, folder: Path) -> Row:
    """Populate a namespace, start an operator upon it, and let it rest."""
    namespace, kubeconfig = f"bench-{secrets.token_hex(3)}", sandbox_root / "kubeconfig"
    async with FakeAppliance() as appliance, connect(kubeconfig) as cluster:
        path = "/api/v1/namespaces"
        await cluster.call("POST", path, {"metadata": {"name": namespace}})
        scene = Scene(cluster, appliance, None, namespace)  # type: ignore[arg-type]
        await scene.create_engine(pollInterval="5s")
        engine = await cluster.call("GET", f"{GROUP}/backupengines/{scene.engine}")
        uid = engine["metadata"]["uid"]
        began = time.perf_counter()
        async with connect_storage(sandbox_root) as storage:
            await place_many(scene, storage, uid, finished, finished=True)
            await place_many(scene, storage, uid, running, finished=False)
            async with asyncio.timeout(SEEN_WITHIN_S):  # the API server has a cache to fill
                while len(await list_versions(scene)) != finished + running:  # noqa: ASYNC110
                    await asyncio.sleep(1)
        took = time.perf_counter() - began
        sys.stderr.write(f"placed {finished + running} Backups in {took:.1f} s\n")
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
                engine_log=dict(Counter(map(describe, asked))),
            )


def describe(seen: SeenRequest) -> str:
    """Say what a request asked for, without what differs from one to the next."""
    asked = seen.query.get("filter", "")
    if "id >=" in asked:
        return f"{seen.method} {seen.path} (sweep, a page)"
    if "status in" in asked:
        one = seen.headers.get("Range") == "items=0-0"
        return f"{seen.method} {seen.path} ({'how many run' if one else 'those that run, a page'})"
    return f"{seen.method} {seen.path}{' (by id)' if 'id in' in asked else ''}"


def render(rows: Sequence[Row]) -> str:
    """Lay the rows out beside the budgets, and the engine's log beneath."""
    heads = [f"{row.finished} + {row.running}" for row in rows]
    lines = [f"{'finished + running Backups':<42}" + "".join(f"{head:>14}" for head in heads)]
    lines[0] += f"{'budget':>10}"
    for name, budget in BUDGETS.items():
        cells = "".join(f"{getattr(row, name):>14}" for row in rows)
        lines.append(f"{name:<42}{cells}{budget:>10}")
    lines += ["", f"the engine's log of {REST_S:.0f} s at rest"]
    for what in sorted({what for row in rows for what in row.engine_log}):
        short = what.replace("/api/backup_and_restore", "").replace("/api", "")
        lines.append(
            f"  {short:<40}" + "".join(f"{row.engine_log.get(what, 0):>14}" for row in rows)
        )
    return "\n".join(lines)


BUDGETS = {
    "start_s": f"<= {LONGEST_START_S:g}",
    "settled_s": "",
    "rss_mb": f"<= {LARGEST_RSS_MB}",
    "peak_rss_mb": "",
    "cpu_percent": f"<= {LARGEST_CPU_PERCENT:g}",
    "requests_per_minute": "equal",
    "writes_at_rest": "0",
    "p50_ms": f"<= {P50_MS:g}",
    "p99_ms": f"<= {P99_MS:g}",
}


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
    parser.add_argument("--finished", type=int, default=10_000, help="0: neither these")
    parser.add_argument("--running", type=int, default=100)
    parser.add_argument("--cycles", type=int, default=CYCLES, help="0: none")
    parser.add_argument("--pending", type=int, default=PENDING, help="0: no outage")
    parser.add_argument("--outage", type=float, default=OUTAGE_S, metavar="S", help="how long")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="operating-") as place_,
        running_sandbox(Path(place_) / "sandbox", crds=(ROOT / "crds",)) as sandbox,
    ):
        folder, root = Path(place_), sandbox.root
        sizes = (
            (max(1, arguments.finished // 100), max(1, arguments.running // 100)),
            (arguments.finished, arguments.running),
        )
        rows = []
        if arguments.finished:
            rows = [asyncio.run(measure(root, *size, folder)) for size in sizes]
            print(render(rows), flush=True)
        is_good = not rows or is_within_budget(*rows)
        result: dict[str, object] = {"rows": [asdict(row) for row in rows]}
        if arguments.cycles:
            cycles = asyncio.run(measure_cycles(sandbox.kubeconfig, arguments.cycles, folder))
            print(f"\n{cycles}", flush=True)
            is_good = is_good and cycles.is_flat
            result["cycles"] = asdict(cycles)
        if arguments.pending:
            outage = asyncio.run(
                measure_outage(sandbox.kubeconfig, arguments.pending, arguments.outage, folder)
            )
            print(f"\n{outage}", flush=True)
            is_good = is_good and outage.is_lived_through
            result["outage"] = asdict(outage)
        result["is_within_budget"] = is_good
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
