"""What ``/help`` says that a caller may do is what it meets, one capability at a time (spec §8)."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backup_api.endpoints import Endpoint
from backup_engine.auth.callers import Right
from backup_engine.auth.passwords import hash_password
from backup_engine.auth.reviews import AUDIENCE, RESOURCE_GROUP
from backup_engine.cluster import ClusterConnection
from backup_engine.routes.table import EXTENSION_RIGHTS, RIGHTS, Operation, list_operations
from fixtures.cluster import Cluster
from listserver import ListServer
from localengine import LocalEngine, local_engine

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PASSWORD = "correct horse: battery"
NEEDED: Mapping[Endpoint, Right | None] = {**RIGHTS, **EXTENSION_RIGHTS}
CALLS = {each.endpoint: each for each in list_operations() if each.endpoint is not None}
CAPABILITIES = tuple(sorted({right for right in NEEDED.values() if right}, key=str))


@pytest.fixture
async def engine(tmp_path: Path, sandbox: Cluster) -> AsyncIterator[LocalEngine]:
    """At rest on a real API server, which decides; requests bring no credentials of their own."""
    async with local_engine(tmp_path, sandbox.kubeconfig) as engine:
        engine.client.headers.pop("SEC")
        yield engine


async def make(cluster: ClusterConnection, path: str, document: Mapping[str, Any]) -> Any:  # noqa: ANN401
    async with cluster.request("POST", path, json=document) as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json()


async def token_with(cluster: ClusterConnection, namespace: str, right: Right) -> str:
    """Make a ServiceAccount with this right alone, and return a token of it."""
    name = f"{right.verb}-{right.resource}"
    role = f"{namespace}-{name}"
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    rule = {"apiGroups": [RESOURCE_GROUP], "resources": [right.resource], "verbs": [right.verb]}
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await make(cluster, accounts, {"metadata": {"name": name}})
    await make(cluster, f"{RBAC}/clusterroles", {"metadata": {"name": role}, "rules": [rule]})
    await make(
        cluster,
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": RBAC.split("/")[2], "kind": "ClusterRole", "name": role},
            "subjects": [account],
        },
    )
    asked = {"spec": {"audiences": [AUDIENCE]}}
    made = await make(cluster, f"{accounts}/{name}/token", asked)
    return str(made["status"]["token"])


async def forget(cluster: ClusterConnection, namespace: str, right: Right) -> None:
    for kind in ("clusterrolebindings", "clusterroles"):
        path = f"{RBAC}/{kind}/{namespace}-{right.verb}-{right.resource}"
        async with cluster.request("DELETE", path) as answer:
            await answer.read()


async def ask(engine: LocalEngine, call: Operation, headers: Mapping[str, str]) -> httpx2.Response:
    """Ask for something that does not exist, with an empty body: nothing can come of it."""
    path = re.sub(r"\{\w+\}", "999999", call.path)
    return await engine.send(call.method, path, headers={**headers, "Accept": "*/*"})


async def told(engine: LocalEngine, headers: Mapping[str, str]) -> dict[tuple[str, str], bool]:
    query = {"filter": 'version = "26.0"', "fields": "http_method,path,caller_has_access"}
    answer = await engine.send("GET", "/api/help/endpoints", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (row["http_method"], f"/api{row['path']}"): row["caller_has_access"]
        for row in answer.json()
    }


@pytest.mark.cluster
async def test_each_capability_opens_what_help_says_and_nothing_else(
    engine: LocalEngine, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "backup_engine.audit")

    async def compare(right: Right) -> None:
        bearer = {"Authorization": f"Bearer {await token_with(engine.cluster, namespace, right)}"}
        opened = next(CALLS[each] for each, needed in NEEDED.items() if needed == right)
        async with asyncio.timeout(100):  # until the API server's authorizer has seen the binding
            while (await ask(engine, opened, bearer)).status_code == 403:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        access = await told(engine, bearer)
        for endpoint, call in CALLS.items():
            needed = NEEDED[endpoint]
            is_open = needed is None or needed == right
            answer = await ask(engine, call, bearer)
            refused = answer.status_code == 403
            assert refused is not is_open, f"{right}: {call.method} {call.path}: {answer.text}"
            if refused:
                assert answer.json()["code"] == 26
            if endpoint in RIGHTS:  # the extensions are not the appliance's to describe
                assert access[call.method, call.path] is is_open, f"{right}: {call}"

    try:
        await asyncio.gather(*(compare(right) for right in CAPABILITIES))
    finally:
        await asyncio.gather(*(forget(engine.cluster, namespace, each) for each in CAPABILITIES))

    lines = [record.getMessage() for record in caplog.records]
    changing = [call for call in CALLS.values() if call.method != "GET"]
    account = f"who='system:serviceaccount:{namespace}:get-backups'"
    own = [line for line in lines if account in line]
    assert len(own) == len(changing)  # one each, and none of what it only read
    assert all("status=403 code=26" in line for line in own)


@pytest.mark.parametrize("way", ["token", "password", "cookie"])
async def test_services_and_users_may_do_everything_and_are_told_so(
    tmp_path: Path, source: ListServer, way: str
) -> None:
    """Neither has roles here (spec §13 no. 1)."""
    users = f"ada:{hash_password(PASSWORD)}\n"
    async with local_engine(tmp_path, source.kubeconfig(tmp_path), users=users) as engine:
        headers = {"SEC": engine.client.headers.pop("SEC")}
        if way != "token":
            basic = httpx2.BasicAuth("ada", PASSWORD)
            login = await engine.send("GET", "/api/system/about", auth=basic)
            engine.client.cookies.clear()
            headers = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}
            if way == "password":
                headers = {"Authorization": str(login.request.headers["Authorization"])}
        access = await told(engine, headers)
        assert len(access) == len(RIGHTS)
        assert all(access.values())
        for call in CALLS.values():
            assert (await ask(engine, call, headers)).status_code not in {401, 403}, call
