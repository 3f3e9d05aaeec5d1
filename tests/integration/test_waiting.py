"""Refusals that are waited out, and those that are final."""

import pytest

from fixtures.scene import Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]


async def test_a_busy_host_is_waited_for(scene: Scene) -> None:
    running = scene.appliance.add_backup("by-hand", status="IN_PROGRESS")
    await scene.create("patient")
    backup = await scene.condition("patient", "Busy", reason="HostBusy")
    assert "code 1015" in find_condition(backup, "Busy")["message"]  # type: ignore[index]
    await scene.appliance.answered("POST /backups", times=2)
    scene.appliance.finish(running)
    backup = await scene.running("patient")

    assert find_condition(backup, "Busy") is None
    assert scene.created() == 1
    assert backup["status"]["submission"]["attempts"] == scene.posts() >= 3
    assert (await scene.event_reasons("patient")).count("HostBusy") <= 1  # they are posted later


async def test_a_host_busy_for_too_long_fails_the_backup(scene: Scene) -> None:
    scene.appliance.start_restore()
    await scene.create("impatient", busyTimeout="1s")
    backup = await scene.condition("impatient", "Failed", reason="BusyTimeout")

    failure = backup["status"]["failure"]
    assert (failure["httpStatus"], failure["code"]) == (409, 1016)
    assert scene.created() == 0


async def test_staged_changes_are_deployed_when_the_spec_says_so(scene: Scene) -> None:
    scene.appliance.stage_change()
    scene.appliance.deploy_seconds = 1.0
    await scene.create("deployer", deployStaged=True)
    await scene.running("deployer")

    assert scene.appliance.count("POST /deploy_status") == 1
    assert scene.created() == 1


async def test_staged_changes_are_waited_for_otherwise(scene: Scene) -> None:
    scene.appliance.stage_change()
    await scene.create("waiter")
    await scene.condition("waiter", "Busy", reason="StagedChanges")
    assert scene.appliance.count("POST /deploy_status") == 0

    await scene.change("waiter", cancel=True)
    await scene.condition("waiter", "Finished", reason="Cancelled")
    assert scene.created() == 0


async def test_a_name_in_use_is_left_alone(scene: Scene) -> None:
    taken = scene.appliance.add_backup(f"taken-{scene.mark}", description="precious")
    await scene.create("taken", description="mine", deletionPolicy="Delete")
    backup = await scene.condition("taken", "Failed", reason="NameInUse")
    assert "id" not in backup["status"]

    await scene.delete("taken")
    await scene.gone("taken")
    assert scene.appliance.backup(taken)["description"] == "precious"
    assert scene.posts() == 0


async def test_a_final_refusal_names_code_and_field(scene: Scene) -> None:
    await scene.create("nowhere", backupType="DATA", hostId=4711)
    backup = await scene.condition("nowhere", "Failed", reason="HostUnknown")

    failure = backup["status"]["failure"]
    assert (failure["httpStatus"], failure["code"]) == (422, 1009)
    assert failure["message"].startswith("spec.hostId: ")


async def test_a_host_can_be_named(scene: Scene) -> None:
    await scene.create("named", backupType="DATA", hostname="ep1")
    backup = await scene.running("named")
    assert backup["status"]["hostId"] == 103


async def test_an_unknown_host_name_is_final(scene: Scene) -> None:
    await scene.create("misnamed", backupType="DATA", hostname="ep9")
    backup = await scene.condition("misnamed", "Failed", reason="HostUnknown")
    assert "console1" in backup["status"]["failure"]["message"]
    assert scene.posts() == 0


async def test_a_server_error_is_tried_again(scene: Scene) -> None:
    scene.appliance.faults.refuse("POST /backups", 500, 1000)
    await scene.create("unlucky")
    await scene.running("unlucky")
    assert scene.created() == 1
