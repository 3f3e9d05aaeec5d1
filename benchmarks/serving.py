"""What a request to the engine costs over a bare FastAPI route, and a list over its bare SQL.

    PYTHONPATH=tests python benchmarks/serving.py [--records N] [--seconds S]

A server process per row, in turns, asked by the same client over the same number of connections:
first a bare FastAPI route that answers a fixed body, then the engine on SQLite and on PostgreSQL,
all on the same HTTP parser. In the benchmark's database the index that allows one running backup
per host is dropped, so that each POST goes all the way to its commit.

Then lists of ``--records`` records: whole requests beside the statements that they need, as a
person would write them and the bare driver runs them: the page with the members of a backup, and
the count that ``Content-Range`` shows. That is the least that any server does for such an answer.
Before each of these requests something is committed, so that the engine has to count, too; of the
rates, only "list 50 anew" counts for each request.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import aiosqlite
import asyncpg
import uvicorn
from fastapi import FastAPI
from sqlalchemy import insert, make_url, text
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backup_api.backups import RECORD_MEMBERS
from backup_engine.http_protocol import EngineProtocol
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.records.tables import BACKUPS
from fixtures.postgresql import running_postgres
from listserver import ListServer
from localengine import BACKUPS as PATH
from localengine import TOKEN, local_engine

CONNECTIONS: Final = 8
WARM_UP: Final = 8  # rounds that do not count: PostgreSQL settles on a plan after five
COLUMNS: Final = ", ".join(
    "initiated_by" if member == "intiated_by" else member for member in RECORD_MEMBERS
)
PAGE: Final = 50
LARGEST_RATIO: Final = 3.0
"""Of a list's p95 to that of its bare SQL (issue: state)."""

ONE: Final[dict[str, object]] = {
    "id": 1,
    "name": "r1",
    "type": "CONFIG",
    "status": "SUCCESS",
    "description": "weekly, before the update",
    "host_id": 1,
    "configuration_id": 1,
    "time_initiated": 1_700_000_000_000,
    "time_completed": 1_700_000_060_000,
    "size_on_disk": 1_000_000,
    "is_valid": True,
}


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the first table."""

    server: str
    request: str
    per_s: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the second table; milliseconds, the median and the 95th percentile."""

    database: str
    what: str
    request_p95_ms: float
    sql_p95_ms: float

    @property
    def ratio(self) -> float:
        """The request's p95 as a multiple of the bare SQL's."""
        return self.request_p95_ms / self.sql_p95_ms


LISTS: Final[dict[str, tuple[dict[str, str], str, str]]] = {
    "page of 50": ({}, "true", "id"),
    "page of 50 at 50 000": ({"Range": "items=50000-50049"}, "true", "id"),
    "status = and size >": (
        {"filter": 'status = "SUCCESS" and size_on_disk > 90000'},
        "status = 'SUCCESS' AND size_on_disk > 90000",
        "id",
    ),
    "like": ({"filter": 'name like "r99%"'}, "name LIKE 'r99%'", "id"),
    "is null": ({"filter": "time_completed is null"}, "time_completed IS NULL", "id"),
    "in": ({"filter": "id in (5, 50, 500, 5000)"}, "id IN (5, 50, 500, 5000)", "id"),
    "sort by time": ({"sort": "-time_initiated"}, "true", "time_initiated DESC, id"),
    "sort by name": ({"sort": "+name"}, "true", "name, id"),
}
"""Query, and the WHERE and ORDER BY that a person would write for it."""

CHANGE: Final = (
    "INSERT INTO ended_sessions (id, until) VALUES ('the bench', 0)"
    " ON CONFLICT (id) DO UPDATE SET until = ended_sessions.until + 1"
)
"""Commits something, which ends what was known of the lengths of lists."""


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


def build_bare_app() -> FastAPI:
    """Build what the engine is compared with: FastAPI, a path, a body, and nothing else."""
    app = FastAPI(openapi_url=None)
    page = [ONE] * 50

    @app.get("/one/{record_id}")
    async def one(record_id: int) -> dict[str, object]:
        return {**ONE, "id": record_id}

    @app.get("/page")
    async def listed() -> list[dict[str, object]]:
        return page

    @app.post("/create", status_code=201)
    async def create(body: dict[str, Any]) -> dict[str, object]:
        return {**ONE, **body}

    return app


async def serve_app(app: Any, protocol: Any = HttpToolsProtocol) -> None:  # noqa: ANN401
    """Serve on a free port of loopback, which is printed, until killed."""
    # with its protocol named: asyncio switches Nagle's algorithm off for no other, and each answer
    # would wait 40 ms for the client's acknowledgement
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)  # before its port is told
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, http=protocol, lifespan="off", ws="none", log_config=None, access_log=False
        )
        await uvicorn.Server(config).serve([listener])


async def serve_engine(database_url: str) -> None:
    """Serve the engine, at rest, on a database that exists already."""
    with tempfile.TemporaryDirectory(prefix="benchmark-engine-") as place:
        source = ListServer()
        async with source.running():
            kubeconfig = source.kubeconfig(Path(place))
            async with local_engine(Path(place), kubeconfig, database_url=database_url) as engine:
                await serve_app(engine.parts.app, EngineProtocol)


