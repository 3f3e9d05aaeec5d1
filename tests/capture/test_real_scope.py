"""What a real API server makes of scopes, policies and objects of unusual size."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backup_engine.archive.manifest import Manifest
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.browse.comparing import compare
from backup_engine.browse.sides import ArchiveSide, LiveSide
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.listing import PageLimits
from backup_engine.capture.pacing import Pacing
from backup_engine.capture.policy import SuccessPolicy
from backup_engine.capture.request import CaptureLimits, CaptureOutcome, CaptureRequest
from backup_engine.capture.run import CaptureError, capture
from backup_engine.capture.scope import CaptureScope
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.live import LiveCluster
from backup_engine.restore.selection import Selection
from backup_engine.selectors import parse_label_selector
from fixtures.cluster import Cluster, Kubectl

pytestmark = pytest.mark.cluster

REQUEST = CaptureRequest(
    backup_id=1,
    name="scoped",
    host_id=1,
    hostname="console",
    time_initiated_ms=1_795_435_200_000,
    initiated_by="tests",
    product_version="0.1.0",
)
LARGE = 1_500_000  # bytes, just below what etcd takes; a ConfigMap may hold no more than 1 MiB
DOWN = "down.capture-test.example"
FORGOTTEN_WITHIN_S = 100.0


@pytest.fixture
async def cluster(sandbox: Cluster) -> AsyncIterator[ClusterConnection]:
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path: Path) -> ArchiveStore:
    return ArchiveStore.open((tmp_path / "archives").as_uri())


async def send(
    cluster: ClusterConnection, method: str, path: str, body: dict[str, Any] | None = None
) -> int:
    async with cluster.request(method, path, json=body) as response:
        await response.read()
        return response.status


def a_map(name: str, app: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": app}}, "data": {"a": name}}


async def read(
    store: ArchiveStore, outcome: CaptureOutcome
) -> tuple[Manifest, dict[str, dict[str, Any]]]:
    """Return manifest and objects, by kind, namespace and name; the archive must be valid."""
    assert (await verify_archive(store, outcome.archive_name)).is_valid
    reader = await ArchiveReader.open(store.reader(outcome.archive_name))
    return reader.manifest, {
        f"{entry.kind} {entry.namespace or '-'}/{entry.name}": json.loads(line)
        async for entry, line in reader.list_objects(lambda _: True)
    }


async def test_globs_choose_namespaces_and_labels_choose_among_their_objects(
    cluster: ClusterConnection, store: ArchiveStore, namespace: str
) -> None:
    for suffix in ("web", "db", "old"):
        created = {"metadata": {"name": f"{namespace}-{suffix}", "labels": {"scene": namespace}}}
        assert await send(cluster, "POST", "/api/v1/namespaces", created) == 201
        path = f"/api/v1/namespaces/{namespace}-{suffix}/configmaps"
        for app in ("shop", "test"):
            assert await send(cluster, "POST", path, a_map(app, app)) == 201
    scope = CaptureScope(
        include_namespaces=(f"{namespace}-*",),
        exclude_namespaces=("*-old",),
        namespace_selector=parse_label_selector(f"scene={namespace}"),
        object_selector=parse_label_selector("app in (shop,other),!beta"),
    )

    outcome = await capture(replace(REQUEST, scope=scope), cluster, store)
    manifest, found = await read(store, outcome)
    reader = await ArchiveReader.open(store.reader(outcome.archive_name))
    archived = ArchiveSide(reader, Selection())
    live = LiveSide(LiveCluster(cluster, RetryPolicy()), Selection(), archived.scope)
    different = await compare(archived, live)

    assert (different.entries, different.same) == ([], 4)  # what was left out is none
    assert manifest.scope.namespaces == (f"{namespace}-db", f"{namespace}-web")
    assert set(found) == {
        *(f"Namespace -/{namespace}-{suffix}" for suffix in ("web", "db")),
        *(f"ConfigMap {namespace}-{suffix}/shop" for suffix in ("web", "db")),
    }
    for suffix in ("web", "db", "old"):
        await send(cluster, "DELETE", f"/api/v1/namespaces/{namespace}-{suffix}")


@pytest.fixture
def boulders(kubectl: Kubectl) -> str:
    """A custom kind that may hold anything; the path to put its objects below a namespace."""
    group, names = "capture-test.example", {"kind": "Boulder", "plural": "boulders"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boulders.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced",
            "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
        },
    }
    kubectl("apply", "--filename=-", input=json.dumps(definition))
    kubectl("wait", "--for=condition=Established", f"crd/boulders.{group}")
    return f"/apis/{group}/v1/namespaces/{{}}/boulders"


async def test_objects_of_one_and_a_half_megabytes_are_captured_whole(
    cluster: ClusterConnection, store: ArchiveStore, namespace: str, boulders: str
) -> None:
    path = boulders.format(namespace)
    kind = {"apiVersion": "capture-test.example/v1", "kind": "Boulder"}
    for number in range(6):
        body = kind | {"metadata": {"name": f"big-{number}"}, "spec": {"x": f"{number}" * LARGE}}
        async with asyncio.timeout(100):  # until the new kind is served
            while (status := await send(cluster, "POST", path, body)) == 404:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert status == 201
    request = replace(REQUEST, scope=CaptureScope(include_namespaces=(namespace,)))

    _, found = await read(store, await capture(request, cluster, store))

    for number in range(6):
        assert found[f"Boulder {namespace}/big-{number}"]["spec"] == {"x": f"{number}" * LARGE}


async def test_a_namespace_deleted_in_mid_capture_costs_nothing_but_its_objects(
    cluster: ClusterConnection, store: ArchiveStore, kubectl: Kubectl, namespace: str
) -> None:
    doomed = f"{namespace}-doomed"
    assert await send(cluster, "POST", "/api/v1/namespaces", {"metadata": {"name": doomed}}) == 201
    for place in (doomed, namespace):
        for number in range(30):
            path = f"/api/v1/namespaces/{place}/configmaps"
            assert await send(cluster, "POST", path, a_map(f"map-{number:02d}", "x")) == 201
    rests = 0

    async def delete_on_the_way(_: float) -> None:
        nonlocal rests
        rests += 1
        if rests == 4:  # namespaces are listed, ConfigMaps half-way
            await asyncio.to_thread(kubectl, "delete", "namespace", doomed, "--timeout=60s")

    request = replace(REQUEST, scope=CaptureScope(include_namespaces=(namespace, doomed)))
    limits = CaptureLimits(
        PageLimits(5), kinds_abreast=1, pacing=Pacing(rest_ratio=1, sleep=delete_on_the_way)
    )

    _, found = await read(store, await capture(request, cluster, store, limits=limits))

    assert rests > 4
    assert await send(cluster, "GET", f"/api/v1/namespaces/{doomed}") == 404
    kept = [key for key in found if key.startswith(f"ConfigMap {namespace}/map-")]
    assert len(kept) == 30
    assert f"Namespace -/{doomed}" in found


@pytest.fixture
def group_that_is_down(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    """An aggregated API whose service does not exist."""
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{DOWN}"},
        "spec": {
            "group": DOWN,
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "insecureSkipTLSVerify": True,
            "service": {"name": "absent", "namespace": namespace},
        },
    }
    kubectl("apply", "--filename=-", input=json.dumps(service))
    try:
        yield DOWN
    finally:
        kubectl("delete", "apiservice", f"v1.{DOWN}")
        ends_at = time.monotonic() + FORGOTTEN_WITHIN_S
        while DOWN in (told := kubectl("api-resources", check=False)).stdout + told.stderr:
            assert time.monotonic() < ends_at, told.stderr  # who captures next must not meet it


async def test_an_aggregated_api_that_is_down_fails_the_capture_unless_that_is_tolerated(
    cluster: ClusterConnection, store: ArchiveStore, namespace: str, group_that_is_down: str
) -> None:
    request = replace(REQUEST, scope=CaptureScope(include_namespaces=(namespace,)))

    async def capture_until_discovery_tells_of_the_group() -> None:
        while True:
            outcome = await capture(request, cluster, store)
            await store.delete(outcome.archive_name)

    with pytest.raises(CaptureError, match=group_that_is_down) as caught:
        await asyncio.wait_for(capture_until_discovery_tells_of_the_group(), 150)
    assert caught.value.reason == "StaleDiscovery"

    policy = SuccessPolicy(tolerate_unavailable=(f"*.{group_that_is_down}",))
    manifest, found = await read(
        store, await capture(replace(request, policy=policy), cluster, store)
    )

    noted = [skip.reason for skip in manifest.skipped if skip.key == (group_that_is_down, "*")]
    assert noted == ["StaleDiscovery"]
    assert f"Namespace -/{namespace}" in found


async def test_a_forbidden_kind_is_noted_where_the_policy_tolerates_it(
    kubectl: Kubectl, namespace: str, store: ArchiveStore, tmp_path: Path
) -> None:
    place = ("--namespace", namespace)
    rights = ("--verb=list,get", "--resource=configmaps,serviceaccounts")
    await asyncio.to_thread(kubectl, "create", *place, "serviceaccount", "reader")
    await asyncio.to_thread(kubectl, "create", *place, "role", "reader", *rights)
    subject = f"--serviceaccount={namespace}:reader"
    await asyncio.to_thread(
        kubectl, "create", *place, "rolebinding", "reader", "--role=reader", subject
    )
    may = ("auth", "can-i", *place, "list", "configmaps")
    me = f"--as=system:serviceaccount:{namespace}:reader"
    async with asyncio.timeout(100):  # until the authorizer has seen the binding
        while (await asyncio.to_thread(kubectl, *may, me, check=False)).stdout != "yes\n":
            pass
    token = await asyncio.to_thread(kubectl, "create", *place, "token", "reader")
    document = json.loads(
        (await asyncio.to_thread(kubectl, "config", "view", "--raw", "--output=json")).stdout
    )
    for user in document["users"]:
        user["user"] = {"token": token.stdout.strip()}
    kubeconfig = tmp_path / "reader"
    kubeconfig.write_text(json.dumps(document))
    scope = CaptureScope(
        include_namespaces=(namespace,),
        include_kinds=("configmaps", "serviceaccounts", "secrets."),
    )
    request = replace(REQUEST, scope=scope)
    tolerant = replace(request, policy=SuccessPolicy(tolerate_forbidden=("secrets.",)))

    async with ClusterConnection.from_kubeconfig(kubeconfig) as reader:
        with pytest.raises(CaptureError, match="secrets") as caught:
            await capture(request, reader, store)
        manifest, found = await read(store, await capture(tolerant, reader, store))

    assert caught.value.reason == "Forbidden"
    assert ("secrets", "Forbidden") in {(one.resource, one.reason) for one in manifest.skipped}
    assert f"ServiceAccount {namespace}/reader" in found
