"""Cancelling, time limits, and what deleting a Backup does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from appliance.journal import PATIENCE_S
from fixtures.scene import Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]

FORCE = "backup-operator.io/force-delete"
ACKNOWLEDGE = "backup-operator.io/acknowledge-deletions"


async def test_a_running_backup_is_cancelled_once(scene: Scene) -> None:
    await scene.create("stop")
    await scene.running("stop")
    await scene.change("stop", cancel=True)
    backup = await scene.condition("stop", "Finished", reason="Cancelled")

    assert backup["status"]["phase"] == "Cancelled"
    assert find_condition(backup, "Complete")["status"] == "False"  # type: ignore[index]
    assert scene.appliance.count("DELETE /backups/{id}") == 1


async def test_cancelling_a_finished_backup_is_ignored(scene: Scene) -> None:
    await scene.create("done")
    await scene.running("done")
    scene.appliance.finish_all()
    await scene.condition("done", "Complete")
    await scene.change("done", cancel=True)
    backup = await scene.until("done", lambda one: one["status"].get("observedGeneration") == 2)

    assert "too late" in find_condition(backup, "Ready")["message"]  # type: ignore[index]
    assert find_condition(backup, "Complete")["status"] == "True"  # type: ignore[index]
    assert scene.appliance.count("DELETE /backups/{id}") == 0


async def test_a_backup_cancelled_from_the_start_is_never_requested(scene: Scene) -> None:
    await scene.create("never", cancel=True)
    await scene.condition("never", "Finished", reason="Cancelled")
    assert scene.posts() == 0


async def test_a_backup_past_its_timeout_is_cancelled_and_fails(scene: Scene) -> None:
    await scene.create("long", timeout="1s")
    backup = await scene.condition("long", "Failed", reason="DeadlineExceeded")

    assert backup["status"]["failure"]["reason"] == "DeadlineExceeded"
    assert scene.appliance.backups == []


async def test_a_retained_backup_outlives_its_object(scene: Scene) -> None:
    await scene.create("kept")
    record_id = (await scene.running("kept"))["status"]["id"]
    scene.appliance.finish_all()
    await scene.condition("kept", "Complete")
    await scene.delete("kept")
    await scene.gone("kept")
    assert scene.appliance.backup(record_id)["status"] == "SUCCESS"


async def test_a_running_backup_is_deleted_with_its_object(scene: Scene) -> None:
    await scene.create("both", deletionPolicy="Delete")
    await scene.running("both")
    await scene.delete("both")
    await scene.gone("both")
    assert scene.appliance.backups == []


async def test_a_changed_policy_is_followed_both_ways(scene: Scene) -> None:
    await scene.create("fickle")
    await scene.running("fickle")
    scene.appliance.finish_all()
    await scene.condition("fickle", "Complete")
    await scene.change("fickle", deletionPolicy="Delete")
    await scene.until("fickle", lambda one: bool(one["metadata"].get("finalizers")))
    await scene.change("fickle", deletionPolicy="Retain")
    await scene.until("fickle", lambda one: not one["metadata"].get("finalizers"))


async def test_an_unreachable_engine_keeps_the_object_until_it_is_forced(scene: Scene) -> None:
    await scene.create("stuck", deletionPolicy="Delete")
    await scene.running("stuck")
    await scene.appliance.go_down()
    await scene.engine_condition("Ready", "False", "EngineUnreachable")
    await scene.delete("stuck")
    backup = await scene.condition("stuck", "Stalled", reason="EngineUnreachable")
    assert FORCE in find_condition(backup, "Stalled")["message"]  # type: ignore[index]
    assert backup["status"]["phase"] == "Deleting"

    await scene.annotate("stuck", FORCE, datetime.now(UTC).isoformat())
    await scene.gone("stuck")
    assert len(scene.appliance.backups) == 1


async def test_deleting_many_archives_at_once_is_held_until_acknowledged(scene: Scene) -> None:
    names = [f"many-{number}" for number in range(11)]
    for number, name in enumerate(names, 1):
        await scene.create(name, deletionPolicy="Delete")
        await scene.appliance.answered("POST /backups", times=number)
        scene.appliance.finish_all()  # or the next would find the console busy
    for name in names:
        await scene.condition(name, "Complete")
    with scene.operator.asleep():  # it sees the burst whole, however slowly the deletions come
        await asyncio.gather(*(scene.delete(name) for name in names))
    for name in names:
        await scene.condition(name, "Stalled", reason="DeletionHeld")
    assert len(scene.appliance.backups) == 11
    assert scene.appliance.count("DELETE /backups/{id}") == 0

    soon = datetime.now(UTC) + timedelta(seconds=2)
    await scene.annotate_engine(ACKNOWLEDGE, soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    for name in names:
        await scene.gone(name)
    assert scene.appliance.backups == []


async def test_a_namespace_goes_whatever_phases_its_backups_are_in(own_scene: Scene) -> None:
    scene = own_scene
    ends = {
        "Succeeded": scene.appliance.finish,
        "Failed": scene.appliance.fail,
        "Missing": scene.appliance.lose_archive,
    }
    for phase, end in ends.items():
        name = phase.lower()
        await scene.create(name, deletionPolicy="Delete")
        end((await scene.running(name))["status"]["id"])
        await scene.phase(name, phase)
    await scene.create("cancelled", deletionPolicy="Delete")
    await scene.running("cancelled")
    await scene.change("cancelled", cancel=True)
    await scene.phase("cancelled", "Cancelled")
    await scene.create("inprogress", deletionPolicy="Delete")
    await scene.running("inprogress")
    scene.appliance.deletion_seconds = None
    await scene.create("deleting", backupType="DATA", hostId=103, deletionPolicy="Delete")
    await scene.running("deleting")
    await scene.delete("deleting")
    await scene.appliance.answered("DELETE /backups/{id}", times=2)
    await scene.create("pending", deletionPolicy="Delete")
    await scene.condition("pending", "Busy", reason="HostBusy")
    await scene.create("engineless", engine="nowhere", deletionPolicy="Delete")
    await scene.condition("engineless", "Stalled", reason="EngineNotFound")
    await scene.create("retained")
    await scene.condition("retained", "Busy", reason="HostBusy")

    path = f"/api/v1/namespaces/{scene.namespace}"
    await scene.cluster.call("DELETE", path)
    scene.appliance.deletion_seconds = 0.0
    async with asyncio.timeout(PATIENCE_S):
        while (await scene.cluster.call("GET", scene.path()))["items"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while await scene.cluster.find(path) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert scene.appliance.backups == []  # every archive that was to go with its object has gone
