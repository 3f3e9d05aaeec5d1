"""A total that was counted before is told again only while it is true (``records/totals.py``)."""

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import AppDeploymentLocation, BackupRecord, BackupType, RecordStatus
from backup_api.paging import ItemRange
from backup_engine.query.binding import bind_filter
from backup_engine.query.filter import parse_filter
from backup_engine.query.shapes import build_members
from backup_engine.records import totals
from backup_engine.records.backup_lists import BackupLists
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.selects import Reader, Row, Script, Statement, T
from backup_engine.records.tables import BACKUPS
from backup_engine.records.totals import Total, Totals

MEMBERS = build_members(BackupRecord)
PAGE = ItemRange(0, 1)


class Counting:
    """Passes everything on, and tells how often the database had to count."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.counted = 0
        self.asked = 0

    async def read(self, script: Script[T]) -> T:
        def watched(totals: Totals) -> Generator[Statement, Sequence[Row], T]:
            asking = script(totals)
            statement = next(asking)
            while True:
                self.asked += 1
                self.counted += "count(" in statement[0]
                rows = yield statement
                try:
                    statement = asking.send(rows)
                except StopIteration as end:
                    told: T = end.value
                    return told

        return await self._reader.read(watched)

    async def close(self) -> None:
        await self._reader.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.open(database_url)
    await migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database, as another engine or process would open it."""
    opened = Database.open(database_url)
    yield opened
    await opened.close()


async def add(connection: AsyncConnection, count: int = 1, status: str = "SUCCESS") -> None:
    row = {
        "configuration_id": 1,
        "host_id": 1,
        "name": "nightly",
        "type": BackupType.CONFIG.value,
        "version": "1",
        "build_version": "1",
        "time_initiated": 0,
        "initiated_by": "me",
        "status": status,
        "size_on_disk": 1,
        "is_valid": True,
        "is_version_compatible": True,
        "app_deployment_location": AppDeploymentLocation.CONSOLE.value,
        "is_on_demand": False,
        "archive_name": "a",
    }
    await connection.execute(insert(BACKUPS), [row] * count)


async def total_of(database: Database, text: str = "") -> int | None:
    condition = bind_filter(parse_filter(text), MEMBERS) if text else None
    page = await database.backup_lists.list_page(condition, (), PAGE, ["id"])
    return page.total


async def test_a_list_is_counted_again_only_after_a_change(
    database: Database, other: Database
) -> None:
    counting = Counting(database._reader)
    database.backup_lists = BackupLists(counting, database._engine.dialect)
    async with database.writing() as connection:
        await add(connection, 3)

    assert [await total_of(database) for _ in range(5)] == [3] * 5
    assert counting.counted == 1
    assert [await total_of(database, "size_on_disk = 1") for _ in range(2)] == [3] * 2
    assert counting.counted == 2
    assert [await total_of(database, "size_on_disk < 9") for _ in range(2)] == [3] * 2
    assert counting.counted == 3

    async with other.writing() as connection:
        await add(connection)
    assert [await total_of(database) for _ in range(2)] == [4] * 2
    assert counting.counted == 4


async def test_whoever_changes_it_however_the_total_is_the_new_one(
    database: Database, other: Database
) -> None:
    good = 'status = "SUCCESS"'
    async with database.writing() as connection:
        await add(connection, 5)
    for writer in (database, other):
        before = await total_of(database)
        assert before is not None
        assert await total_of(database, good) == await total_of(other, good)
        async with writer.writing() as connection:
            await add(connection, 2)
        assert (await total_of(database), await total_of(other)) == (before + 2, before + 2)
        first = await writer.backup_lists.list_page(None, (), PAGE, ["id"])
        async with writer.writing() as connection:
            await connection.execute(delete(BACKUPS).where(BACKUPS.c.id == first.records[0]["id"]))
        assert (await total_of(database), await total_of(other)) == (before + 1, before + 1)
        good_before = await total_of(database, good)
        assert good_before is not None
        async with writer.writing() as connection:
            changed = update(BACKUPS).where(BACKUPS.c.id == first.records[1]["id"])
            await connection.execute(changed.values(status=RecordStatus.FAILED.value))
        assert await total_of(database, good) == good_before - 1
        assert await total_of(database) == before + 1


async def test_what_is_not_committed_counts_neither_now_nor_later(
    database: Database, other: Database
) -> None:
    async with database.writing() as connection:
        await add(connection, 3)
    async with other.writing() as connection:
        undone = await connection.begin_nested()
        await add(connection)
        assert await total_of(database) == 3
        await undone.rollback()
    assert await total_of(database) == 3
    async with other.writing() as connection:
        await add(connection)
        assert await total_of(database) == 3  # counted while the change was on its way
    assert await total_of(database) == 4


async def test_no_total_is_older_than_what_was_committed_before_it_was_asked_for(
    database: Database, other: Database
) -> None:
    """Many ask while another engine adds one record after the other."""
    committed = 2
    async with other.writing() as connection:
        await add(connection, committed)
    is_over = False

    async def ask() -> int:
        asked = 0
        while not is_over or not asked:
            at_least = committed
            found = await total_of(database)
            assert found is not None
            assert at_least <= found <= committed + 1  # committed, and perhaps not yet told
            asked += 1
        return asked

    asking = [asyncio.create_task(ask()) for _ in range(6)]
    for _ in range(60):
        async with other.writing() as connection:
            await add(connection)
        committed += 1
        await asyncio.sleep(0)
    is_over = True
    assert all(await asyncio.gather(*asking))
    assert await total_of(database) == committed


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "TOTALS", 2)
    known = Totals()
    for number in range(3):
        known.note(number, Total("m", number))
    assert known.find(0).mark == totals.NO_MARK
    assert known.find(2) == Total("m", 2)
