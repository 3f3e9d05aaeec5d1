"""Records move as their status says, through crashes, cancellations and lost files."""

# ruff: noqa: ASYNC240 - the files are small, and the engine works on the same loop anyway
import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from backup_api.backups import RecordStatus
from backup_engine.records.backups import BackupRecords
from backup_engine.runs.steps import Job, Step, choose_step
from listserver import ListServer
from localengine import BACKUPS, LocalEngine, local_engine

HELD = "/api/v1/secrets"


async def test_a_backup_succeeds_and_its_record_tells_all(local: LocalEngine) -> None:
    created = (await local.create("first")).json()
    record = await local.until(created["id"], "SUCCESS")

    assert len(local.archives) == 1
    path = Path(record["content_file_path"])
    assert path.name == local.archives[0]
    assert path.name.startswith("backup.first.console_1.")
    assert record["size_on_disk"] == path.stat().st_size
    assert record["is_valid"] is True
    assert record["time_completed"] >= record["time_initiated"]


async def test_one_backup_at_a_time_and_the_name_stays_taken(
    local: LocalEngine, source: ListServer
) -> None:
    source.hold(HELD)
    first = (await local.create("first")).json()["id"]
    await local.until(first, "IN_PROGRESS")
    assert (await local.create("second")).json()["code"] == 1015
    source.held[HELD].set()
    await local.until(first, "SUCCESS")
    assert (await local.create("first")).json()["code"] == 1005
    assert (await local.create("second")).status_code == 201


