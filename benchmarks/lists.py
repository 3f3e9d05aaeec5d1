"""A list of many records as the engine reads it, and as the SQL that a person would write.

The engine's state, from the text of the query to the page and the length of the list, stands beside
the statements that it needs, run on the bare driver: the page with the members of a backup, and the
count that ``Content-Range`` shows. Before each of them another connection commits something, so
that nothing which was counted or read before is still known. The same list is asked for over HTTP
in turn with them, and so is a bare FastAPI route, to show how much of a quick list is the way to a
server and back.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiosqlite
import asyncpg
from sqlalchemy import make_url

from backup_api.backups import RECORD_MEMBERS, SORTABLE
from backup_api.errors import ListBackupsErrors
from backup_engine.records.database import Database
from backup_engine.routes.backups import LISTED
from backup_engine.routes.parameters import convert_filter, convert_range, convert_sort
from localengine import BACKUPS as PATH
from localengine import TOKEN
from server_process import server

WARM_UP: Final = 8  # rounds that do not count: PostgreSQL settles on a plan after five
COLUMNS: Final = ", ".join(
    "initiated_by" if member == "intiated_by" else member for member in RECORD_MEMBERS
)
LEAST_S: Final = 2.0  # that each list is measured for
PAGE: Final = 50
LARGEST_RATIO: Final = 3.0
"""Of the p95 of a list of the state to that of its bare SQL."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the second table; 95th percentiles in milliseconds."""

    database: str
    what: str
    state_p95_ms: float
    sql_p95_ms: float
    request_p95_ms: float
    route_p95_ms: float

    @property
    def ratio(self) -> float:
        """The state's p95 as a multiple of the bare SQL's."""
        return self.state_p95_ms / self.sql_p95_ms

    @property
    def request_ratio(self) -> float:
        """The whole request's p95 as a multiple of the bare SQL's."""
        return self.request_p95_ms / self.sql_p95_ms

    @property
    def is_within_budget(self) -> bool:
        """Whether the state takes little more than its SQL."""
        return self.ratio <= LARGEST_RATIO


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
    """Measure each list in the state, as SQL through the driver, and as a request."""
    database = Database.open(database_url)
    try:
        async with (
            server("engine", database_url) as engine,
            server("bare") as bare,
            bare_driver(database_url) as fetch,
            bare_driver(database_url) as commit,
        ):
            bench = Bench(name, database, engine, bare, fetch, commit)
            return [await compare_list(bench, what, rounds) for what in LISTS]
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Bench:
    """All that lists are measured on, by the ``name`` of the database."""

    name: str
    database: Database
    engine_url: str
    bare_url: str
    fetch: Fetch
    commit: Fetch


async def read_list(database: Database, query: Mapping[str, str], items: str) -> None:
    """Read a list as a request does, without the way to a server and back."""
    condition = convert_filter(query.get("filter"), LISTED)
    order = convert_sort(query.get("sort"), LISTED, SORTABLE, ListBackupsErrors.WRONG_SORT)
    page = convert_range(items)
    await database.backup_lists.list_page(condition, order, page, LISTED.shapes)


@contextlib.asynccontextmanager
async def open_asking(
    url: str, path_and_query: str, items: str
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Connect to a server; what is yielded asks it for the same each time."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = (f"GET {path_and_query} HTTP/1.1", f"Host: {host}", f"SEC: {TOKEN}", f"Range: {items}")
    sent = "\r\n".join((*lines, "", "")).encode()
    try:
        yield lambda: ask_raw(reader, writer, sent)
    finally:
        writer.close()
        await writer.wait_closed()


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


async def compare_list(bench: Bench, what: str, rounds: int) -> Listed:
    """Measure one list all ways, in turns, for the machine's mood changes."""
    query, where, order = LISTS[what]
    asked = dict(query)
    items = asked.pop("Range", f"items=0-{PAGE - 1}")
    first = items.partition("=")[2].partition("-")[0]
    tail = f"ORDER BY {order} LIMIT {PAGE} OFFSET {first}"
    page = f"SELECT {COLUMNS} FROM backups WHERE {where} {tail}"  # noqa: S608 - our own words
    count = f"SELECT count(*) FROM backups WHERE {where}"  # noqa: S608

    async def ask_database() -> None:
        await bench.fetch(page)
        await bench.fetch(count)

    async with (
        open_asking(bench.engine_url, f"{PATH}?{urlencode(asked)}", items) as ask_engine,
        open_asking(bench.bare_url, "/one/1", items) as ask_bare,
    ):
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "state": lambda: read_list(bench.database, asked, items),
            "SQL": ask_database,
            "request": ask_engine,
            "route": ask_bare,
        }
        took: dict[str, list[float]] = {way: [] for way in ways}

        async def take_turns() -> None:
            for way, ask in ways.items():
                await bench.commit(CHANGE)
                took[way].append(await time_once(ask))

        for _ in range(WARM_UP):
            await take_turns()
        for durations in took.values():
            durations.clear()
        end = time.perf_counter() + LEAST_S  # of a quick list, forty are few for a percentile
        while len(took["SQL"]) < rounds or time.perf_counter() < end:
            await take_turns()
    return Listed(bench.name, what, *(p95(took[way]) for way in ways))


def p95(took: list[float]) -> float:
    """Return the 95th percentile."""
    return round(sorted(took)[int(len(took) * 0.95)], 2)
