"""The operator and the in-cluster engine together: hosts told, a namespace lost and restored."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fixtures.cluster import Cluster
from fixtures.data_engine import introduce
from fixtures.engine import EngineProcess, running_engine
from fixtures.kinds import Objects, restores
from fixtures.scene import Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]


@pytest.fixture
async def engine_process(
    scene: Scene, sandbox: Cluster, tmp_path: Path
) -> AsyncIterator[EngineProcess]:
    """A real engine, named for the scene."""
    with contextlib.ExitStack() as stack:
        running = running_engine(
            tmp_path / "engine", sandbox.kubeconfig, "--engine-name", f"in-cluster-{scene.mark}"
        )
        yield await asyncio.to_thread(stack.enter_context, running)
        await asyncio.to_thread(stack.close)


@pytest.fixture
async def in_cluster(scene: Scene, engine_process: EngineProcess) -> str:
    """A BackupEngine for that engine, which takes the Restores of the scene's namespace."""
    name = f"in-cluster-{scene.mark}"
    allowed = {"names": [scene.namespace]}
    await introduce(scene, name, engine_process, restoreNamespaces=allowed)
    return name


async def test_what_is_lost_comes_back_by_an_approved_plan(scene: Scene, in_cluster: str) -> None:
    core = "/api/v1/namespaces"
    lost, copy = f"lost-{scene.mark}", f"copy-{scene.mark}"
    await scene.cluster.call("POST", core, {"metadata": {"name": lost}})
    for number in range(5):
        body: dict[str, Any] = {"metadata": {"name": f"c{number}"}, "data": {"a": str(number)}}
        await scene.cluster.call("POST", f"{core}/{lost}/configmaps", body)
    await scene.create("whole", engine=in_cluster)
    await scene.condition("whole", "Complete")
    await scene.cluster.call("DELETE", f"{core}/{lost}/configmaps/c1")
    await scene.cluster.merge(f"{core}/{lost}/configmaps/c2", {"data": {"a": "changed"}})

    wanted = restores(scene)
    await wanted.create(
        "back",
        backupRef={"name": "whole"},
        groups=["DEPLOYMENT_CONFIG"],
        include=[{"namespace": lost, "kind": "ConfigMap", "name": "c*"}],
        existing="Update",
    )
    body = await wanted.ready("back", "True", "Planned")
    plan = body["status"]["plan"]
    assert (plan["counts"]["create"], plan["counts"]["update"]) == (1, 1)
    told = {(item["action"], item["name"]) for item in plan["items"]}
    assert told == {("create", "c1"), ("update", "c2")}
    assert await scene.cluster.find(f"{core}/{lost}/configmaps/c1") is None

    await wanted.change("back", mode="Apply", approvedPlan=plan["digest"])
    body = await wanted.ready("back", "True", "Succeeded")
    assert body["status"]["progress"]["failed"] == 0
    for name, value in (("c1", "1"), ("c2", "2")):
        found = await scene.cluster.call("GET", f"{core}/{lost}/configmaps/{name}")
        assert found["data"] == {"a": value}

    await copied(scene, wanted, in_cluster, body["status"]["backupId"], (lost, copy))
    for name in (lost, copy):
        await scene.cluster.call("DELETE", f"{core}/{name}")


async def copied(
    scene: Scene, wanted: Objects, engine: str, backup_id: int, names: tuple[str, str]
) -> None:
    """Restore the namespace once more under another name, without asking."""
    lost, copy = names
    await scene.cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": copy}})
    await wanted.create(
        "copied",
        backupId=backup_id,
        engineRef={"name": engine},
        groups=["DEPLOYMENT_CONFIG"],
        include=[{"namespace": lost, "kind": "ConfigMap", "name": "c*"}],
        namespaceMapping={lost: copy},
        mode="Apply",
        autoApprove=True,
    )
    await wanted.ready("copied", "True", "Succeeded")
    listed = await scene.cluster.call("GET", f"/api/v1/namespaces/{copy}/configmaps")
    assert {one["metadata"]["name"] for one in listed["items"]} >= {"c0", "c1", "c2", "c3", "c4"}


async def test_a_host_is_staged_until_a_deploy_puts_it_in_force(
    scene: Scene, in_cluster: str
) -> None:
    hosts = Objects(scene, "BackupHost", "backuphosts", is_namespaced=False)
    name, other = f"h-{scene.mark}", f"o-{scene.mark}"
    volumes = [{"namespace": scene.namespace, "selector": {}}]
    await hosts.create(name, type="Data", volumes=volumes, engineRef={"name": in_cluster})
    await hosts.create(other, type="Data", volumes=volumes, engineRef={"name": scene.engine})
    try:
        await hosts.ready(other, "False", "NotInCluster")  # an appliance has hosts of its own
        body = await hosts.ready(name, "False", "PendingDeploy")
        assert find_condition(body, "Staged")["status"] == "True"  # type: ignore[index]
        await scene.create("deploying", engine=in_cluster, deployStaged=True)
        # in force, and yet of no use: this engine has nothing to back volumes up with
        body = await hosts.ready(name, "False", "NoExecutor")
        assert find_condition(body, "Deployed")["status"] == "True"  # type: ignore[index]
        assert body["status"]["deployedGeneration"] == body["metadata"]["generation"]
        await scene.condition("deploying", "Complete")
    finally:
        await hosts.delete(name)
        await hosts.delete(other)


async def test_an_archive_that_rots_is_told_with_the_engines_reason(
    scene: Scene, in_cluster: str, engine_process: EngineProcess
) -> None:
    await scene.create("rots", engine=in_cluster)
    backup = await scene.condition("rots", "Valid")
    (archive,) = await asyncio.to_thread(lambda: list(engine_process.archives.rglob("*.tar")))
    await asyncio.to_thread(spoil, archive)
    await verify(engine_process, backup["status"]["id"])

    backup = await scene.condition("rots", "Valid", "False", "ChecksumMismatch")
    valid, ready = find_condition(backup, "Valid"), find_condition(backup, "Ready")
    assert valid is not None
    assert ready is not None
    assert "make another backup" in valid["message"]
    assert (ready["status"], ready["reason"]) == ("False", "ChecksumMismatch")
    assert find_condition(backup, "Complete")["status"] == "True"  # type: ignore[index]
    await scene.told("rots", "ChecksumMismatch")


def spoil(archive: Path) -> None:
    """Change one byte in the middle, as a bad disk does."""
    archive.chmod(0o600)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)


async def verify(engine: EngineProcess, backup_id: int) -> None:
    """Ask the engine to look at every byte, soon."""
    trusted = await asyncio.to_thread(ssl.create_default_context, cadata=engine.ca_pem)
    url = f"{engine.url}/api/backup_engine/backups/{backup_id}/verification"
    headers = {"SEC": engine.token, "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as session,
        session.post(url, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
