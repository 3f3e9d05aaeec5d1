"""A filter means the same in SQL, in Python and on the fake appliance, whatever the records are."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.filters import parse_filter as parse_filter_of_the_fake
from appliance.shapes import BACKUP, members_at
from backup_api.backups import AppDeploymentLocation, BackupRecord, BackupType, RecordStatus
from backup_api.paging import ItemRange
from backup_engine.query.binding import bind_filter
from backup_engine.query.filter import parse_filter
from backup_engine.query.matching import fulfils
from backup_engine.query.patterns import matches_pattern
from backup_engine.query.shapes import build_members
from backup_engine.query.sort import parse_sort
from backup_engine.records.backup_lists import BackupLists
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.selects import Script, T
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.records.tables import BACKUPS
from backup_engine.records.totals import Totals
from fixtures.databases import SQLITE
from fixtures.postgresql import PostgresServer
from grammar.filters import NUMBERS, TEXTS, filters

MEMBERS = build_members(BackupRecord)

STATUSES = st.sampled_from([status.value for status in RecordStatus])

RECORDS = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "description": st.none() | TEXTS,
        "time_completed": st.none() | NUMBERS,
        "size_on_disk": NUMBERS,
        "status": STATUSES,
        "is_valid": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def database(
    request: pytest.FixtureRequest,
    loop: asyncio.Runner,
    database_kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Database]:
    """One database for all examples; each undoes what it wrote."""
    if database_kind == SQLITE:
        url = build_sqlite_url(tmp_path_factory.mktemp("filters") / "engine.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url(server.make_database())
    database = Database.open(url)
    loop.run(migrate(database))
    yield database
    loop.run(database.close())


class SameTransaction:
    """Runs what was compiled for the driver in a transaction that is undone."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def read(self, script: Script[T]) -> T:
        asking = script(Totals())
        sql, values = next(asking)
        while True:
            found = await self._connection.exec_driver_sql(sql, tuple(values))
            try:
                sql, values = asking.send([tuple(row) for row in found])
            except StopIteration as end:
                told: T = end.value
                return told

    async def close(self) -> None:
        """Leave the connection to the test."""


def complete(number: int, members: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": number,
        "configuration_id": 1,
        "host_id": number,
        "type": BackupType.CONFIG.value,
        "version": "1",
        "build_version": "1",
        "time_initiated": 0,
        "initiated_by": "me",
        "content_file_path": None,
        "is_version_compatible": True,
        "app_deployment_location": AppDeploymentLocation.CONSOLE.value,
        "is_on_demand": False,
        "archive_name": "a",
        **members,
    }


async def selected(
    database: Database, rows: list[dict[str, Any]], text: str, sort: str = ""
) -> list[int]:
    """The ids that SQL finds; the rows are gone again afterwards."""
    condition = bind_filter(parse_filter(text), MEMBERS)
    order = parse_sort(sort, MEMBERS, MEMBERS.shapes)
    async with database.writing() as connection, connection.begin_nested() as undone:
        await connection.execute(insert(BACKUPS), rows)
        lists = BackupLists(SameTransaction(connection), connection.dialect)
        whole = await lists.list_page(condition, order, None, ["id"])
        ids = [int(row["id"]) for row in whole.records]
        assert whole.total == len(ids)
        for items in (ItemRange(1, 2), ItemRange(9, 9)):
            page = await lists.list_page(condition, order, items, ["id"])
            assert [row["id"] for row in page.records] == ids[items.first : items.last + 1]
            assert page.total == len(ids)
        await undone.rollback()
    return ids


@given(st.lists(RECORDS, min_size=1, max_size=6), filters(MEMBERS))
@settings(max_examples=250, deadline=None)
def test_sql_python_and_the_fake_appliance_agree_on_every_filter(
    database: Database, loop: asyncio.Runner, records: list[dict[str, Any]], text: str
) -> None:
    rows = [complete(number, members) for number, members in enumerate(records, start=1)]
    condition = bind_filter(parse_filter(text), MEMBERS)
    shown = [{**row, "intiated_by": row["initiated_by"]} for row in rows]
    fits = parse_filter_of_the_fake(text, members_at(BACKUP, 26))

    expected = [row["id"] for row in shown if fulfils(row, condition)]
    assert [row["id"] for row in shown if fits(row)] == expected, "the fake appliance"
    assert loop.run(selected(database, rows, text)) == expected, "SQL"


@given(
    st.lists(RECORDS, min_size=1, max_size=6),
    st.lists(
        st.tuples(
            st.sampled_from(["", "+", "-"]),
            st.sampled_from(["name", "description", "time_completed", "size_on_disk"]),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda key: key[1],
    ),
)
@settings(max_examples=100, deadline=None)
def test_sql_sorts_by_code_point_with_null_as_the_greatest_and_ties_by_id(
    database: Database,
    loop: asyncio.Runner,
    records: list[dict[str, Any]],
    keys: list[tuple[str, str]],
) -> None:
    rows = [complete(number, members) for number, members in enumerate(records, start=1)]
    expected = sorted(rows, key=lambda row: row["id"])
    for sign, name in reversed(keys):
        expected.sort(
            key=lambda row, name=name: (row[name] is None, row[name] or type(row[name])()),  # type: ignore[misc]
            reverse=sign == "-",
        )

    sort = ",".join(sign + name for sign, name in keys)
    assert loop.run(selected(database, rows, "id > 0", sort)) == [row["id"] for row in expected]


@given(
    st.text("ab", max_size=6), st.lists(st.sampled_from(["a", "b", "%", "_", "\\%"]), max_size=6)
)
@settings(max_examples=300)
def test_like_means_what_its_expansion_means(text: str, steps: list[str]) -> None:
    def fits(rest: str, steps: list[str]) -> bool:
        if not steps:
            return not rest
        match steps[0]:
            case "%":
                return any(fits(rest[cut:], steps[1:]) for cut in range(len(rest) + 1))
            case "_":
                return bool(rest) and fits(rest[1:], steps[1:])
            case literal:
                return rest[:1] == literal[-1] and fits(rest[1:], steps[1:])

    assert matches_pattern(text, "".join(steps)) is fits(text, steps)


def test_a_malicious_pattern_is_matched_in_time() -> None:
    assert not matches_pattern("a" * 255, "%a" * 100 + "%b")
