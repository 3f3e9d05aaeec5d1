"""Compare a CONFIG capture with a bare paged LIST of the same objects (architecture §5).

Both run in turns against the same real API server, each in a process of its own so that its peak
memory is its own. Usage: python benchmarks/capture.py --objects 20000 [--json FILE]
"""

import argparse
import asyncio
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.introduction import discover
from backup_engine.capture.listing import PAGE_OBJECTS
from backup_engine.capture.run import CaptureRequest, capture
from backup_engine.cluster import ClusterConnection
from backup_sandbox import running_sandbox

NAMESPACE = "capture-benchmark"
OBJECT_BYTES = 1024
CREATORS = 24
LEAST_OBJECTS_PER_S = 20_000
LARGEST_RATIO = 1.6
LARGEST_RSS_MB = 150


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run; seconds are those of the work, without starting Python."""

    objects: int
    seconds: float
    peak_rss_mb: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    what: str
    objects: int
    min_s: float
    median_s: float
    objects_per_s: int
    cpu_s: float
    peak_rss_mb: float


async def create_objects(kubeconfig: Path, wanted: int) -> float:
    """Create ConfigMaps of about 1 kB until there are ``wanted``; return the seconds it took."""
    begun = time.perf_counter()
    numbers = iter(range(wanted))
    filling = "".join(f"line-{number:04d}=value of line {number}\n" for number in range(40))[:700]

    async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:

        async def post(path: str, body: dict[str, Any]) -> None:
            async with cluster.request("POST", path, json=body) as response:
                if response.status not in {201, 409}:
                    raise RuntimeError(f"{path}: {response.status} {await response.text()}")

        async def creator() -> None:
            for number in numbers:
                body = {
                    "metadata": {"name": f"object-{number:06d}", "labels": {"n": str(number)}},
                    "data": {"content": f"{number * 7919 % 999_983:06d} {filling}"},
                }
                await post(f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)

        await post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await asyncio.gather(*(creator() for _ in range(CREATORS)))
    return time.perf_counter() - begun


class _Page(msgspec.Struct):
    class Metadata(msgspec.Struct):
        continue_: str = msgspec.field(default="", name="continue")

    metadata: Metadata


async def list_bare(kubeconfig: Path) -> tuple[int, float]:
    """Page through every kind a capture would list, keeping nothing; return bytes and seconds."""
    received = 0
    async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:
        begun = time.perf_counter()
        discovered = await discover(cluster, RetryPolicy())
        for kind in discovered.kinds:
            params = {"limit": str(PAGE_OBJECTS)}
            while True:
                async with cluster.request("GET", kind.path(), params=params) as response:
                    body = await response.read()
                received += len(body)
                token = find_token(body)
                if not token:
                    break
                params["continue"] = token
        return received, time.perf_counter() - begun


def find_token(body: bytes) -> str:
    """Find the continue token without looking at the objects, where the server puts it first."""
    mark = b'"continue":"'
    begin = body.find(mark, 0, 400)
    if begin >= 0:
        begin += len(mark)
        return body[begin : body.index(b'"', begin)].decode()
    if body.rfind(mark, len(body) - 800) < 0:
        return ""
    return msgspec.json.decode(body, type=_Page).metadata.continue_


async def capture_once(kubeconfig: Path) -> tuple[int, float]:
    """Capture into a directory that is removed again; return objects and seconds."""
    with tempfile.TemporaryDirectory(prefix="capture-benchmark-") as place:
        store = ArchiveStore.open(Path(place).as_uri())
        request = CaptureRequest(
            backup_id=1,
            name="benchmark",
            host_id=1,
            hostname="console",
            time_initiated_ms=time.time_ns() // 1_000_000,
            initiated_by=None,
            product_version="0",
        )
        async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:
            begun = time.perf_counter()
            outcome = await capture(request, cluster, store)
            return outcome.objects, time.perf_counter() - begun


async def measure_here(what: str, kubeconfig: Path) -> Run:
    """Run one measurement in this process."""
    work = capture_once if what == "capture" else list_bare
    objects, seconds = await work(kubeconfig)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Run(objects, seconds, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)


def measure(what: str, kubeconfig: Path) -> Run:
    """Run one measurement in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=600)
    return msgspec.json.decode(done.stdout, type=Run)


def build_row(what: str, objects: int, runs: Sequence[Run]) -> Row:
    """Sum up the runs of one kind; the rate is that of the median."""
    seconds = [run.seconds for run in runs]
    median = statistics.median(seconds)
    return Row(
        what=what,
        objects=objects,
        min_s=round(min(seconds), 3),
        median_s=round(median, 3),
        objects_per_s=round(objects / median),
        cpu_s=round(statistics.median(run.cpu_s for run in runs), 2),
        peak_rss_mb=round(max(run.peak_rss_mb for run in runs), 1),
    )


def build_table(rows: Sequence[Row], ratio: float, fastest_ratio: float) -> str:
    """Lay out the result for people."""
    head = f"{'what':<12}{'objects':>9}{'min s':>9}{'median s':>10}{'objects/s':>11}"
    lines = [head + f"{'cpu s':>8}{'peak RSS MB':>13}"]
    lines += [
        f"{row.what:<12}{row.objects:>9}{row.min_s:>9.3f}{row.median_s:>10.3f}"
        f"{row.objects_per_s:>11}{row.cpu_s:>8.2f}{row.peak_rss_mb:>13.1f}"
        for row in rows
    ]
    lines.append(f"capture / bare LIST: {ratio:.2f} (medians), {fastest_ratio:.2f} (minima)")
    return "\n".join(lines)


@contextlib.contextmanager
def api_server(given: Path | None) -> Iterator[Path]:
    """Yield a kubeconfig: the given one, or that of a sandbox for the time being."""
    if given is not None:
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="capture-sandbox-") as place,
        running_sandbox(Path(place)) as sandbox,
    ):
        yield Path(sandbox.kubeconfig)


def compare(kubeconfig: Path, wanted: int, rounds: int) -> dict[str, Any]:
    """Create the objects, let both take turns, print and return the result."""
    took = asyncio.run(create_objects(kubeconfig, wanted))
    sys.stderr.write(f"created {wanted} ConfigMaps in {took:.1f} s\n")
    runs: dict[str, list[Run]] = {"bare LIST": [], "capture": []}
    for what in runs:
        measure(what, kubeconfig)  # the first one warms the server's caches, and is not counted
    for _ in range(rounds):
        for what, done in runs.items():
            done.append(measure(what, kubeconfig))
    objects = runs["capture"][0].objects
    rows = [build_row(what, objects, done) for what, done in runs.items()]
    bare, captured = rows
    ratio = captured.median_s / bare.median_s
    print(build_table(rows, ratio, captured.min_s / bare.min_s))
    return {
        "rows": [asdict(row) for row in rows],
        "ratio": round(ratio, 3),
        "is_within_budget": captured.objects_per_s >= LEAST_OBJECTS_PER_S
        and ratio <= LARGEST_RATIO
        and captured.peak_rss_mb <= LARGEST_RSS_MB,
    }


def main() -> int:
    """Run the benchmark; exit code 1 if a budget of architecture §5 is missed."""
    parser = argparse.ArgumentParser(description="CONFIG capture against a bare paged LIST")
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster, not a sandbox")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--measure", choices=("bare LIST", "capture"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        run = asyncio.run(measure_here(arguments.measure, arguments.kubeconfig))
        print(json.dumps(asdict(run)))
        return 0
    with api_server(arguments.kubeconfig) as kubeconfig:
        result = compare(kubeconfig, arguments.objects, arguments.rounds)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["is_within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
