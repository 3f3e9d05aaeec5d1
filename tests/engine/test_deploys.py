"""Deploys: what is staged comes into force, once, with progress (spec §7)."""

# ruff: noqa: ASYNC240 - the files are small, and the engine works on the same loop anyway
import asyncio
from pathlib import Path
from typing import Any

import pytest

from backup_engine.records.configurations import ConfigurationRecords
from listserver import ListServer
from localengine import BACKUPS, DEPLOY, DEPLOYED, STAGED, LocalEngine, local_engine

HELD = "/api/v1/secrets"


async def refusal(engine: LocalEngine, body: dict[str, Any]) -> tuple[int, int, str]:
    answer = await engine.send("POST", DEPLOY, json=body)
    return answer.status_code, answer.json()["code"], answer.json()["message"]


async def test_before_any_deploy_the_last_one_is_complete(resting: LocalEngine) -> None:
    assert (await resting.send("GET", DEPLOY)).json() == {
        "type": "INCREMENTAL",
        "status": "COMPLETE",
        "percent_complete": 100,
        "initiated_by": None,
        "initiated_from": None,
        "hosts": [],
    }


async def test_nothing_changed_is_nothing_to_deploy_unless_it_is_full(local: LocalEngine) -> None:
    assert await refusal(local, {}) == (409, 1004, "No changes to deploy")
    assert (await local.send("POST", DEPLOY, json={"type": "FULL"})).status_code == 200


async def test_a_deploy_brings_what_is_staged_into_force(local: LocalEngine) -> None:
    staged = await local.stage(configuration_backup_time_limit=600_000)
    status = await local.deploy()
    assert status == {
        "type": "INCREMENTAL",
        "status": "COMPLETE",
        "percent_complete": 100,
        "initiated_by": "API_user: backup-bot",
        "initiated_from": "console",
        "hosts": [{"ip": "console", "host_status": "SUCCESS", "status": "SUCCESS"}],
    }
    assert (await local.send("GET", f"{DEPLOYED}/1")).json() == staged
    assert await refusal(local, {}) == (409, 1004, "No changes to deploy")


async def test_a_deploy_begins_with_no_progress_and_a_second_one_is_refused(
    resting: LocalEngine,
) -> None:
    await resting.stage(configuration_backup_enabled=False)
    started = (await resting.send("POST", DEPLOY, json={"type": "INCREMENTAL"})).json()
    assert started["status"] == "INITIALIZING"
    assert started["percent_complete"] == 0
    assert started["hosts"] == [
        {"ip": "console", "host_status": "INITIATING", "status": "INITIATING"}
    ]
    for deploy_type in ("INCREMENTAL", "FULL"):
        assert (await refusal(resting, {"type": deploy_type}))[:2] == (409, 1002)


