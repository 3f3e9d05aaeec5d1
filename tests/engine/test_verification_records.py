"""What is known of archives is written, found, and due in the right order."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backup_api.backups import AppDeploymentLocation, BackupType, RecordStatus
from backup_engine.records.backups import BackupRecords, NewBackup
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.records.verifications import NeededKind, VerificationRecords, build_kinds


def a_backup(name: str) -> NewBackup:
    return NewBackup(
        name=name,
        configuration_id=1,
        host_id=1,
        description=None,
        type=BackupType.CONFIG,
        version="1",
        build_version="1",
        time_initiated=1,
        initiated_by="tests",
        app_deployment_location=AppDeploymentLocation.CONSOLE,
        archive_name=f"{name}.tar",
    )


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(build_sqlite_url(tmp_path / "engine.db"))
    await migrate(database)
    async with database.writing() as connection:
        records = BackupRecords(connection)
        for name in ("a", "b", "c"):
            added = await records.add(a_backup(name))
            await records.move(added.id, [RecordStatus.INITIALIZING], RecordStatus.SUCCESS)
    yield database
    await database.close()


async def test_of_an_archive_never_looked_at_nothing_is_known(database: Database) -> None:
    async with database.reading() as connection:
        found = await VerificationRecords(connection).find(1)

    assert (found.reason, found.time_verified, found.time_seen) == (None, None, None)


async def test_what_was_asked_for_is_due_first_then_the_oldest(database: Database) -> None:
    async with database.writing() as connection:
        records = VerificationRecords(connection)
        for backup_id, at in ((1, 300), (2, 100), (3, 200)):
            await records.note(backup_id, {"reason": "Verified", "time_verified": at})
        await records.request(3, 500)
        await records.request(3, 900)
        due = [backup.id for backup in await records.list_due(250, 9)]
        asked = await records.find(3)
        await records.note(3, {"time_requested": None, "time_verified": 1000})
        still_due = [backup.id for backup in await records.list_due(250, 9)]

    assert due == [3, 2]
    assert asked.time_requested == 500
    assert still_due == [2]


async def test_a_look_at_a_directory_counts_for_all_its_archives(database: Database) -> None:
    async with database.writing() as connection:
        records = VerificationRecords(connection)
        await records.note_look(None, 100)
        await records.note_look(None, 200)
        await records.note_look("/elsewhere", 300)
        found = [await records.find(backup_id) for backup_id in (1, 2)]

    assert [one.time_seen for one in found] == [200, 200]


async def test_compatibility_is_outdated_when_its_basis_changes(database: Database) -> None:
    kinds = (NeededKind("v1", "secrets"), NeededKind("zoo.io/v1", "apes", is_defined=True))
    async with database.writing() as connection:
        records = VerificationRecords(connection)
        await records.note(1, {"kinds": build_kinds(kinds), "compatibility_basis": "old"})
        await records.note(2, {"compatibility_basis": "new"})
        outdated = {one.backup.id: one.kinds for one in await records.list_outdated("new", 9)}

    assert outdated == {1: kinds, 3: None}


async def test_a_removed_record_takes_its_verification_along(database: Database) -> None:
    async with database.writing() as connection:
        await VerificationRecords(connection).note(1, {"reason": "Verified"})
        await BackupRecords(connection).remove(1)
        assert (await VerificationRecords(connection).find(1)).reason is None
