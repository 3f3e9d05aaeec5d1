"""A capture of the sandbox's real API server holds what its own LIST gives."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.introduction import discover
from backup_engine.capture.listing import PageLimits
from backup_engine.capture.run import (
    CaptureError,
    CaptureLimits,
    CaptureRequest,
    capture,
    verify_archive,
)
from backup_engine.capture.scope import CaptureScope
from backup_engine.cluster import ClusterConnection
from fixtures.cluster import Cluster, Kubectl

pytestmark = pytest.mark.cluster

REQUEST = CaptureRequest(
    backup_id=1,
    name="real",
    host_id=1,
    hostname="console",
    time_initiated_ms=1_795_435_200_000,
    initiated_by="tests",
    product_version="0.1.0",
)
SERVED_WITHIN_S = 100.0
MANY = 1200  # in pages of a hundred
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.capture-test.example}
spec:
  group: capture-test.example
  names: {kind: Gadget, listKind: GadgetList, plural: gadgets, singular: gadget}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


@pytest.fixture
async def connection(sandbox: Cluster) -> AsyncIterator[ClusterConnection]:
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as connection:
        yield connection


@pytest.fixture
def store(tmp_path: Path) -> ArchiveStore:
    return ArchiveStore.open((tmp_path / "archives").as_uri())


@pytest.fixture
def gadgets(kubectl: Kubectl, namespace: str) -> str:
    """A custom kind and thirty objects of it; the namespace they are in."""
    kubectl("apply", "--filename=-", input=CRD)
    kubectl("wait", "--for=condition=Established", "crd/gadgets.capture-test.example")
    ends_at = time.monotonic() + SERVED_WITHIN_S
    while kubectl("get", "gadgets.capture-test.example", check=False).returncode:
        assert time.monotonic() < ends_at, "established, and not served"
    items = [
        {
            "apiVersion": "capture-test.example/v1",
            "kind": "Gadget",
            "metadata": {"name": f"gadget-{number}", "namespace": namespace},
            "spec": {"label": "größe\n\u2028", "ratio": 0.1 + number, "nothing": {"at": []}},
        }
        for number in range(30)
    ]
    kubectl(
        "create",
        "--filename=-",
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
    )
    return namespace


async def create_config_maps(connection: ClusterConnection, namespace: str, count: int) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    numbers = iter(range(count))

    async def create() -> None:
        for number in numbers:
            body = {"metadata": {"name": f"map-{number:05d}"}, "data": {"n": f"{number}" * 100}}
            async with connection.request("POST", path, json=body) as response:
                assert response.status == 201

    await asyncio.gather(*(create() for _ in range(16)))


async def list_plainly(connection: ClusterConnection, path: str) -> list[dict[str, Any]]:
    async with connection.request("GET", path) as response:
        if response.status == 404:  # a kind of another test, that goes
            return []
        assert response.status == 200
        return list((await response.json())["items"] or [])


async def captured(store: ArchiveStore, name: str) -> dict[str, dict[str, Any]]:
    """Return all objects of an archive by version, kind, namespace and name."""
    archive = await ArchiveReader.open(store.reader(name))
    found = {}
    async for entry, line in archive.list_objects(lambda _: True):
        key = f"{entry.api_version} {entry.kind} {entry.namespace}/{entry.name}"
        assert key not in found
        found[key] = json.loads(line)
    return found


async def list_all(connection: ClusterConnection) -> dict[str, dict[str, Any]]:
    """Return all objects of the cluster by version, kind, namespace and name."""
    listed = {}
    for kind in (await discover(connection, RetryPolicy())).kinds:
        for one in await list_plainly(connection, kind.path()):
            place = f"{one['metadata'].get('namespace')}/{one['metadata']['name']}"
            whole = {"apiVersion": kind.api_version, "kind": kind.kind} | one
            listed[f"{kind.api_version} {kind.kind} {place}"] = whole
    return listed


async def test_a_capture_equals_what_the_server_lists(
    connection: ClusterConnection, store: ArchiveStore, gadgets: str
) -> None:
    await create_config_maps(connection, gadgets, 700)
    listed = await list_all(connection)

    outcome = await capture(REQUEST, connection, store)

    later = await list_all(connection)  # controllers and what other tests left are at work
    found = await captured(store, outcome.archive_name)
    verdict = await verify_archive(store, outcome.archive_name)
    mine = {key for key in listed if f" {gadgets}/" in key}
    settled = listed.keys() & later.keys()
    assert verdict.is_valid, verdict
    assert len(mine) >= 730
    assert {key: found[key] for key in mine} == {key: listed[key] for key in mine}
    assert settled <= found.keys()
    kinds_of_all = [{key.split()[1] for key in keys} for keys in (settled, found)]
    assert kinds_of_all[0] <= kinds_of_all[1] <= {key.split()[1] for key in {**listed, **later}}
    assert "capture-test.example/v1 Gadget " + f"{gadgets}/gadget-29" in found
    assert next(iter(found)).startswith("apiextensions.k8s.io/v1 CustomResourceDefinition")


async def test_many_objects_are_paged_without_loss(
    connection: ClusterConnection, store: ArchiveStore, namespace: str
) -> None:
    await create_config_maps(connection, namespace, MANY)
    request = replace(REQUEST, name="paged", scope=CaptureScope(include_namespaces=(namespace,)))
    limits = CaptureLimits(page=PageLimits(objects=100))

    outcome = await capture(request, connection, store, limits=limits)

    found = await captured(store, outcome.archive_name)
    names = [key for key in found if f"{namespace}/map-" in key]
    assert names == [f"v1 ConfigMap {namespace}/map-{number:05d}" for number in range(MANY)]
    assert f"v1 Namespace None/{namespace}" in found
    assert (await verify_archive(store, outcome.archive_name)).is_valid


async def test_an_account_without_rights_fails_the_capture_and_names_the_kind(
    sandbox: Cluster, kubectl: Kubectl, namespace: str, store: ArchiveStore, tmp_path: Path
) -> None:
    account = ("--namespace", namespace, "serviceaccount", "powerless")
    await asyncio.to_thread(kubectl, "create", *account)
    token = await asyncio.to_thread(
        kubectl, "create", "token", "--namespace", namespace, "powerless"
    )
    path = await asyncio.to_thread(
        kubeconfig_with_token, sandbox.kubeconfig, tmp_path, token.stdout.strip()
    )

    async with ClusterConnection.from_kubeconfig(path) as connection:
        with pytest.raises(CaptureError, match="customresourcedefinitions") as caught:
            await capture(REQUEST, connection, store)

    assert caught.value.reason == "Forbidden"
    assert await store.list_names() == []


def kubeconfig_with_token(admin: Path, directory: Path, token: str) -> Path:
    document = yaml.safe_load(admin.read_text())
    document["users"] = [
        {"name": user["name"], "user": {"token": token}} for user in document["users"]
    ]
    for cluster in document["clusters"]:
        authority = cluster["cluster"].get("certificate-authority")
        if authority is not None:
            cluster["cluster"]["certificate-authority"] = str(admin.parent / authority)
    path = directory / "powerless"
    path.write_text(json.dumps(document))
    return path
