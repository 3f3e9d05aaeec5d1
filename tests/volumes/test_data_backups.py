"""DATA backups of directories by a real kopia, through the API (spec §3, §10)."""

import asyncio
import os

import pytest

from backup_api.backups import RUNNING, RecordStatus
from backup_engine.records.backups import BackupRecords
from backup_engine.volumes.volume import Volume
from fixtures.volumes import HOST, WATCHFUL, VolumeScene
from localengine import BACKUPS

LOOKED_AFTER = pytest.mark.parametrize("keeping", [WATCHFUL], ids=[""])
NOTICED_WITHIN_S = 100
"""A kopia whose directory goes just as it reads tries again until the engine ends it."""


async def test_a_data_backup_holds_every_volume_of_its_host(shop: VolumeScene) -> None:
    shop.fill("data", {"rows/1": "one", "rows/2": "two"})
    shop.fill("films", {"a": "film"}, namespace="media")
    shop.fill("music", {"b": "song", ".kopiaignore": "b"}, namespace="media")

    record = await shop.make("weekly")

    assert record["size_on_disk"] == 3 + 3 + 4 + 4 + 1
    assert record["is_valid"]
    (listed,) = (await shop.engine.send("GET", BACKUPS)).json()
    assert listed["app_deployment_location"] == "NA"
    assert record["content_file_path"].endswith(".kopia")
    assert ".data." in record["content_file_path"]
    volumes = await shop.volumes(record["id"])
    assert [(each["namespace"], each["claim"], each["files"]) for each in volumes] == [
        ("media", "films", 1),
        ("media", "music", 2),
        ("shop", "data", 2),
    ]
    assert {each["status"] for each in volumes} == {"SUCCESS"}
    snapshots = await (await shop.repository()).list_snapshots()
    assert {each.id for each in snapshots} == {each["snapshot_id"] for each in volumes}


async def test_what_no_data_host_can_do_is_refused(shop: VolumeScene) -> None:
    shop.fill("data", {"a": "1"})

    async def ask(host_id: int, backup_type: str = "DATA") -> tuple[int, int]:
        body = {"name": "unfit", "configuration_id": 1, "host_id": host_id}
        headers = {"backup_type": backup_type}
        answer = await shop.engine.send("POST", BACKUPS, json=body, headers=headers)
        return answer.status_code, int(answer.json().get("code", 0))

    assert await ask(1) == (422, 1013)
    assert await ask(shop.host_id, "CONFIG") == (422, 1012)
    backup = await shop.make("data")
    wish = {"backup_id": backup["id"], "groups": ["DEPLOYMENT_CONFIG"]}
    restore = await shop.engine.send("POST", "/api/backup_and_restore/restores", json=wish)
    assert (restore.status_code, restore.json()["code"]) == (422, 1004)
    for path in ("kinds", "namespaces", "objects"):
        read = await shop.engine.send("GET", f"/api/backup_engine/backups/{backup['id']}/{path}")
        assert read.status_code in {404, 422}, path
    await shop.engine.stage(data_backup_host_configuration=[])
    await shop.engine.deploy()
    assert await ask(shop.host_id) == (422, 1014)


async def test_an_empty_volume_fails_the_backup_and_leaves_no_snapshot(shop: VolumeScene) -> None:
    shop.fill("data", {})
    shop.fill("films", {"a": "film"}, namespace="media")

    record = await shop.make("empty", "FAILED")

    told = (
        await shop.engine.send("GET", f"/api/backup_engine/backups/{record['id']}/verification")
    ).json()
    assert told["reason"] == "EmptyVolume"
    assert "shop/data" in told["message"]
    assert not record["is_valid"]
    assert record["size_on_disk"] == 0
    assert await (await shop.repository()).list_snapshots() == ()


async def test_a_claim_that_is_not_there_fails_the_backup(shop: VolumeScene) -> None:
    record = await shop.make("absent", "FAILED")

    (volume,) = await shop.volumes(record["id"])
    assert (volume["status"], volume["reason"]) == ("FAILED", "EmptyVolume")


async def test_deleting_a_backup_deletes_its_snapshots_alone(shop: VolumeScene) -> None:
    shop.fill("data", {"a": "1"})
    first, second = await shop.make("first"), await shop.make("second")

    await shop.engine.send("DELETE", f"{BACKUPS}/{first['id']}")
    await shop.engine.until(first["id"], "gone", within_s=100)

    (kept,) = await (await shop.repository()).list_snapshots()
    assert kept.tags["backup"] == second["content_file_path"].rpartition("/")[2]