@contextlib.asynccontextmanager
async def server(*arguments: str) -> AsyncIterator[str]:
    """Run one server of this file as a process; yields its URL. Its temporary files go with it."""
    with tempfile.TemporaryDirectory(prefix="benchmark-server-") as place:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": place},  # killed, it removes nothing itself
        )
        try:
            assert process.stdout is not None
            port = (await process.stdout.readline()).decode().strip()
            if not port:
                raise RuntimeError("the server did not start; it said so above")
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


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
    async with server("--serve-bare") as url, open_session() as session:
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
    async with server("--serve-engine", database_url) as url, open_session() as session:
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


Fetch = Callable[[str], Awaitable[Sequence[Any]]]
"""Runs one SELECT on a driver and takes all of its rows."""


@contextlib.asynccontextmanager
async def bare_driver(database_url: str) -> AsyncIterator[Fetch]:
    """Open the database without SQLAlchemy and without the engine."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        async with aiosqlite.connect(url.database or "", isolation_level=None) as sqlite:
            await sqlite.execute("PRAGMA case_sensitive_like = ON")

            async def fetch_all(query: str) -> Sequence[Any]:
                return list(await sqlite.execute_fetchall(query))

            yield fetch_all
        return
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    postgres = await asyncpg.connect(plain)
    try:

        async def fetch(query: str) -> Sequence[Any]:
            rows: Sequence[Any] = await postgres.fetch(query)
            return rows

        yield fetch
    finally:
        await postgres.close()


async def time_once(work: Callable[[], Awaitable[object]]) -> float:
    """Tell how long ``work`` takes, in ms."""
    began = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - began)


async def compare_lists(name: str, database_url: str, rounds: int) -> list[Listed]:
    """Measure each list as a request, and as SQL through the driver."""
    async with server("--serve-engine", database_url) as url, bare_driver(database_url) as fetch:
        return [await compare_list(name, what, url, rounds, fetch) for what in LISTS]


async def ask_raw(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> None:
    """Send a request and read the answer: a client that costs next to nothing itself."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length is None:
        raise RuntimeError(head.decode())
    body = await reader.readexactly(int(length[1]))
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"{head.decode()}{body.decode()[:300]}")


async def compare_list(name: str, what: str, url: str, rounds: int, fetch: Fetch) -> Listed:
    """Measure one list both ways, in turns, for the machine's mood changes."""
    query, where, order = LISTS[what]
    asked = dict(query)
    items = asked.pop("Range", "items=0-49")
    first = items.partition("=")[2].partition("-")[0]
    tail = f"ORDER BY {order} LIMIT {PAGE} OFFSET {first}"
    page = f"SELECT {COLUMNS} FROM backups WHERE {where} {tail}"  # noqa: S608 - our own words
    count = f"SELECT count(*) FROM backups WHERE {where}"  # noqa: S608

    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    target = f"{PATH}?{urlencode(asked)}"
    lines = (f"GET {target} HTTP/1.1", f"Host: {host}", f"SEC: {TOKEN}", f"Range: {items}", "", "")
    sent = "\r\n".join(lines).encode()

    async def request() -> None:
        await ask_raw(reader, writer, sent)

    async def bare() -> None:
        await fetch(page)
        await fetch(count)

    took: dict[str, list[float]] = {"request": [], "bare": []}
    for turn in range(-WARM_UP, rounds):
        for kind, work in (("request", request), ("bare", bare)):
            await fetch(CHANGE)
            ms = await time_once(work)
            if turn >= 0:
                took[kind].append(ms)
    writer.close()
    await writer.wait_closed()
    return Listed(name, what, p95(took["request"]), p95(took["bare"]))


def p95(took: list[float]) -> float:
    """Return the 95th percentile."""
    return round(sorted(took)[int(len(took) * 0.95)], 2)


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
    print(f"\n{'database':<12}{f'list of {records}':<24}{'p95 ms':>9}{'bare SQL':>10}{'ratio':>7}")
    for row in lists:
        print(
            f"{row.database:<12}{row.what:<24}{row.request_p95_ms:>9.2f}"
            f"{row.sql_p95_ms:>10.2f}{row.ratio:>7.2f}"
        )
    return {
        "rates": [asdict(rate) for rate in rates],
        "lists": [{**asdict(row), "ratio": round(row.ratio, 3)} for row in lists],
        "is_within_budget": all(row.ratio <= LARGEST_RATIO for row in lists),
    }


def main() -> int:
    """Run the benchmark; exit code 1 if a list costs more than its budget."""
    parser = argparse.ArgumentParser(description="requests against bare FastAPI and bare SQL")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve-engine", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_bare:
        asyncio.run(serve_app(build_bare_app()))
        return 0
    if arguments.serve_engine:
        asyncio.run(serve_engine(arguments.serve_engine))
        return 0
    result = asyncio.run(run(arguments.records, arguments.seconds, arguments.rounds))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["is_within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
