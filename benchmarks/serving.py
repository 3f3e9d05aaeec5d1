"""What a request to the engine costs over a bare FastAPI route, and a list over its bare SQL.

    PYTHONPATH=tests python benchmarks/serving.py [--records N] [--seconds S]

A server process per row, in turns, asked by the same client over the same number of connections:
first a bare FastAPI route that answers a fixed body, then the engine on SQLite and on PostgreSQL,
all on the same HTTP parser. In the benchmark's database the index that allows one running backup
per host is dropped, so that each POST goes all the way to its commit. Of the rates, only "list 50
anew" counts for each request. Then lists of ``--records`` records (``lists.py``).
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from sqlalchemy import insert, text

from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.records.tables import BACKUPS
from fixtures.postgresql import running_postgres
from lists import Listed, compare_lists
from localengine import BACKUPS as PATH
from localengine import TOKEN
from server_process import server

CONNECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the first table."""

    server: str
    request: str
    per_s: int
    p50_ms: float
    p99_ms: float


async def fill(database: Database, count: int) -> None:
    """Write ``count`` finished records."""
    common = {
        "configuration_id": 1,
        "host_id": 1,
        "type": "CONFIG",
        "version": "1",
        "build_version": "1",
        "initiated_by": "the bench",
        "is_version_compatible": True,
        "is_valid": True,
        "app_deployment_location": "CONSOLE",
        "is_on_demand": True,
        "description": "weekly, before the update",
    }
    for start in range(1, count + 1, 5000):
        rows = [
            {
                **common,
                "name": f"r{number}",
                "archive_name": f"r{number}.tar",
                "time_initiated": 1_700_000_000_000 + (number * 7919) % count,
                "time_completed": None if number % 100 == 0 else 1_700_000_060_000,
                "status": "FAILED" if number % 10 == 0 else "SUCCESS",
                "size_on_disk": number,
            }
            for number in range(start, min(start + 5000, count + 1))
        ]
        async with database.writing() as connection:
            await connection.execute(insert(BACKUPS), rows)


async def measure(seconds: float, send: Callable[[int], Any], expected: int) -> list[float]:
    """Ask over all connections for ``seconds``; returns how long each request took, sorted."""
    took: list[float] = []
    numbers = iter(range(1, sys.maxsize))
    end = time.perf_counter() + seconds

    async def ask() -> None:
        while time.perf_counter() < end:
            began = time.perf_counter()
            async with send(next(numbers)) as answer:
                body = await answer.read()
                if answer.status != expected:
                    raise RuntimeError(f"{answer.status}: {body[:300]!r}")
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return sorted(took)


def build_rate(name: str, request: str, took: list[float], seconds: float) -> Rate:
    """Sum up sorted durations."""
    return Rate(
        name,
        request,
        round(len(took) / seconds),
        round(1000 * statistics.median(took), 2),
        round(1000 * took[min(len(took) - 1, int(len(took) * 0.99))], 2),
    )


async def measure_bare(seconds: float) -> list[Rate]:
    """Ask the bare routes."""
    async with server("bare") as url, open_session() as session:
        sends: dict[str, tuple[Callable[[int], Any], int]] = {
            "GET one": (lambda n: session.get(f"{url}/one/{n}"), 200),
            "list 50": (lambda _: session.get(f"{url}/page"), 200),
            "list 50 anew": (lambda _: session.get(f"{url}/page"), 200),
            "POST": (lambda n: session.post(f"{url}/create", json={"name": f"p{n}"}), 201),
        }
        return [
            build_rate("bare", what, await measure(seconds, *sends[what]), seconds)
            for what in sends
        ]


async def measure_engine(name: str, database_url: str, seconds: float) -> list[Rate]:
    """Ask the engine for the same."""
    async with server("engine", database_url) as url, open_session() as session:
        place = f"{url}{PATH}"
        config = {"backup_type": "CONFIG"}
        mark = os.urandom(4).hex()
        sends: dict[str, tuple[Callable[[int], Any], int]] = {
            "GET one": (lambda n: session.get(f"{place}/{n % 50 + 1}"), 200),
            "list 50": (lambda _: session.get(place, headers={"Range": "items=0-49"}), 200),
            "list 50 anew": (
                lambda n: session.get(
                    place, headers={"Range": "items=0-49"}, params={"filter": f"id > -{n}"}
                ),
                200,
            ),
            "POST": (
                lambda n: session.post(
                    place, json={"name": f"{mark}{n}", "configuration_id": 1}, headers=config
                ),
                201,
            ),
        }
        return [
            build_rate(name, what, await measure(seconds, *sends[what]), seconds) for what in sends
        ]


def open_session() -> aiohttp.ClientSession:
    """Open a client of so many connections, which brings a token to whoever wants one."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS), headers={"SEC": TOKEN}
    )


@contextlib.contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Yield URLs of empty databases by name."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-sqlite-") as place,
        running_postgres(shared_buffers="128MB") as postgres,
    ):
        yield {
            "SQLite": build_sqlite_url(Path(place) / "engine.db"),
            "PostgreSQL": postgres.url(postgres.make_database()),
        }


async def prepare(database_url: str, records: int) -> None:
    """Make the tables and fill them."""
    database = Database.open(database_url)
    try:
        await migrate(database)
        await fill(database, records)
        async with database.writing() as connection:
            await connection.execute(text("DROP INDEX ux_backups_running_host"))
        if database.is_shared:
            async with database.asking() as connection:
                await connection.execute(text("VACUUM ANALYZE backups"))
    finally:
        await database.close()


async def run(records: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure everything, print it, and return it."""
    rates = await measure_bare(seconds)
    lists: list[Listed] = []
    with databases() as urls:
        for name, url in urls.items():
            await prepare(url, records)
            lists += await compare_lists(name, url, rounds)
            rates += await measure_engine(name, url, seconds)
    bare = {rate.request: rate for rate in rates if rate.server == "bare"}
    print(
        f"{'server':<12}{'request':<14}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'of bare':>9}"
    )
    for rate in rates:
        share = rate.per_s / bare[rate.request].per_s
        print(
            f"{rate.server:<12}{rate.request:<14}{rate.per_s:>11}{rate.p50_ms:>9.2f}"
            f"{rate.p99_ms:>9.2f}{share:>9.2f}"
        )
    print(
        f"\n{'database':<12}{f'list of {records}':<24}{'p95 ms':>9}{'bare SQL':>10}{'ratio':>7}"
        f"{'request':>10}{'ratio':>7}{'bare route':>12}"
    )
    for row in lists:
        print(
            f"{row.database:<12}{row.what:<24}{row.state_p95_ms:>9.2f}"
            f"{row.sql_p95_ms:>10.2f}{row.ratio:>7.2f}"
            f"{row.request_p95_ms:>10.2f}{row.request_ratio:>7.2f}{row.route_p95_ms:>12.2f}"
            f"{'' if row.is_within_budget else '  over budget'}"
        )
    return {
        "rates": [asdict(rate) for rate in rates],
        "lists": [{**asdict(row), "ratio": round(row.ratio, 3)} for row in lists],
        "is_within_budget": all(row.is_within_budget for row in lists),
    }


def main() -> int:
    """Run the benchmark; exit code 1 if a list costs more than its budget."""
    parser = argparse.ArgumentParser(description="requests against bare FastAPI and bare SQL")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments.records, arguments.seconds, arguments.rounds))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["is_within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
