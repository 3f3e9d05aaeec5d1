"""Restores on a real API server, with a real operator and the fake appliance."""

import asyncio

import pytest

from appliance.faults import Moment
from appliance.journal import PATIENCE_S
from appliance.restores import Outage
from fixtures.cluster import Kubectl
from fixtures.kinds import Objects, restores
from fixtures.scene import GROUP, Body, Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]

CREATE = "POST /restores"
LAUNCH = "POST /restores/{id}"
GROUPS = ["DEPLOYMENT_CONFIG"]


def is_running(restore: Body) -> bool:
    return bool(restore.get("status", {}).get("phase") == "InProgress")


async def allow(scene: Scene) -> Objects:
    """Let the namespace of the scene restore with its engine."""
    change = {"spec": {"restoreNamespaces": {"names": [scene.namespace]}}}
    await scene.cluster.merge(f"{GROUP}/backupengines/{scene.engine}", change)
    return restores(scene)


def add_backup(scene: Scene) -> int:
    return int(scene.appliance.add_backup("old"))


async def request(scene: Scene, name: str, groups: list[str] | None = None, **spec: object) -> None:
    await restores(scene).create(
        name,
        backupId=add_backup(scene),
        engineRef={"name": scene.engine},
        groups=groups or GROUPS,
        **spec,
    )


async def test_a_plan_is_shown_approved_by_digest_and_carried_out(scene: Scene) -> None:
    wanted = await allow(scene)
    await request(scene, "careful")
    body = await wanted.ready("careful", "True", "Planned")
    status = body["status"]
    assert status["phase"] == "AwaitingApproval"
    assert "stop" in " ".join(status["plan"]["warnings"])
    assert scene.appliance.count(LAUNCH) == 0

    await wanted.change("careful", mode="Apply", approvedPlan="sha256:something-else")
    await wanted.ready("careful", "False", "PlanChanged")
    await wanted.change("careful", approvedPlan=status["plan"]["digest"])
    await wanted.until("careful", is_running)
    scene.appliance.finish_restore(status["id"])
    body = await wanted.ready("careful", "True", "Succeeded")

    assert body["status"]["backupId"] == status["backupId"], "kept, though the engine forgets it"
    assert body["status"]["launch"]["digest"] == status["plan"]["digest"]
    await wanted.until("careful", lambda one: "finalizers" not in one["metadata"])
    conditions = {one["type"]: one["status"] for one in body["status"]["conditions"]}
    assert {name for name, value in conditions.items() if value == "True"} == {
        *("Ready", "Planned", "Approved", "Complete", "Finished")
    }


async def test_a_namespace_that_is_not_named_may_not_even_plan(scene: Scene) -> None:
    await request(scene, "curious")
    body = await restores(scene).ready("curious", "False", "RestoreNotAllowed")
    assert "restoreNamespaces" in find_condition(body, "Ready")["message"]  # type: ignore[index]
    assert scene.appliance.count(CREATE) == 0


async def test_the_backup_of_a_reference_is_waited_for(scene: Scene) -> None:
    wanted = await allow(scene)
    await wanted.create("later", backupRef={"name": "source"}, groups=GROUPS)
    await wanted.ready("later", "False", "BackupNotFound")
    await scene.create("source")
    await wanted.ready("later", "False", "BackupNotFinished")
    await scene.running("source")
    scene.appliance.finish_all()
    body = await wanted.ready("later", "True", "Planned")
    assert body["status"]["backupId"] == (await scene.get("source"))["status"]["id"]
    await wanted.delete("later")
    await wanted.gone("later")


async def test_a_failed_backup_cannot_be_restored(scene: Scene) -> None:
    wanted = await allow(scene)
    await scene.create("broken")
    scene.appliance.fail((await scene.running("broken"))["status"]["id"])
    await scene.condition("broken", "Finished")
    await wanted.create("hopeless", backupRef={"name": "broken"}, groups=GROUPS)
    body = await wanted.ready("hopeless", "False", "BackupNotUsable")
    assert body["status"]["phase"] == "Failed"


