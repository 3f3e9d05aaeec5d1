"""Restores of volumes: real API server, operator and engine, and volumes that are directories."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fixtures.cluster import Cluster
from fixtures.engine import EngineProcess, running_engine
from fixtures.kinds import Objects, configurations, restores
from fixtures.scene import GROUP, Body, Scene, find_condition

pytest_plugins = ["fixtures.volumes"]
pytestmark = [pytest.mark.cluster, pytest.mark.process, pytest.mark.timeout(300)]

PATIENCE_S = 100.0


@dataclass
class Volumes:
    """An engine whose data host is all of the scene's namespace, with one DATA backup."""

    scene: Scene
    engine: EngineProcess
    root: Path
    name: str

    def folder(self, claim: str) -> Path:
        return self.root / self.scene.namespace / claim

    async def fill(self, claim: str, **files: str) -> None:
        def write() -> None:
            self.folder(claim).mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (self.folder(claim) / name).write_text(content)

        await asyncio.to_thread(write)

    async def read(self, claim: str, name: str) -> str:
        return await asyncio.to_thread((self.folder(claim) / name).read_text)

    async def list_restores(self) -> list[Body]:
        """Ask the engine itself."""
        trusted = await asyncio.to_thread(ssl.create_default_context, cadata=self.engine.ca_pem)
        url = f"{self.engine.url}/api/backup_engine/volume_restores"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as session,
            session.get(url, headers={"SEC": self.engine.token}) as answer,
        ):
            listed: list[Body] = await answer.json()
            return listed


@pytest.fixture
async def volumes(
    own_scene: Scene, sandbox: Cluster, tmp_path: Path, kopia: str
) -> AsyncIterator[Volumes]:
    scene, root = own_scene, tmp_path / "volumes"
    await asyncio.to_thread(root.mkdir)
    name = f"in-cluster-{scene.mark}"
    options = ("--engine-name", name, "--volumes-dir", str(root), "--kopia", kopia)
    with contextlib.ExitStack() as stack:
        running = running_engine(tmp_path / "engine", sandbox.kubeconfig, *options)
        engine = await asyncio.to_thread(stack.enter_context, running)
        made = Volumes(scene, engine, root, name)
        await introduce(scene, name, engine)
        yield made
        await asyncio.to_thread(stack.close)


async def introduce(scene: Scene, name: str, engine: EngineProcess) -> None:
    token, ca_pem = await asyncio.to_thread(lambda: (engine.token, engine.ca_pem))
    secret = {"metadata": {"name": name}, "stringData": {"token": token, "ca.crt": ca_pem}}
    await scene.cluster.call("POST", "/api/v1/namespaces/default/secrets", secret)
    ref = {"namespace": "default", "name": name}
    spec = {
        "url": engine.url,
        "auth": {"secToken": {"secretRef": ref}},
        "tls": {"caSecretRef": ref},
        "pollInterval": "1s",
        "requestsPerSecond": 50,
        "volumeRestoreNamespaces": {"names": [scene.namespace]},
    }
    body = {"apiVersion": "backup-operator.io/v1", "kind": "BackupEngine"}
    await scene.cluster.call(
        "POST", f"{GROUP}/backupengines", {**body, "metadata": {"name": name}, "spec": spec}
    )
    scene.engines.append(name)


@contextlib.asynccontextmanager
async def data_host(made: Volumes) -> AsyncIterator[str]:
    """Describe, enable and deploy the host by resources alone."""
    scene, ref = made.scene, {"name": made.name}
    hosts = Objects(scene, "BackupHost", "backuphosts", is_namespaced=False)
    host, settings = f"shop-{scene.mark}", configurations(scene)
    await hosts.create(
        host,
        type="Data",
        engineRef=ref,
        volumes=[{"namespace": scene.namespace, "selector": {}}],
    )
    enabled = [{"hostname": host}]
    await settings.create(host, engineRef=ref, dataBackupHostConfiguration=enabled)
    try:
        await settings.ready(host, "True", "InForce", within_s=PATIENCE_S)
        await hosts.until(host, is_ready, within_s=PATIENCE_S)
        yield host
    finally:
        await hosts.delete(host)
        await settings.delete(host)


def is_finished(body: Body) -> bool:
    found = find_condition(body, "Finished")
    return found is not None and found["status"] == "True"


def is_ready(body: Body) -> bool:
    found = find_condition(body, "Ready")
    return found is not None and found["status"] == "True"


async def test_a_tenant_gets_its_volumes_back_by_plan_and_approval_and_nobody_elses(
    volumes: Volumes,
) -> None:
    scene = volumes.scene
    await volumes.fill("data", log="old", base="one")
    async with data_host(volumes) as host:
        await scene.create("whole", engine=volumes.name, backupType="DATA", hostname=host)
        await scene.condition("whole", "Complete", within_s=PATIENCE_S)
        await volumes.fill("data", log="new", base="changed")
        wanted = restores(scene)
        await plan_is_carried_out(volumes, wanted)
        await what_is_in_the_way_is_waited_out(volumes, wanted, host)
        await another_namespace_is_refused(wanted)
        await a_point_in_time_is_gone_back_to(volumes, wanted, host)
        await a_killed_operator_restores_once(volumes, wanted)


async def plan_is_carried_out(made: Volumes, wanted: Objects) -> None:
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


async def what_is_in_the_way_is_waited_out(made: Volumes, wanted: Objects, host: str) -> None:
    await made.fill("later", mine="kept")
    paths = {"claim": "data", "paths": ["log"]}
    await wanted.create(
        "patient",
        engineRef={"name": made.name},
        hostname=host,
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


async def a_point_in_time_is_gone_back_to(made: Volumes, wanted: Objects, host: str) -> None:
    scene = made.scene
    await made.fill("data", log="newest")
    await scene.create("newest", engine=made.name, backupType="DATA", hostname=host)
    newest = (await scene.condition("newest", "Complete", within_s=PATIENCE_S))["status"]
    whole = (await scene.get("whole"))["status"]
    began, between = whole["timeInitiated"], whole["timeCompleted"]
    assert began < between < newest["timeInitiated"]

    async def restore(name: str, when: str) -> Body:
        volume = {"claim": "data", "targetClaim": name, "createClaim": True}
        host_of = {"engineRef": {"name": made.name}, "hostname": host, "pointInTime": when}
        await wanted.create(name, **host_of, volumes=[volume], mode="Apply", autoApprove=True)
        return await wanted.until(name, is_finished, PATIENCE_S)

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


async def a_killed_operator_restores_once(made: Volumes, wanted: Objects) -> None:
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