async def test_of_racing_deploys_exactly_one_begins(resting: LocalEngine) -> None:
    await resting.stage(configuration_backup_enabled=False)
    answers = await asyncio.gather(
        *(resting.send("POST", DEPLOY, json={"type": "FULL"}) for _ in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19


async def test_progress_is_seen_while_a_host_works(local: LocalEngine, source: ListServer) -> None:
    source.hold("/version")
    await local.stage(configuration_backup_enabled=False)
    await local.send("POST", DEPLOY, json={})
    await asyncio.wait_for(source.reached.wait(), 100)
    status = (await local.send("GET", DEPLOY)).json()
    assert status["status"] == "IN_PROGRESS"
    assert 0 <= status["percent_complete"] < 100
    assert status["hosts"][0]["status"] == "IN_PROGRESS"
    assert (await local.send("GET", f"{DEPLOYED}/1")).json()["configuration_backup_enabled"] is True


async def test_a_change_staged_during_a_deploy_belongs_to_the_next(
    local: LocalEngine, source: ListServer
) -> None:
    source.hold("/version")
    await local.stage(configuration_backup_time_limit=600_000)
    await local.send("POST", DEPLOY, json={})
    await asyncio.wait_for(source.reached.wait(), 100)
    await local.stage(configuration_backup_time_limit=660_000)
    source.held.pop("/version").set()
    await local.until_deployed()
    deployed = (await local.send("GET", f"{DEPLOYED}/1")).json()
    assert deployed["configuration_backup_time_limit"] == 600_000
    staged = (await local.send("GET", f"{STAGED}/1")).json()
    assert staged["configuration_backup_time_limit"] == 660_000
    assert (await local.create("early")).json()["code"] == 1011
    await local.deploy()
    assert (await local.create("now")).status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [({"type": "incremental"}, 1005), ({"type": "PARTIAL"}, 1005), ({"type": 5}, 11)],
)
async def test_an_unknown_type_is_refused(
    resting: LocalEngine, body: dict[str, Any], code: int
) -> None:
    assert (await refusal(resting, body))[:2] == (422, code)


async def test_a_deploy_without_a_body_is_refused(resting: LocalEngine) -> None:
    assert (await resting.send("POST", DEPLOY)).json()["code"] == 10


async def test_a_crash_during_a_deploy_costs_nothing_but_time(
    tmp_path: Path, resting: LocalEngine, source: ListServer, database_url: str
) -> None:
    await resting.stage(configuration_backup_enabled=False)
    await resting.send("POST", DEPLOY, json={})
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(tmp_path, kubeconfig, database_url=database_url) as restarted:
        restarted.start()
        await restarted.until_deployed()
        deployed = (await restarted.send("GET", f"{DEPLOYED}/1")).json()
    assert deployed["configuration_backup_enabled"] is False


async def test_a_host_that_cannot_follow_is_told_and_keeps_nothing_back(
    local: LocalEngine, tmp_path: Path
) -> None:
    directory = tmp_path / "volume"
    directory.mkdir()
    await local.stage(backup_directory_path=str(directory))
    directory.rmdir()
    status = await local.deploy()
    assert [host["status"] for host in status["hosts"]] == ["ERROR"]
    deployed = (await local.send("GET", f"{DEPLOYED}/1")).json()
    assert deployed["backup_directory_path"] == str(directory)


async def test_a_backup_waits_for_the_deploy_of_what_is_staged(local: LocalEngine) -> None:
    before = (await local.send("GET", f"{STAGED}/1")).json()
    await local.stage(configuration_backup_priority="LOW")
    refused = await local.create("first")
    assert (refused.status_code, refused.json()["code"]) == (409, 1011)
    assert (await local.send("GET", BACKUPS)).json() == []
    await local.stage(**before)  # as it was: nothing is left to deploy
    assert (await local.create("first")).status_code == 201


async def test_other_conflicts_are_told_before_the_missing_deploy(resting: LocalEngine) -> None:
    await resting.create("first")
    await resting.stage(configuration_backup_priority="LOW")
    assert (await resting.create("first")).json()["code"] == 1005
    assert (await resting.create("second")).json()["code"] == 1015


async def test_the_deployed_time_limit_ends_a_capture(
    local: LocalEngine, source: ListServer
) -> None:
    async with local.database.writing() as connection:
        # below what the API takes, so that the test need not last a minute
        configurations = ConfigurationRecords(connection)
        stored = await configurations.get(1)
        await configurations.stage(
            stored.staged.model_copy(update={"configuration_backup_time_limit": 100})
        )
    await local.deploy()
    source.hold(HELD)
    backup_id = (await local.create("slow")).json()["id"]
    await local.until(backup_id, "FAILED")


async def test_the_deployed_priority_governs_how_much_is_asked_for_at_once(
    local: LocalEngine, source: ListServer
) -> None:
    await local.stage(configuration_backup_priority="LOW")
    await local.deploy()
    await local.until((await local.create("gentle")).json()["id"], "SUCCESS")
    limits = {query["limit"] for path, query in source.requests if path == HELD}
    assert limits == {"50"}


async def test_archives_go_to_the_deployed_directory_and_old_ones_stay(
    local: LocalEngine, tmp_path: Path
) -> None:
    old = await local.until((await local.create("old")).json()["id"], "SUCCESS")
    directory = tmp_path / "volume"
    directory.mkdir()
    await local.stage(backup_directory_path=f"{directory}/")
    await local.deploy()
    new = await local.until((await local.create("new")).json()["id"], "SUCCESS")
    path = Path(new["content_file_path"])
    assert path.parent == directory
    content = path.read_bytes()

    path.unlink()
    await local.until(new["id"], "MISSING")
    path.write_bytes(content)
    await local.until(new["id"], "SUCCESS")
    assert (await local.get(old["id"]))["status"] == "SUCCESS"
    await local.send("DELETE", f"{BACKUPS}/{new['id']}")
    await local.until(new["id"], "gone")
    assert list(directory.iterdir()) == []
    assert len(local.archives) == 1


async def test_a_configured_directory_that_vanished_aborts_the_backup(
    local: LocalEngine, tmp_path: Path
) -> None:
    directory = tmp_path / "volume"
    directory.mkdir()
    await local.stage(backup_directory_path=str(directory))
    await local.deploy()
    directory.rmdir()
    record = await local.until((await local.create("lost")).json()["id"], "FAILED")
    assert (await local.failure(record["id"])).startswith("DirectoryMissing: ")
    assert not directory.exists()