async def test_a_final_refusal_tells_code_and_cause(scene: Scene) -> None:
    wanted = await allow(scene)
    ref = {"name": scene.engine}
    await wanted.create("unknown", backupId=4711, engineRef=ref, groups=GROUPS)
    body = await wanted.ready("unknown", "False", "BackupUnknown")
    assert body["status"]["failure"]["code"] == 1003


@pytest.mark.parametrize(
    ("status", "code", "reason", "words"),
    [(403, 26, "Forbidden", "refuses"), (500, 1000, "EngineUnwell", "failed at")],
    ids=["a right is lacking", "an error of its own"],
)
async def test_why_the_engine_does_not_go_along_is_told_until_it_does(
    scene: Scene, kubectl: Kubectl, status: int, code: int, reason: str, words: str
) -> None:
    wanted, name = await allow(scene), reason.lower()
    scene.appliance.faults.refuse("GET /restores", status, code, times=None)
    await request(scene, name)
    await wanted.ready(name, "False", reason)
    path = '{.status.conditions[?(@.type=="Ready")].message}'
    told = await asyncio.to_thread(
        kubectl,
        *("get", f"restore/{name}", f"--namespace={scene.namespace}"),
        f"--output=jsonpath={path}",
    )
    assert f"BackupEngine {scene.engine} {words} GET /backup_and_restore/restores" in told.stdout
    assert f"HTTP {status}, code {code}" in told.stdout
    scene.appliance.faults.clear()
    await wanted.ready(name, "True", "Planned")


async def test_an_error_after_the_engine_took_a_restore_makes_no_second_one(scene: Scene) -> None:
    wanted = await allow(scene)
    scene.appliance.faults.refuse("POST /restores", 500, 1000, moment=Moment.AFTER_ACTING)
    await request(scene, "doubtful")

    await wanted.ready("doubtful", "True", "Planned")

    assert scene.appliance.count("POST /restores") == 1
    assert len(scene.appliance.restores.records) == 1


async def test_another_open_restore_is_waited_for_and_named(scene: Scene) -> None:
    wanted = await allow(scene)
    other = scene.appliance.add_restore()
    await request(scene, "second")
    body = await wanted.ready("second", "False", "RestoreRunning")
    assert str(other) in find_condition(body, "Ready")["message"]  # type: ignore[index]
    scene.appliance.finish_restore(other)
    await wanted.ready("second", "True", "Planned")
    await wanted.delete("second")
    await wanted.gone("second")
    assert all(one.status != "PENDING" for one in scene.appliance.restores.records.values()), (
        "a plan that nobody wants any more keeps nobody waiting"
    )


async def test_a_dropped_record_ends_as_cancelled(scene: Scene) -> None:
    wanted = await allow(scene)
    scene.appliance.restores.restore_seconds = None
    await request(scene, "dropped", mode="Apply", autoApprove=True)
    body = await wanted.until("dropped", is_running)
    record = scene.appliance.restores.records[body["status"]["id"]]
    scene.appliance.restores.drop(record)
    body = await wanted.ready("dropped", "False", "Cancelled")
    assert body["status"]["phase"] == "Cancelled"


async def test_the_time_without_an_api_and_new_credentials_are_lived_through(
    own_scene: Scene,
) -> None:
    scene = own_scene
    wanted = await allow(scene)
    desk = scene.appliance.restores
    desk.outage, desk.restore_seconds = Outage.UNAVAILABLE, None
    desk.on_users_restored = scene.appliance.rotate_token
    await request(scene, "users", ["USERS_CONFIG"], mode="Apply", autoApprove=True)
    await wanted.ready("users", "False", "EngineAway")
    body = await wanted.get("users")
    assert find_condition(body, "Stalled")["status"] == "False"  # type: ignore[index]

    scene.appliance.finish_restore(body["status"]["id"])
    body = await wanted.ready("users", "False", "CredentialsWanted")
    assert find_condition(body, "CredentialsWanted")["status"] == "True"  # type: ignore[index]
    await scene.cluster.merge(
        f"/api/v1/namespaces/default/secrets/{scene.engine}",
        {"stringData": {"token": scene.appliance.token}},
    )
    body = await wanted.ready("users", "True", "Succeeded")
    assert find_condition(body, "CredentialsWanted") is None
    assert scene.appliance.count(LAUNCH) == 1


