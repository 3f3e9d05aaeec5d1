"""The whole engine on a real API server: what it captures, and whom it lets in."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from fixtures.cluster import Cluster, Kubectl
from fixtures.engine import EngineProcess, running_engine
from localengine import BACKUPS

pytestmark = [pytest.mark.cluster, pytest.mark.process]

ROLE = "backup-engine-test"


@pytest.fixture
async def engine(tmp_path: Path, sandbox: Cluster) -> AsyncIterator[EngineProcess]:
    with running_engine(
        tmp_path / "engine", sandbox.kubeconfig, "--scan-interval", "0.2", "--log-level", "debug"
    ) as running:
        yield running


@pytest.fixture
async def client(engine: EngineProcess) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(engine, {"SEC": engine.token}) as client:
        yield client


def client_of(engine: EngineProcess, headers: dict[str, str]) -> httpx2.AsyncClient:
    trust = ssl.create_default_context(cafile=engine.ca_path)
    return httpx2.AsyncClient(base_url=engine.url, headers=headers, verify=trust, timeout=60)


async def create(client: httpx2.AsyncClient, name: str) -> httpx2.Response:
    body = {"name": name, "configuration_id": 1}
    return await client.post(BACKUPS, json=body, headers={"backup_type": "CONFIG"})


async def until(client: httpx2.AsyncClient, backup_id: int, status: str) -> dict[str, object]:
    async with asyncio.timeout(100):
        while True:
            record: dict[str, object] = (await client.get(f"{BACKUPS}/{backup_id}")).json()
            if record.get("status", "gone") == status:
                return record
            await asyncio.sleep(0.05)


async def test_a_backup_of_a_real_cluster(
    engine: EngineProcess, client: httpx2.AsyncClient, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("-n", namespace, "create", "configmap", "precious", "--from-literal=a=b")
    answer = await create(client, "first")
    assert answer.status_code == 201
    record = await until(client, answer.json()["id"], "SUCCESS")

    path = Path(str(record["content_file_path"]))
    assert record["is_valid"] is True
    assert [path] == list(engine.archives.iterdir())
    assert await asyncio.to_thread(lambda: path.stat().st_size) == record["size_on_disk"]


async def test_cancel_delete_and_a_file_that_goes_and_comes_back(
    engine: EngineProcess, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    backup_id = (await create(client, "cancelled")).json()["id"]
    answer = await client.delete(f"{BACKUPS}/{backup_id}")
    assert answer.json()["status"] == "CANCELLING"
    await until(client, backup_id, "gone")
    assert list(engine.archives.iterdir()) == []

    backup_id = (await create(client, "kept")).json()["id"]
    path = Path(str((await until(client, backup_id, "SUCCESS"))["content_file_path"]))
    await asyncio.to_thread(path.rename, tmp_path / "elsewhere")
    assert (await until(client, backup_id, "MISSING"))["is_valid"] is False
    await asyncio.to_thread((tmp_path / "elsewhere").rename, path)
    assert (await until(client, backup_id, "SUCCESS"))["is_valid"] is True

    answer = await client.delete(f"{BACKUPS}/{backup_id}")
    assert answer.json()["status"] == "DELETING"
    await until(client, backup_id, "gone")
    assert list(engine.archives.iterdir()) == []


async def test_kill_9_in_mid_capture_leaves_one_backup_and_one_archive(
    engine: EngineProcess, client: httpx2.AsyncClient
) -> None:
    created = (await create(client, "first")).json()
    engine.kill()
    engine.start()
    async with client_of(engine, {"SEC": engine.token}) as restarted:
        record = await until(restarted, created["id"], "SUCCESS")
        assert record["time_initiated"] == created["time_initiated"]
        assert len((await restarted.get(BACKUPS)).json()) == 1
    assert len(list(engine.archives.iterdir())) == 1


def token_for(kubectl: Kubectl, namespace: str, audience: str = "backup-engine") -> str:
    return kubectl(
        "-n", namespace, "create", "token", "default", f"--audience={audience}"
    ).stdout.strip()


def grant(kubectl: Kubectl, namespace: str, verbs: list[str]) -> None:
    """Let the namespace's ServiceAccount do ``verbs`` on backups, and nothing else."""
    name = f"{ROLE}-{namespace}"
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [
            {"apiGroups": ["engine.backup-operator.io"], "resources": ["backups"], "verbs": verbs}
        ],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    for document in (role, binding):
        kubectl("apply", "--filename=-", input=json.dumps(document))


async def test_a_service_account_may_what_its_role_says(
    engine: EngineProcess, kubectl: Kubectl, namespace: str
) -> None:
    bearer = {"Authorization": f"Bearer {token_for(kubectl, namespace)}"}
    async with client_of(engine, bearer) as client:
        answer = await client.get(BACKUPS)
        assert (answer.status_code, answer.json()["code"]) == (403, 26)
        assert "insufficient capabilities" in answer.json()["message"]
        for free in ("/api/system/about", "/api/help/versions", "/api/config/deployment/hosts"):
            assert (await client.get(free)).status_code == 200

        grant(kubectl, namespace, ["get", "create"])
        async with asyncio.timeout(100):  # a refusal is remembered for two seconds
            while (await client.get(BACKUPS)).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        answer = await create(client, "by-account")
        assert answer.status_code == 201
        account = f"system:serviceaccount:{namespace}:default"
        assert answer.json()["intiated_by"] == account
        refused = await client.delete(f"{BACKUPS}/{answer.json()['id']}")
        assert (refused.status_code, refused.json()["code"]) == (403, 26)
        # what /help tells must be what the same caller meets
        described = await client.get("/api/help/endpoints", params={"filter": "version = '26.0'"})
        access = {
            (row["http_method"], row["path"]): row["caller_has_access"] for row in described.json()
        }
        assert access["GET", "/backup_and_restore/backups"] is True
        assert access["POST", "/backup_and_restore/backups"] is True
        assert access["DELETE", "/backup_and_restore/backups/{id}"] is False
        assert access["POST", "/staged_config/deploy_status"] is False
        assert access["GET", "/system/about"] is True
        refused = await client.post("/api/staged_config/deploy_status", json={"type": "FULL"})
        assert (refused.status_code, refused.json()["code"]) == (403, 26)
    assert f"who='{account}'" in engine.log
    assert bearer["Authorization"].split()[1] not in engine.log


async def test_a_token_for_another_audience_or_of_nobody_is_refused(
    engine: EngineProcess, kubectl: Kubectl, namespace: str
) -> None:
    grant(kubectl, namespace, ["get"])
    elsewhere = token_for(kubectl, namespace, audience="somewhere-else")
    for token in (elsewhere, "nonsense", f"{elsewhere}x"):
        async with client_of(engine, {"Authorization": f"Bearer {token}"}) as client:
            answer = await client.get(BACKUPS)
            assert (answer.status_code, answer.json()["code"]) == (401, 18)
