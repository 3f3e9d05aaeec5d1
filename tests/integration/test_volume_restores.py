"""Restores of volumes: real API server, operator and engine, and volumes that are directories."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.cluster import Cluster
from fixtures.data_engine import (
    DataEngine,
    data_engine,
    data_hosts,
    described_host,
    has_condition,
)
from fixtures.kinds import Objects, configurations, restores
from fixtures.scene import Body, Scene, find_condition

pytest_plugins = ["fixtures.volumes"]
pytestmark = [pytest.mark.cluster, pytest.mark.process]

PATIENCE_S = 100.0


@pytest.fixture
async def volumes(
    own_scene: Scene, sandbox: Cluster, tmp_path: Path, kopia: str
) -> AsyncIterator[DataEngine]:
    async with data_engine(own_scene, sandbox, tmp_path, kopia) as made:
        yield made


@contextlib.asynccontextmanager
async def data_host(made: DataEngine) -> AsyncIterator[None]:
    """Describe, enable and deploy the host by resources alone."""
    settings, enabled = configurations(made.scene), [{"hostname": made.host}]
    async with described_host(made):
        ref = {"name": made.name}
        await settings.create(made.host, engineRef=ref, dataBackupHostConfiguration=enabled)
        try:
            await settings.ready(made.host, "True", "InForce", within_s=PATIENCE_S)
            ready = data_hosts(made.scene).until
            await ready(made.host, lambda one: has_condition(one, "Ready"), within_s=PATIENCE_S)
            yield
        finally:
            await settings.delete(made.host)


async def test_a_tenant_gets_its_volumes_back_by_plan_and_approval_and_nobody_elses(
    volumes: DataEngine,
) -> None:
    scene = volumes.scene
    await volumes.fill("data", log="old", base="one")
    async with data_host(volumes):
        await volumes.back_up("whole")
        await scene.condition("whole", "Complete", within_s=PATIENCE_S)
        await volumes.fill("data", log="new", base="changed")
        wanted = restores(scene)
        await plan_is_carried_out(volumes, wanted)
        await what_is_in_the_way_is_waited_out(volumes, wanted)
        await another_namespace_is_refused(wanted)
        await a_point_in_time_is_gone_back_to(volumes, wanted)
        await a_killed_operator_restores_once(volumes, wanted)


async def plan_is_carried_out(made: DataEngine, wanted: Objects) -> None:
    volume = {"claim": "data", "targetClaim": "copy", "createClaim": True}
    await wanted.create("back", backupRef={"name": "whole"}, volumes=[volume])
    body = await wanted.ready("back", "True", "Planned", within_s=PATIENCE_S)
    plan = body["status"]["plan"]
    (told,) = plan["volumes"]
    assert (told["action"], told["filesTotal"], told["bytesTotal"]) == ("CreateClaim", 2, 6)
    assert plan["source"]["hostname"].startswith("shop-")
    assert not await asyncio.to_thread(made.folder("copy").exists)
    await wanted.change("back", mode="Apply", approvedPlan=plan["digest"])
    body = await wanted.ready("back", "True", "Succeeded", within_s=PATIENCE_S)
    (done,) = body["status"]["volumes"]
    assert (done["phase"], done["bytesDone"], done["filesDone"]) == ("Succeeded", 6, 2)
    assert body["status"]["progress"]["summary"] == "1 of 1 volumes, 6 B of 6 B"
    assert find_condition(body, "Finished")["status"] == "True"  # type: ignore[index]
    assert await made.read("copy", "log") == "old"


async def what_is_in_the_way_is_waited_out(made: DataEngine, wanted: Objects) -> None:
    await made.fill("later", mine="kept")
    paths = {"claim": "data", "paths": ["log"]}
    await wanted.create(
        "patient",
        engineRef={"name": made.name},
        hostname=made.host,
        volumes=[{"claim": "data", "targetClaim": "later"}, paths],
        mode="Apply",
        autoApprove=True,
    )
    body = await wanted.ready("patient", "False", "TargetNotEmpty", within_s=PATIENCE_S)
    assert find_condition(body, "Stalled")["status"] == "True"  # type: ignore[index]
    assert await made.read("later", "mine") == "kept"
    assert await made.read("data", "log") == "new"
    await asyncio.to_thread((made.folder("later") / "mine").unlink)
    await wanted.ready("patient", "True", "Succeeded", within_s=PATIENCE_S)
    assert await made.read("later", "base") == "one"
    assert (await made.read("data", "log"), await made.read("data", "base")) == ("old", "changed")


async def another_namespace_is_refused(wanted: Objects) -> None:
    ref: dict[str, Any] = {"backupRef": {"name": "whole"}}
    theirs = {"claim": "data", "targetNamespace": "default", "createClaim": True}
    await wanted.create("thief", **ref, volumes=[theirs], mode="Apply", autoApprove=True)
    await wanted.ready("thief", "False", "ForeignNamespace", within_s=PATIENCE_S)
    await wanted.create("objects", **ref, groups=["USERS_CONFIG"])
    await wanted.ready("objects", "False", "RestoreNotAllowed", within_s=PATIENCE_S)
    await wanted.create("unwanted", **ref, volumes=[theirs], cancel=True)
    await wanted.ready("unwanted", "False", "Cancelled", within_s=PATIENCE_S)


async def a_point_in_time_is_gone_back_to(made: DataEngine, wanted: Objects) -> None:
    scene = made.scene
    await made.fill("data", log="newest")
    await made.back_up("newest")
    newest = (await scene.condition("newest", "Complete", within_s=PATIENCE_S))["status"]
    whole = (await scene.get("whole"))["status"]
    began, between = whole["timeInitiated"], whole["timeCompleted"]
    assert began < between < newest["timeInitiated"]

    async def restore(name: str, when: str) -> Body:
        volume = {"claim": "data", "targetClaim": name, "createClaim": True}
        host_of = {"engineRef": {"name": made.name}, "hostname": made.host, "pointInTime": when}
        await wanted.create(name, **host_of, volumes=[volume], mode="Apply", autoApprove=True)
        return await wanted.until(name, lambda one: has_condition(one, "Finished"), PATIENCE_S)

    for name, when, source, log in (
        ("as-begun", began, "whole", "old"),
        ("as-between", between, "whole", "old"),
        ("as-of-newest", newest["timeInitiated"], "newest", "newest"),
    ):
        done = (await restore(name, when))["status"]
        assert (done["phase"], done["plan"]["source"]["name"]) == (
            "Succeeded",
            f"{source}-{scene.mark}",
        )
        assert await made.read(name, "log") == log

    early = await restore("too-early", "2020-01-01T00:00:00Z")
    ready = find_condition(early, "Ready")
    assert ready is not None
    assert (early["status"]["phase"], ready["reason"]) == ("Failed", "UnknownBackup")
    assert f"began by 2020-01-01T00:00:00.000Z; its oldest began at {began}" in ready["message"]


async def a_killed_operator_restores_once(made: DataEngine, wanted: Objects) -> None:
    before = len(await made.list_restores())
    volume = {"claim": "data", "targetClaim": "sturdy", "createClaim": True}
    await wanted.create(
        "sturdy",
        backupRef={"name": "whole"},
        volumes=[volume],
        mode="Apply",
        autoApprove=True,
    )
    await wanted.until("sturdy", lambda body: "launch" in body.get("status", {}), PATIENCE_S)
    made.scene.operator.kill()
    await made.scene.operator.start()
    await wanted.ready("sturdy", "True", "Succeeded", within_s=PATIENCE_S)
    assert await made.read("sturdy", "log") == "old"
    made_since = (await made.list_restores())[before:]
    assert [each["status"] for each in made_since] == ["SUCCESS"]
    body = await wanted.get("sturdy")
    assert made_since[0]["key"] == f"restore-{body['metadata']['uid']}"