@pytest.mark.parametrize("call", [CREATE, LAUNCH])
async def test_kill_9_while_the_answer_is_under_way_never_restores_twice(
    own_scene: Scene, call: str
) -> None:
    """What a kill before a request or after its answer costs is in the kill table."""
    scene = own_scene
    wanted = await allow(scene)
    scene.appliance.restores.restore_seconds = None
    hold = scene.appliance.faults.hold(call, moment=Moment.AFTER_ACTING)
    await request(scene, "sturdy", mode="Apply", autoApprove=True)
    await hold.arrived()
    scene.operator.kill()
    hold.release()
    await scene.operator.start()
    body = await wanted.until("sturdy", is_running)
    scene.appliance.finish_restore(body["status"]["id"])
    await wanted.ready("sturdy", "True", "Succeeded")

    assert len(scene.appliance.restores.records) == 1
    assert scene.appliance.restores.unrecorded == []
    assert scene.appliance.count(LAUNCH) == 1


async def test_volumes_are_not_asked_of_an_appliance(scene: Scene) -> None:
    wanted = await allow(scene)
    ref, volumes = {"name": scene.engine}, [{"claim": "data"}]
    await wanted.create("volumes", backupId=1, engineRef=ref, volumes=volumes)
    body = await wanted.ready("volumes", "False", "VolumesNotSupported")
    assert body["status"]["phase"] == "Failed"
    assert scene.appliance.restores.records == {}


async def test_a_restore_deleted_while_the_engine_is_down_does_not_hang(scene: Scene) -> None:
    wanted = await allow(scene)
    await request(scene, "leaving")
    await wanted.ready("leaving", "True", "Planned")
    scene.appliance.faults.reset("GET /restores/{id}", times=100)
    await wanted.delete("leaving")
    await wanted.gone("leaving")


async def test_a_namespace_goes_whatever_phases_its_restores_are_in(own_scene: Scene) -> None:
    scene = own_scene
    wanted = await allow(scene)
    scene.appliance.restores.restore_seconds = None
    ref = {"name": scene.engine}
    await wanted.create("failed", backupId=4711, engineRef=ref, groups=GROUPS)
    await wanted.ready("failed", "False", "BackupUnknown")
    await request(scene, "dropped")
    await wanted.ready("dropped", "True", "Planned")
    await request(scene, "waiting", mode="Apply", autoApprove=True)
    body = await wanted.ready("waiting", "False", "RestoreRunning")
    told = find_condition(body, "Ready")["message"]  # type: ignore[index]
    assert f"delete Restore {scene.namespace}/dropped, to make room" in told
    await wanted.create("sourceless", backupRef={"name": "nothing"}, groups=GROUPS)
    await wanted.ready("sourceless", "False", "BackupNotFound")
    await wanted.create("engineless", backupId=1, engineRef={"name": "nowhere"}, groups=GROUPS)
    await wanted.ready("engineless", "False", "EngineNotFound")
    await scene.cluster.call(
        "POST",
        f"{GROUP}/namespaces/{scene.namespace}/backupschedules",
        {
            "apiVersion": "backup-operator.io/v1",
            "kind": "BackupSchedule",
            "metadata": {"name": "nightly"},
            "spec": {"schedule": "@daily", "template": {"spec": {"backupType": "CONFIG"}}},
        },
    )
    await wanted.delete("dropped")
    await wanted.until("waiting", is_running)

    path = f"/api/v1/namespaces/{scene.namespace}"
    await scene.cluster.call("DELETE", path)
    async with asyncio.timeout(PATIENCE_S):
        while await scene.cluster.find(path) is not None:  # noqa: ASYNC110 - a state is waited for
            await asyncio.sleep(0.1)
    assert [one.status for one in scene.appliance.restores.records.values()] == ["IN_PROGRESS"]
