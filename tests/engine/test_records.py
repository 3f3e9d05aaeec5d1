from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from backup_api.backups import AppDeploymentLocation, BackupType, RecordStatus
from backup_engine.records.backups import (
    BackupRecords,
    HostBusyError,
    NameTakenError,
    NewBackup,
)
from backup_engine.records.database import Database, DatabaseError
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.records.tables import METADATA
from backup_engine.records.version import ensure_current

NEW = NewBackup(
    name="first",
    configuration_id=1,
    host_id=1,
    description=None,
    type=BackupType.CONFIG,
    version="1",
    build_version="1",
    time_initiated=5,
    initiated_by="me",
    app_deployment_location=AppDeploymentLocation.CONSOLE,
    archive_name="a.tar",
)


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    database = Database.open(empty_database_url)
    await migrate(database)
    yield database
    await database.close()


async def test_migrations_make_exactly_the_tables(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    async with database.reading() as connection:
        assert await connection.run_sync(compare) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    async with database.writing() as connection:
        await BackupRecords(connection).add(NEW)
    await migrate(database)
    async with database.reading() as connection:
        assert await BackupRecords(connection).find(1) is not None


async def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'future'")
    with pytest.raises(DatabaseError, match="cannot be brought up to date"):
        await migrate(database)


async def test_an_empty_database_is_brought_up_to_date_by_a_process_of_its_own(
    empty_database_url: str,
) -> None:
    database = Database.open(empty_database_url)
    try:
        assert not await database.is_current()
        await ensure_current(database, empty_database_url, password_file=None)
        assert await database.is_ready()
    finally:
        await database.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    path.write_text("this is not a database, whatever its name says; " * 50)
    database = Database.open(build_sqlite_url(path))
    with pytest.raises(DatabaseError, match=r"engine\.db"):
        await migrate(database)
    assert not await database.is_ready()
    await database.close()


async def test_a_name_is_unique_among_on_demand_backups_only(database: Database) -> None:
    nightly = replace(NEW, name="nightly", is_on_demand=False)
    async with database.writing() as connection:
        records = BackupRecords(connection)
        for host_id in (1, 2):
            await records.add(replace(nightly, host_id=host_id))
        await records.add(replace(NEW, name="nightly", host_id=3))
        with pytest.raises(NameTakenError):
            await records.add(replace(NEW, name="nightly", host_id=4))
        await records.add(replace(NEW, name="Nightly", host_id=4))


async def test_the_name_is_reported_before_the_busy_host_and_a_clash_undoes_nothing_else(
    database: Database,
) -> None:
    async with database.writing() as connection:
        records = BackupRecords(connection)
        await records.add(NEW)
        with pytest.raises(NameTakenError):
            await records.add(NEW)
        with pytest.raises(HostBusyError):
            await records.add(replace(NEW, name="second"))
    async with database.reading() as connection:
        assert [
            backup.id for backup in await BackupRecords(connection).list_in(set(RecordStatus))
        ] == [1]


async def test_a_status_moves_only_from_where_it_was_expected(database: Database) -> None:
    async with database.writing() as connection:
        records = BackupRecords(connection)
        await records.add(NEW)
        assert await records.move(1, {RecordStatus.INITIALIZING}, RecordStatus.IN_PROGRESS)
        assert not await records.move(1, {RecordStatus.INITIALIZING}, RecordStatus.FAILED)
        assert not await records.move(2, set(RecordStatus), RecordStatus.FAILED)
        found = await records.find(1)
    assert found is not None
    assert found.record.status is RecordStatus.IN_PROGRESS


async def test_ids_ascend_and_are_never_used_again(database: Database) -> None:
    async with database.writing() as connection:
        records = BackupRecords(connection)
        for expected in (1, 2, 3):
            assert (await records.add(NEW)).id == expected
            await records.remove(expected)


async def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    async def add_and_fail() -> None:
        async with database.writing() as connection:
            await BackupRecords(connection).add(NEW)
            raise LookupError

    with pytest.raises(LookupError):
        await add_and_fail()
    async with database.reading() as connection:
        assert await BackupRecords(connection).find(1) is None
