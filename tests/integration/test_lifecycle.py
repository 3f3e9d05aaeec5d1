"""A Backup from its creation to its end, against a real API server."""

import pytest

from fixtures.scene import Scene, find_condition, phase_of

pytestmark = [pytest.mark.cluster, pytest.mark.process]


async def test_a_backup_is_requested_watched_and_told(scene: Scene) -> None:
    await scene.create("nice", description="before the upgrade")
    await scene.phase("nice", "InProgress")
    scene.appliance.finish_all()
    backup = await scene.condition("nice", "Complete")

    status = backup["status"]
    record = scene.appliance.backup(status["id"])
    assert scene.posts() == 1
    assert record["name"] == f"nice-{scene.mark}"
    assert phase_of(backup) == "Succeeded"
    assert status["status"] == "SUCCESS"
    assert status["sizeOnDisk"] == record["size_on_disk"]
    assert status["description"] == "before the upgrade"
    assert status["submission"]["attempts"] == 1
    assert status["engine"]["name"] == scene.engine
    assert status["engine"]["apiVersion"] == "26.0"
    assert status["observedGeneration"] == backup["metadata"]["generation"]
    expected = {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Complete": "True",
        "Failed": "False",
        "Finished": "True",
        "Valid": "True",
        "Compatible": "True",
    }
    assert {one["type"]: one["status"] for one in status["conditions"]} == expected
    assert "finalizers" not in backup["metadata"]


async def test_only_the_fields_asked_for_are_mirrored(scene: Scene) -> None:
    await scene.create("few", fields=["size_on_disk"])
    await scene.running("few")
    scene.appliance.finish_all()
    backup = await scene.condition("few", "Complete")

    assert {"id", "status", "sizeOnDisk"} <= set(backup["status"])
    assert not {"version", "contentFilePath", "timeInitiated"} & set(backup["status"])


async def test_a_failed_backup_ends_a_wait_for_finished(scene: Scene) -> None:
    await scene.create("bad")
    record_id = (await scene.running("bad"))["status"]["id"]
    scene.appliance.fail(record_id)
    backup = await scene.condition("bad", "Finished")

    assert backup["status"]["failure"]["reason"] == "BackupFailed"
    assert find_condition(backup, "Failed")["status"] == "True"  # type: ignore[index]
    assert find_condition(backup, "Complete")["status"] == "False"  # type: ignore[index]


async def test_a_lost_archive_is_told_and_comes_back(scene: Scene) -> None:
    await scene.create("lost")
    record_id = (await scene.running("lost"))["status"]["id"]
    scene.appliance.finish_all()
    await scene.condition("lost", "Complete")

    scene.appliance.lose_archive(record_id)
    await scene.phase("lost", "Missing")
    scene.appliance.return_archive(record_id)
    await scene.condition("lost", "Complete")
    scene.appliance.forget(record_id)
    backup = await scene.condition("lost", "Complete", "False", "RecordVanished")
    assert phase_of(backup) == "Missing"


async def test_drift_of_validity_is_noticed_after_the_end(scene: Scene) -> None:
    await scene.create("old")
    record_id = (await scene.running("old"))["status"]["id"]
    scene.appliance.finish_all()
    await scene.condition("old", "Valid")

    scene.appliance.invalidate(record_id)
    scene.appliance.make_incompatible(record_id)
    await scene.condition("old", "Valid", "False")
    backup = await scene.condition("old", "Compatible", "False")
    assert find_condition(backup, "Complete")["status"] == "True"  # type: ignore[index]


async def test_a_new_description_reaches_the_record(scene: Scene) -> None:
    await scene.create("words", description="one")
    record_id = (await scene.running("words"))["status"]["id"]
    await scene.change("words", description="two")
    await scene.until("words", lambda one: one["status"].get("description") == "two")
    scene.appliance.finish_all()
    await scene.condition("words", "Complete")
    await scene.change("words", description="three")
    await scene.until("words", lambda one: one["status"].get("description") == "three")
    assert scene.appliance.backup(record_id)["description"] == "three"


async def test_a_label_edit_causes_nothing(scene: Scene) -> None:
    await scene.create("still")
    await scene.running("still")
    scene.appliance.finish_all()
    before = await scene.condition("still", "Complete")
    edited = await scene.cluster.merge(
        scene.path("still"), {"metadata": {"labels": {"team": "blue"}}}
    )
    await scene.create("marker")  # handled after the edit, as watches keep their order
    await scene.running("marker")

    after = await scene.get("still")
    assert after["metadata"]["resourceVersion"] == edited["metadata"]["resourceVersion"]
    assert after["status"] == before["status"]


async def test_each_transition_is_told_by_one_event(own_scene: Scene) -> None:
    scene = own_scene
    await scene.create("loud")
    await scene.running("loud")
    scene.appliance.finish_all()
    await scene.condition("loud", "Complete")
    await scene.told("loud", "Succeeded")
    assert await scene.operator.stop() == 0

    assert await scene.event_reasons("loud") == ["Submitted", "Succeeded"]