async def test_of_racing_creates_exactly_one_wins(resting: LocalEngine) -> None:
    answers = await asyncio.gather(*(resting.create("same") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {1005}


async def test_a_cancelled_backup_is_gone_while_its_list_still_hangs_and_leaves_no_file(
    local: LocalEngine, source: ListServer
) -> None:
    source.hold(HELD)
    backup_id = (await local.create("first")).json()["id"]
    await asyncio.wait_for(source.reached.wait(), 100)

    answer = await local.send("DELETE", f"{BACKUPS}/{backup_id}")
    assert answer.status_code == 202
    assert answer.json()["status"] == "CANCELLING"
    await local.until(backup_id, "gone")  # the list is held to the end
    assert local.archives == []
    source.held[HELD].set()
    again = (await local.create("first")).json()["id"]
    assert again > backup_id
    await local.until(again, "SUCCESS")


async def test_a_second_delete_is_refused(resting: LocalEngine) -> None:
    await resting.create("first")
    assert (await resting.send("DELETE", f"{BACKUPS}/1")).status_code == 202
    answer = await resting.send("DELETE", f"{BACKUPS}/1")
    assert (answer.status_code, answer.json()["code"]) == (422, 1017)


async def test_delete_removes_archive_and_record_and_the_id_is_never_used_again(
    local: LocalEngine,
) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    answer = await local.send("DELETE", f"{BACKUPS}/{backup_id}")
    assert answer.json()["status"] == "DELETING"
    await local.until(backup_id, "gone")
    assert local.archives == []
    assert (await local.create("first")).json()["id"] == backup_id + 1


async def test_an_unreadable_source_is_failed_and_can_be_deleted(
    local: LocalEngine, source: ListServer
) -> None:
    source.listings.clear()
    backup_id = (await local.create("first")).json()["id"]
    record = await local.until(backup_id, "FAILED")
    assert record["is_valid"] is False
    assert record["content_file_path"] is None
    assert record["time_completed"] is not None
    await local.send("DELETE", f"{BACKUPS}/{backup_id}")
    await local.until(backup_id, "gone")


async def test_a_capture_past_its_time_limit_is_failed(
    tmp_path: Path, source: ListServer, database_url: str
) -> None:
    source.hold(HELD)
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(
        tmp_path, kubeconfig, time_limit_s=0.1, database_url=database_url
    ) as engine:
        engine.start()
        backup_id = (await engine.create("slow")).json()["id"]
        await engine.until(backup_id, "FAILED")
        assert engine.archives == []
        assert (await engine.failure(backup_id)).startswith("TimeLimitExceeded: ")


async def test_the_time_limit_goes_on_through_a_crash(
    tmp_path: Path, source: ListServer, database_url: str
) -> None:
    source.hold(HELD)
    kubeconfig = source.kubeconfig(tmp_path)
    opened = partial(local_engine, tmp_path, kubeconfig, 3600.0, database_url=database_url)
    async with opened() as engine:
        engine.start()
        backup_id = (await engine.create("slow")).json()["id"]
        await asyncio.wait_for(source.reached.wait(), 100)
    later = datetime.now(UTC) + timedelta(hours=2)

    async with opened(clock=lambda: later) as restarted:
        restarted.start()
        await restarted.until(backup_id, "FAILED")

        told = await restarted.failure(backup_id)
        assert "not finished within 3600 s of its first start" in told


async def test_a_capture_cut_off_by_a_crash_is_carried_on_under_its_id(
    tmp_path: Path, source: ListServer, resting: LocalEngine, database_url: str
) -> None:
    source.hold(HELD)
    resting.start()
    created = (await resting.create("first")).json()
    await asyncio.wait_for(source.reached.wait(), 100)
    await resting.stop()
    assert (await resting.get(created["id"]))["status"] == "IN_PROGRESS"

    source.held[HELD].set()
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(tmp_path, kubeconfig, database_url=database_url) as restarted:
        restarted.start()
        record = await restarted.until(created["id"], "SUCCESS")
        assert record["time_initiated"] == created["time_initiated"]
        assert len(restarted.archives) == 1
        assert len((await restarted.send("GET", BACKUPS)).json()) == 1


async def test_a_crash_between_archive_and_record_leaves_one_archive(
    resting: LocalEngine,
) -> None:
    resting.start()
    record = await resting.until((await resting.create("first")).json()["id"], "SUCCESS")
    await resting.stop()
    async with resting.database.writing() as connection:
        # what a crash right after the archive's last byte would have left
        await connection.exec_driver_sql(
            "UPDATE backups SET status = 'IN_PROGRESS', is_valid = false, content_file_path = NULL"
        )
    resting.start()
    again = await resting.until(record["id"], "SUCCESS")
    assert again["is_valid"] is True
    assert resting.archives == [Path(record["content_file_path"]).name]


async def test_an_archive_whose_outcome_the_database_lost_is_taken_as_it_is(
    local: LocalEngine,
) -> None:
    record = await local.until((await local.create("first")).json()["id"], "SUCCESS")
    (name,) = local.archives
    path = local.directory / "archives" / name
    before = path.read_bytes()
    await local.stop()
    await forget_outcome(local, record["id"])  # as a failover without the last commits does

    local.start()

    found = await local.until(record["id"], "SUCCESS")
    assert (found["is_valid"], found["size_on_disk"]) == (True, len(before))
    assert local.archives == [name]
    assert path.read_bytes() == before


async def test_an_archive_that_another_engine_published_late_is_taken_as_it_is(
    local: LocalEngine, source: ListServer
) -> None:
    record = await local.until((await local.create("first")).json()["id"], "SUCCESS")
    (name,) = local.archives
    path, aside = local.directory / "archives" / name, local.directory / "aside"
    await local.stop()
    await forget_outcome(local, record["id"])
    path.rename(aside)
    source.hold(HELD)
    source.reached.clear()
    local.start()
    await asyncio.wait_for(source.reached.wait(), 100)

    aside.rename(path)  # while this engine captures the same once more
    source.held[HELD].set()

    found = await local.until(record["id"], "SUCCESS")
    assert (found["is_valid"], found["size_on_disk"]) == (True, path.stat().st_size)
    assert local.archives == [name]


async def forget_outcome(engine: LocalEngine, backup_id: int) -> None:
    lost = {"is_valid": False, "size_on_disk": 0, "time_completed": None}
    async with engine.database.writing() as connection:
        records = BackupRecords(connection)
        await records.move(backup_id, {RecordStatus.SUCCESS}, RecordStatus.INITIALIZING, lost)


@pytest.mark.parametrize("status", ["CANCELLING", "DELETING"])
async def test_a_removal_cut_off_by_a_crash_is_carried_on(
    resting: LocalEngine, status: str
) -> None:
    resting.start()
    backup_id = (await resting.create("first")).json()["id"]
    await resting.until(backup_id, "SUCCESS")
    await resting.stop()
    async with resting.database.writing() as connection:
        await connection.exec_driver_sql(f"UPDATE backups SET status = '{status}'")  # noqa: S608
    resting.start()
    await resting.until(backup_id, "gone")
    assert resting.archives == []


async def test_a_removed_archive_is_missing_and_back_it_is_verified_again(
    local: LocalEngine, tmp_path: Path
) -> None:
    backup_id = (await local.create("first")).json()["id"]
    path = Path((await local.until(backup_id, "SUCCESS"))["content_file_path"])
    content = path.read_bytes()

    path.rename(tmp_path / "elsewhere")
    assert (await local.until(backup_id, "MISSING"))["is_valid"] is False
    (tmp_path / "elsewhere").rename(path)
    assert (await local.until(backup_id, "SUCCESS"))["is_valid"] is True

    path.unlink()
    await local.until(backup_id, "MISSING")
    path.write_bytes(content[:-4000])
    assert (await local.until(backup_id, "SUCCESS"))["is_valid"] is False


async def test_an_unreachable_store_makes_nothing_missing(
    local: LocalEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    (tmp_path / "archives").rename(tmp_path / "unmounted")
    async with asyncio.timeout(100):
        while "cannot be looked after" not in caplog.text:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.02)
    assert (await local.get(backup_id))["status"] == "SUCCESS"


async def test_a_missing_backup_can_be_deleted(local: LocalEngine) -> None:
    backup_id = (await local.create("first")).json()["id"]
    Path((await local.until(backup_id, "SUCCESS"))["content_file_path"]).unlink()
    await local.until(backup_id, "MISSING")
    assert (await local.send("DELETE", f"{BACKUPS}/{backup_id}")).status_code == 202
    await local.until(backup_id, "gone")


async def test_a_store_that_fails_ends_the_capture_failed(
    local: LocalEngine, tmp_path: Path
) -> None:
    (tmp_path / "archives").write_text("a file where the directory should be")
    record = await local.until((await local.create("first")).json()["id"], "FAILED")
    assert record["content_file_path"] is None


def test_every_status_and_job_has_a_step() -> None:
    steps = {
        (status, job): choose_step(status, job) for status in RecordStatus for job in (None, *Job)
    }
    busy = {RecordStatus.INITIALIZING, RecordStatus.IN_PROGRESS}
    assert {status for (status, job), step in steps.items() if step is Step.CAPTURE} == busy
    assert [key for key, step in steps.items() if step is Step.CANCEL] == [
        (RecordStatus.CANCELLING, Job.CAPTURE)
    ]
    leaving = {(RecordStatus.CANCELLING, None), (RecordStatus.DELETING, None)}
    assert {key for key, step in steps.items() if step is Step.REMOVE} == leaving


async def test_a_stop_that_meets_a_wake_up_is_not_lost(resting: LocalEngine) -> None:
    for _ in range(20):
        resting.start()
        await asyncio.sleep(0.02)  # asleep by then, most times
        resting.parts.runner.wake()
        async with asyncio.timeout(100):
            await resting.stop()
