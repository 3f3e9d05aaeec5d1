"""BackupConfigurations on a real API server, with a real operator and the fake appliance."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from appliance.journal import PATIENCE_S
from fixtures.kinds import Objects, configurations
from fixtures.scene import Body, Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]

LIMIT = "configuration_backup_time_limit"
DAY_MS = 86_400_000
STAGE = "POST /staged_config/backup_and_restore/scheduled_backup_configurations/{id}"
DEPLOY = "POST /staged_config/deploy_status"


@pytest.fixture
async def kept(scene: Scene) -> AsyncIterator[Objects]:
    """The configurations of this scene; what a test creates goes with it."""
    objects = configurations(scene)
    yield objects
    listed = await scene.cluster.call("GET", objects.path())
    for item in listed["items"]:
        if item["metadata"]["name"].endswith(scene.mark):
            await objects.delete(item["metadata"]["name"])


def name_of(scene: Scene, name: str = "c") -> str:
    return f"{name}-{scene.mark}"


async def create(objects: Objects, scene: Scene, name: str = "c", **spec: object) -> str:
    name = name_of(scene, name)
    await objects.create(name, engineRef={"name": scene.engine}, **spec)
    return name


async def test_it_is_staged_deployed_and_in_force(scene: Scene, kept: Objects) -> None:
    name = await create(
        kept,
        scene,
        backupRetentionPeriod="9d",
        dataBackupTimeLimit="90m",
        dataBackupPriority="HIGH",
        dataBackupHostConfiguration=[{"hostname": "console1", "flowDataBackupEnabled": False}],
    )
    body = await kept.ready(name, "True", "InForce")

    deployed = scene.appliance.state.deployed.configuration
    assert deployed["backup_retention_period"] == 9 * DAY_MS
    assert deployed["data_backup_time_limit"] == 90 * 60_000
    assert deployed["data_backup_priority"] == "HIGH"
    status = body["status"]
    assert status["deployed"] == status["staged"]
    assert status["deployed"]["backupRetentionPeriod"] == "9d"
    assert status["deployed"]["dataBackupHostConfiguration"] == [
        {"hostId": 53, "eventDataBackupEnabled": True, "flowDataBackupEnabled": False}
    ]
    assert "notInForce" not in status or status["notInForce"] == []
    assert find_condition(body, "Staged")["status"] == "True"  # type: ignore[index]
    assert scene.appliance.count(STAGE) == scene.appliance.count(DEPLOY) == 1


async def test_what_is_as_wanted_is_neither_staged_nor_deployed(
    scene: Scene, kept: Objects
) -> None:
    there = scene.appliance.state.deployed.configuration
    name = await create(kept, scene, backupDirectoryPath=there["backup_directory_path"])
    await kept.ready(name, "True", "InForce")
    assert scene.appliance.count(STAGE) == scene.appliance.count(DEPLOY) == 0


async def test_manual_waits_for_somebody_to_deploy(scene: Scene, kept: Objects) -> None:
    name = await create(kept, scene, deploy="Manual", backupRetentionPeriod="9d")
    body = await kept.ready(name, "False", "AwaitingDeploy")
    assert body["status"]["notInForce"] == ["backupRetentionPeriod"]
    assert body["status"]["staged"]["backupRetentionPeriod"] == "9d"
    assert body["status"]["deployed"]["backupRetentionPeriod"] != "9d"

    scene.appliance.state.start_deploy("INCREMENTAL", "admin")
    scene.appliance.state.settle()
    await kept.ready(name, "True", "InForce")
    assert scene.appliance.count(DEPLOY) == 0


async def test_a_deploy_is_followed_in_percent(scene: Scene, kept: Objects) -> None:
    scene.appliance.deploy_seconds = None
    name = await create(kept, scene, backupRetentionPeriod="9d")
    body = await kept.ready(name, "False", "Deploying")
    assert body["status"]["deploy"]["status"] != "COMPLETE"
    assert "% done" in find_condition(body, "Ready")["message"]  # type: ignore[index]
    scene.appliance.finish_deploy()
    await kept.ready(name, "True", "InForce")


async def test_drift_is_shown_and_mended(scene: Scene, kept: Objects) -> None:
    limit = scene.appliance.state.deployed.configuration[LIMIT]
    assert isinstance(limit, int)
    minutes = limit // 60_000
    name = await create(kept, scene, configurationBackupTimeLimit=f"{minutes}m")
    await kept.ready(name, "True", "InForce")
    scene.appliance.stage_change()

    def is_mended(body: Body) -> bool:
        drift = body["status"].get("lastDrift", {})
        return bool(drift.get("fields") == ["configurationBackupTimeLimit"])

    await kept.until(name, is_mended, what="drift")
    async with asyncio.timeout(PATIENCE_S):  # the status tells of it before it is staged anew
        while scene.appliance.state.staged.configuration[LIMIT] != limit:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await kept.ready(name, "True", "InForce")


async def test_a_refusal_names_the_member_and_what_to_do(scene: Scene, kept: Objects) -> None:
    name = await create(kept, scene, backupDirectoryPath="/nowhere")
    body = await kept.ready(name, "False", "DirectoryMissing")
    stalled = find_condition(body, "Stalled")
    assert stalled is not None
    assert stalled["status"] == "True"
    assert "code 1003" in stalled["message"]


async def test_an_unknown_host_is_told(scene: Scene, kept: Objects) -> None:
    name = await create(kept, scene, dataBackupHostConfiguration=[{"hostname": "nobody"}])
    body = await kept.ready(name, "False", "HostUnknown")
    assert "console1" in find_condition(body, "Ready")["message"]  # type: ignore[index]


async def test_of_two_for_one_engine_the_older_wins(scene: Scene, kept: Objects) -> None:
    first = await create(kept, scene, "a", backupRetentionPeriod="9d")
    await kept.ready(first, "True", "InForce")
    second = await create(kept, scene, "b", backupRetentionPeriod="8d")
    body = await kept.ready(second, "False", "OlderExists")
    assert first in find_condition(body, "Ready")["message"]  # type: ignore[index]

    await kept.delete(first)
    await kept.ready(second, "True", "InForce")
    assert scene.appliance.state.deployed.configuration["backup_retention_period"] == 8 * DAY_MS
