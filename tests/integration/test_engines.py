"""Which engine is asked, and what happens when it cannot be."""

import json

import pytest

from fixtures.scene import GROUP, Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]

DEFAULT = "backup-operator.io/is-default-engine"


async def test_an_engine_tells_what_it_is(scene: Scene) -> None:
    body = await scene.engine_condition("Ready", "True", "Connected")
    status = body["status"]

    assert status["productVersion"] == "7.5.0"
    assert status["apiVersion"] == "26.0"
    assert status["circuit"] == "Closed"
    assert {host["hostname"] for host in status["hosts"]} == {"console1", "ep1", "ep2", "ec1"}
    assert scene.appliance.token not in json.dumps(body)
    assert scene.appliance.token not in scene.operator.output()


async def test_the_default_engine_is_found_when_there_is_one(scene: Scene) -> None:
    await scene.create("any", engine=None)
    await scene.condition("any", "Stalled", reason="NoDefaultEngine")
    await scene.annotate_engine(DEFAULT, "true")
    await scene.running("any")
    scene.appliance.finish_all()
    await scene.condition("any", "Complete")

    other = await scene.create_engine(f"other-{scene.mark}", annotations={DEFAULT: "true"})
    await scene.engine_condition("Ready", "True", "Connected", name=other)  # the operator knows it
    await scene.create("which", engine=None)
    backup = await scene.condition("which", "Stalled", reason="SeveralDefaultEngines")
    message = find_condition(backup, "Stalled")["message"]  # type: ignore[index]
    assert other in message
    assert scene.engine in message
    assert scene.posts() == 1


async def test_an_engine_that_does_not_serve_the_namespace_is_told(scene: Scene) -> None:
    path = f"{GROUP}/backupengines/{scene.engine}"
    selector = {"matchLabels": {"backups": "yes"}}
    await scene.cluster.merge(path, {"spec": {"allowedNamespaces": {"selector": selector}}})
    await scene.engine_condition("Ready", "True", "Connected")
    await scene.create("alien")
    await scene.condition("alien", "Stalled", reason="NamespaceNotAllowed")
    assert scene.posts() == 0

    await scene.cluster.merge(
        path, {"spec": {"allowedNamespaces": {"selector": None, "names": [scene.namespace]}}}
    )
    await scene.running("alien")


async def test_backups_wait_for_an_engine_that_does_not_exist_yet(scene: Scene) -> None:
    name = f"later-{scene.mark}"
    await scene.create("early", engine=name)
    await scene.condition("early", "Stalled", reason="EngineNotFound")
    await scene.create_engine(name)
    await scene.running("early")


async def test_a_backup_never_moves_to_another_engine_of_the_same_name(scene: Scene) -> None:
    await scene.create("bound")
    await scene.running("bound")
    path = f"{GROUP}/backupengines/{scene.engine}"
    engine = await scene.cluster.call("GET", path)
    await scene.cluster.call("DELETE", path)
    await scene.condition("bound", "Stalled", reason="EngineNotFound")
    await scene.cluster.call(
        "POST",
        f"{GROUP}/backupengines",
        {
            "apiVersion": engine["apiVersion"],
            "kind": engine["kind"],
            "metadata": {"name": scene.engine},
            "spec": engine["spec"],
        },
    )
    await scene.condition("bound", "Stalled", reason="EngineReplaced")
    assert scene.posts() == 1


async def test_an_engine_that_is_down_gets_few_requests_and_backups_go_on(scene: Scene) -> None:
    await scene.create("before")
    await scene.running("before")
    await scene.appliance.go_down()
    await scene.engine_condition("Ready", "False", "EngineUnreachable")
    await scene.create("during", backupType="DATA", hostId=103)
    await scene.condition("before", "Reconciling", "True", "EngineUnreachable")
    await scene.condition("during", "Reconciling", "True", "EngineUnreachable")
    scene.appliance.finish_all()
    await scene.appliance.come_up()
    await scene.condition("before", "Complete")
    await scene.running("during")
    await scene.engine_condition("Ready", "True", "Connected")
    assert scene.created() == 2


async def test_requests_do_not_grow_with_the_number_of_backups(scene: Scene) -> None:
    scene.appliance.set_host_status(104, "Active")
    scene.appliance.enable_data_backup(104)
    await scene.create("ended", backupType="DATA", hostId=103)
    await scene.running("ended")
    scene.appliance.finish_all()
    await scene.condition("ended", "Complete")
    await scene.create("one")
    await scene.create("two", backupType="DATA", hostId=103)
    await scene.create("three", backupType="DATA", hostId=104)
    for name in ("one", "two", "three"):
        await scene.running(name)
    before = len(scene.appliance.requests)
    polls = scene.appliance.count("GET /backups")
    await scene.appliance.received("GET /backups", times=polls + 6)

    later = scene.appliance.requests[before:]
    filters = [one.query.get("filter", "") for one in later if one.path.endswith("/backups")]
    assert not any("id in" in text for text in filters)
    assert scene.appliance.count("GET /backups/{id}") == 0


async def test_wrong_credentials_are_told_and_a_rotated_secret_is_picked_up(scene: Scene) -> None:
    await scene.engine_condition("Ready", "True", "Connected")
    token = scene.appliance.rotate_token()
    await scene.create("locked")
    await scene.engine_condition("Stalled", "True", "Unauthorized")
    await scene.condition("locked", "Stalled", reason="Unauthorized")
    await scene.cluster.merge(
        f"/api/v1/namespaces/default/secrets/{scene.engine}", {"stringData": {"token": token}}
    )
    await scene.running("locked")
    assert scene.created() == 1


async def test_a_missing_secret_is_named(scene: Scene) -> None:
    name = f"secretless-{scene.mark}"
    scene.engines.append(name)
    ref = {"namespace": "default", "name": "nowhere"}
    await scene.cluster.call(
        "POST",
        f"{GROUP}/backupengines",
        {
            "apiVersion": "backup-operator.io/v1",
            "kind": "BackupEngine",
            "metadata": {"name": name},
            "spec": {"url": scene.appliance.url, "auth": {"secToken": {"secretRef": ref}}},
        },
    )
    await scene.create("poor", engine=name)
    backup = await scene.condition("poor", "Stalled", reason="SecretNotFound")
    assert "default/nowhere" in find_condition(backup, "Stalled")["message"]  # type: ignore[index]


async def test_an_unknown_certificate_is_told(scene: Scene) -> None:
    await scene.cluster.merge(
        f"{GROUP}/backupengines/{scene.engine}", {"spec": {"tls": {"caSecretRef": None}}}
    )
    await scene.engine_condition("Stalled", "True", "CertificateNotTrusted")