@LOOKED_AFTER
async def test_a_backup_whose_snapshot_goes_is_missing(shop: VolumeScene) -> None:
    shop.fill("data", {"a": "1"})
    record = await shop.make("lost")
    repository = await shop.repository()

    await repository.delete([each.id for each in await repository.list_snapshots()])

    missing = await shop.engine.until(record["id"], "MISSING", within_s=100)
    assert not missing["is_valid"]


@LOOKED_AFTER
async def test_a_repository_that_comes_back_brings_its_backups_back(shop: VolumeScene) -> None:
    shop.fill("data", {"a": "1"})
    record = await shop.make("away")

    await shop.unmount()
    await shop.engine.until(record["id"], "MISSING", within_s=NOTICED_WITHIN_S)
    shop.mount()

    back = await shop.engine.until(record["id"], "SUCCESS", within_s=NOTICED_WITHIN_S)
    assert back["is_valid"]


async def test_a_backup_does_not_make_the_repository_that_it_lacks(shop: VolumeScene) -> None:
    shop.fill("data", {"a": "1"})
    await shop.unmount()

    record = await shop.make("nowhere", "FAILED")

    told = (
        await shop.engine.send("GET", f"/api/backup_engine/backups/{record['id']}/verification")
    ).json()
    assert told["reason"] == "RepositoryMissing"
    assert not list((shop.engine.directory / "unmounted").rglob("kopia.repository*"))


@LOOKED_AFTER
async def test_a_folder_that_kopia_left_files_in_is_no_repository(shop: VolumeScene) -> None:
    """As it looks at a place just when its volume goes: it makes the folder anew, with a file."""
    shop.fill("data", {"a": "1"})
    record = await shop.make("before")
    await shop.unmount()
    folder = shop.engine.directory / "unmounted" / f"{HOST}_{shop.host_id}"
    folder.mkdir(exist_ok=True)
    (folder / ".shards").write_text("{}")

    await shop.make("into-nothing", "FAILED")
    await shop.engine.until(record["id"], "MISSING", within_s=NOTICED_WITHIN_S)
    shop.mount()

    await shop.engine.until(record["id"], "SUCCESS", within_s=NOTICED_WITHIN_S)


@LOOKED_AFTER
async def test_damage_is_found_by_the_verification_that_somebody_asks_for(
    shop: VolumeScene,
) -> None:
    shop.fill("data", {"a": "x" * 100_000})
    record = await shop.make("rotten")
    repository = shop.engine.directory / "repositories"
    for pack in repository.glob("*/p*/**/*.f"):
        pack.write_bytes(os.urandom(pack.stat().st_size))
    path = f"/api/backup_engine/backups/{record['id']}/verification"

    await shop.engine.send("POST", path)

    async def verdict() -> dict[str, object]:
        answer: dict[str, object] = (await shop.engine.send("GET", path)).json()
        return answer

    async with asyncio.timeout(100):
        while True:
            told = await verdict()
            if told["verdict"] == "INVALID":
                break
            await asyncio.sleep(0.05)
    assert (told["reason"], told["criterion"]) == ("SnapshotDamaged", "CHECKSUM")


async def test_a_run_that_goes_on_reads_no_volume_twice(shop: VolumeScene) -> None:
    """The engine is gone between the snapshot and its record, as kill -9 leaves it."""
    shop.fill("data", {"a": "1"})
    await shop.engine.stop()
    created = await shop.create("cut-off")
    async with shop.engine.database.writing() as connection:
        await BackupRecords(connection).move(created["id"], RUNNING, RecordStatus.IN_PROGRESS)
        stored = await BackupRecords(connection).find(created["id"])
    assert stored is not None
    repository = await shop.repository()
    volume = Volume("shop", "data")
    taken = await repository.snapshot(stored.archive_name, volume, shop.root / "shop" / "data")
    twice = await repository.snapshot(stored.archive_name, volume, shop.root / "shop" / "data")

    shop.engine.start()
    record = await shop.engine.until(created["id"], "SUCCESS", within_s=100)

    (kept,) = await repository.list_snapshots()
    assert kept.id == taken.id != twice.id
    assert (await shop.volumes(record["id"]))[0]["snapshot_id"] == taken.id
