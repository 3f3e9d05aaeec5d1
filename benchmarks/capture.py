"""Compare a CONFIG capture with a bare paged LIST of the same objects (architecture §5).

Captures run plain, and encrypted and signed. All run in turns against the same real API server,
each in a process of its own so that its peak memory is its own.

Usage: python benchmarks/capture.py --objects 20000 [--json FILE]
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from backup_engine.archive.encryption import Recipients, make_identity
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.introduction import discover
from backup_engine.capture.listing import PAGE_OBJECTS
from backup_engine.capture.run import CaptureRequest, capture
from backup_engine.cluster import ClusterConnection
from backup_sandbox import running_sandbox
from memory import peak_rss_mb

NAMESPACE = "capture-benchmark"
OBJECT_BYTES = 1024
CREATORS = 24
BARE = "bare LIST"
PLAIN = "capture"
PROTECTED = "protected"  # a capture encrypted to two recipients, and signed
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


def make_protection(place: Path) -> Protection:
    """Make new keys for encryption and signature; those for signing lie below ``place``."""
    now = datetime.now(UTC)
    keys = [make_identity(now).recipient for _ in range(2)]
    return Protection(Recipients(keys), SigningDirectory(place).ensure_signer(now))


async def capture_once(kubeconfig: Path, *, is_protected: bool) -> tuple[int, float]:
    """Capture into a directory that is removed again; return objects and seconds."""
    with tempfile.TemporaryDirectory(prefix="capture-benchmark-") as place:
        store = ArchiveStore.open((Path(place) / "archives").as_uri())
        protection = make_protection(Path(place) / "signing") if is_protected else UNPROTECTED
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
            outcome = await capture(request, cluster, store, protection=protection)
            return outcome.objects, time.perf_counter() - begun


async def measure_here(what: str, kubeconfig: Path) -> Run:
    """Run one measurement in this process."""
    if what == BARE:
        objects, seconds = await list_bare(kubeconfig)
    else:
        objects, seconds = await capture_once(kubeconfig, is_protected=what == PROTECTED)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Run(objects, seconds, peak_rss_mb(), used.ru_utime + used.ru_stime)


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


def build_table(rows: Sequence[Row]) -> str:
    """Lay out the result for people; the first row is what the others are compared with."""
    head = f"{'what':<12}{'objects':>9}{'min s':>9}{'median s':>10}{'objects/s':>11}"
    lines = [head + f"{'cpu s':>8}{'peak RSS MB':>13}"]
    lines += [
        f"{row.what:<12}{row.objects:>9}{row.min_s:>9.3f}{row.median_s:>10.3f}"
        f"{row.objects_per_s:>11}{row.cpu_s:>8.2f}{row.peak_rss_mb:>13.1f}"
        for row in rows
    ]
    bare = rows[0]
    lines += [
        f"{row.what} / {bare.what}: {row.median_s / bare.median_s:.2f} (medians),"
        f" {row.min_s / bare.min_s:.2f} (minima)"
        for row in rows[1:]
    ]
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
    """Create the objects, let all take turns, print and return the result."""
    took = asyncio.run(create_objects(kubeconfig, wanted))
    sys.stderr.write(f"created {wanted} ConfigMaps in {took:.1f} s\n")
    runs: dict[str, list[Run]] = {BARE: [], PLAIN: [], PROTECTED: []}
    for what in runs:
        measure(what, kubeconfig)  # the first one warms the server's caches, and is not counted
    for _ in range(rounds):
        for what, done in runs.items():
            done.append(measure(what, kubeconfig))
    objects = runs[PLAIN][0].objects
    rows = [build_row(what, objects, done) for what, done in runs.items()]
    bare, *captured = rows
    print(build_table(rows))
    return {
        "rows": [asdict(row) for row in rows],
        "ratios": {row.what: round(row.median_s / bare.median_s, 3) for row in captured},
        "is_within_budget": all(is_within_budget(row, bare) for row in captured),
    }


def is_within_budget(row: Row, bare: Row) -> bool:
    """Compare one kind of capture with the budgets of architecture §5."""
    return (
        row.objects_per_s >= LEAST_OBJECTS_PER_S
        and row.median_s / bare.median_s <= LARGEST_RATIO
        and row.peak_rss_mb <= LARGEST_RSS_MB
    )


def main() -> int:
    """Run the benchmark; exit code 1 if a budget of architecture §5 is missed."""
    parser = argparse.ArgumentParser(description="CONFIG capture against a bare paged LIST")
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster, not a sandbox")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--measure", choices=(BARE, PLAIN, PROTECTED), help=argparse.SUPPRESS)
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
