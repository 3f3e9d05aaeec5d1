"""Jobs on a real API server and its Job controller; the test is the kubelet."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backup_api.extensions.volume_targets import TargetState
from backup_engine.cluster import ClusterConnection
from backup_engine.host_definition import VolumeSelection, VolumeSnapshotMode
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.executor import HostRepository, RestoreRun, SnapshotRun
from backup_engine.volumes.jobs import JobExecutor
from backup_engine.volumes.kopia import ignore
from backup_engine.volumes.mover_job import REQUEST, MoverSettings
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.targets import TargetSeen, TargetWish
from backup_engine.volumes.volume import Volume
from fixtures.cluster import Cluster, run_kubectl

pytestmark = pytest.mark.cluster

KEYS = {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}
WITHIN_S = 100
A_DIRECTORY = {"hostPath": {"path": "/nowhere"}}
DRIVER = "csi.example.com"
SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
SNAPSHOT_KINDS = (
    ("volumesnapshots", "VolumeSnapshot", "Namespaced"),
    ("volumesnapshotclasses", "VolumeSnapshotClass", "Cluster"),
)


class Kubelet:
    """What the test does in the place of a node: says how pods and claims fare."""

    def __init__(self, kubectl: Callable[..., Any], namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    async def ask(self, *arguments: str, **options: Any) -> str:  # noqa: ANN401
        done = await asyncio.to_thread(
            self._kubectl, "--namespace", self._namespace, *arguments, **options
        )
        return str(done.stdout)

    async def list(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(await self.ask("get", kind, "-o", "json"))["items"]
        return found

    async def until_pod(self, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                pods = await self.list("pods")
                if len(pods) == count:
                    return pods[0]
                await asyncio.sleep(0.1)

    async def until_found(self, kind: str, name: str) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                for each in await self.list(kind):
                    if each["metadata"]["name"] == name:
                        return each
                await asyncio.sleep(0.1)

    async def until_only(self, kind: str, *names: str) -> None:
        """Wait for the garbage collector, which the engine does not wait for."""
        async with asyncio.timeout(WITHIN_S):
            while {each["metadata"]["name"] for each in await self.list(kind)} != set(names):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def claim(
        self, name: str, *, is_bound: bool = True, source: dict[str, Any] = A_DIRECTORY
    ) -> None:
        """Make a claim, and the volume that the real controller binds it to."""
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{self._namespace}-{name}"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                **source,
                "claimRef": {"namespace": self._namespace, "name": name},
                "storageClassName": "",
            },
        }
        if is_bound:
            await self.ask("create", "-f", "-", input=json.dumps(volume))
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {**spec, "storageClassName": ""},
        }
        await self.ask("create", "-f", "-", input=json.dumps(body))
        if is_bound:
            wanted = "--for=jsonpath={.status.phase}=Bound"
            await self.ask("wait", wanted, f"pvc/{name}", "--timeout=80s")

    async def end(self, pod: str, message: str, exit_code: int = 0) -> None:
        terminated = {
            "exitCode": exit_code,
            "message": message,
            "reason": "Completed" if not exit_code else "Error",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:00:01Z",
        }
        status = {
            "phase": "Failed" if exit_code else "Succeeded",
            "containerStatuses": [
                {
                    "name": "mover",
                    "image": "i",
                    "imageID": "i",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"terminated": terminated},
                }
            ],
        }
        await self.status("pod", pod, status)

    async def status(self, kind: str, name: str, status: dict[str, Any]) -> None:
        patch = json.dumps({"status": status})
        await self.ask("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)


@pytest.fixture
def kubelet(kubectl: Callable[..., Any], namespace: str) -> Kubelet:
    return Kubelet(kubectl, namespace)


@pytest.fixture
async def executor(sandbox: Cluster) -> AsyncIterator[JobExecutor]:
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        yield JobExecutor(cluster, MoverSettings("example/backup:1"), look_every_s=0.1)


def a_repository() -> HostRepository:
    place = RepositoryPlaces("s3://bucket", environment=KEYS).find(2, "shop")
    return HostRepository(2, "shop", place, "the-password")


def a_run(namespace: str, name: str) -> SnapshotRun:
    return SnapshotRun(f"{name}-{namespace}", Volume(namespace, "data"), a_repository(), 600)


async def test_claims_are_chosen_by_name_and_label_and_unbound_ones_told(
    executor: JobExecutor, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    await kubelet.claim("waiting", is_bound=False)

    chosen = await executor.list_volumes(
        [
            VolumeSelection(namespace, claim_names=("data", "absent")),
            VolumeSelection(namespace, selector={"matchLabels": {"app": "waiting"}}),
        ]
    )

    told = {each.volume.claim: each.trouble for each in chosen}
    assert told["data"] is None
    assert "no such claim" in str(told["absent"])
    assert "Pending" in str(told["waiting"])
    everything = await executor.list_volumes([VolumeSelection(namespace, selector={})])
    assert [each.volume.claim for each in everything] == ["data", "waiting"]
    with pytest.raises(VolumeError, match="no PersistentVolumeClaim"):
        await executor.list_volumes(
            [VolumeSelection(namespace, selector={"matchLabels": {"a": "b"}})]
        )


async def test_a_job_is_taken_over_ends_with_its_word_and_leaves_nothing(
    executor: JobExecutor, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    run = a_run(namespace, "weekly")
    first = asyncio.create_task(executor.snapshot(run, ignore))
    pod = await kubelet.until_pod()
    first.cancel()  # as far as the cluster can tell, the engine is gone
    with pytest.raises(asyncio.CancelledError):
        await first
    (job,) = await kubelet.list("jobs")

    second = asyncio.create_task(executor.snapshot(run, ignore))
    await kubelet.end(pod["metadata"]["name"], "{}")
    async with asyncio.timeout(WITHIN_S):
        await second

    assert pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    await kubelet.until_only("jobs")
    await kubelet.until_only("secrets")


async def test_a_mover_that_fails_tells_why_and_a_cancelled_backup_ends_its_jobs(
    executor: JobExecutor, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    failing = asyncio.create_task(executor.snapshot(a_run(namespace, "failing"), ignore))
    pod = await kubelet.until_pod()
    said = '{"reason":"RepositoryMissing","message":"it is gone"}'
    await kubelet.end(pod["metadata"]["name"], said, exit_code=3)
    with pytest.raises(VolumeError, match="it is gone") as trouble:
        async with asyncio.timeout(WITHIN_S):
            await failing
    assert trouble.value.reason == "RepositoryMissing"

    run = a_run(namespace, "cancelled")
    cancelled = asyncio.create_task(executor.snapshot(run, ignore))
    await kubelet.until_pod()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await executor.discard(run.archive_name)
    await kubelet.until_only("jobs")
    await kubelet.until_only("pods")


async def test_a_claim_that_is_there_is_seen_and_filled_and_the_figures_are_the_movers(
    executor: JobExecutor, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    source, copy = Volume(namespace, "data"), Volume(namespace, "copy")
    there = await executor.look(TargetWish(copy, source))
    assert there == TargetSeen(TargetState.PRESENT, (), 1024**3, "")
    assert (await executor.look(TargetWish(source, copy))).state is TargetState.ABSENT
    made = await executor.look(TargetWish(source, copy, is_new=True))
    assert (made.state, made.capacity_bytes) == (TargetState.ABSENT, 1024**3)

    run = RestoreRun(1, 0, namespace, copy, source, a_repository(), 600, paths=("base/1", "log"))
    heard: list[Progress] = []
    await executor.prepare(run)
    filling = asyncio.create_task(executor.restore(run, heard.append))
    pod = await kubelet.until_pod()
    (container,) = pod["spec"]["containers"]
    (request,) = [each["value"] for each in container["env"] if each["name"] == REQUEST]
    assert json.loads(request)["paths"] == ["base/1", "log"]
    assert not container["volumeMounts"][0].get("readOnly", False)
    await kubelet.end(pod["metadata"]["name"], '{"files":2,"bytes":8}')
    async with asyncio.timeout(WITHIN_S):
        await filling
    assert heard[-1] == Progress(files=2, bytes=8)


async def test_a_restore_makes_its_claim_and_never_takes_one_that_is_there(
    executor: JobExecutor, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    source, target = Volume(namespace, "data"), Volume(namespace, "copy")
    run = RestoreRun(1, 0, namespace, source, target, a_repository(), 600, is_new=True)
    taken = RestoreRun(1, 1, namespace, source, source, a_repository(), 600, is_new=True)
    with pytest.raises(VolumeError, match="exists already"):
        await executor.prepare(taken)

    await executor.prepare(run)
    restoring = asyncio.create_task(executor.restore(run, ignore))
    pod = await kubelet.until_pod()
    await kubelet.end(pod["metadata"]["name"], "{}")
    async with asyncio.timeout(WITHIN_S):
        await restoring

    claims = {each["metadata"]["name"]: each for each in await kubelet.list("pvc")}
    assert claims["copy"]["spec"]["resources"]["requests"]["storage"] == "1Gi"


@pytest.fixture(scope="module")
def snapshot_kinds(sandbox: Cluster) -> Iterator[None]:
    """The kinds of snapshots, as far as the engine knows them; gone when the module has ended."""
    for plural, kind, scope in SNAPSHOT_KINDS:
        body = json.dumps(a_definition(plural, kind, scope))
        run_kubectl(sandbox, "apply", "-f", "-", stdin=body)
    names = [f"crd/{plural}.{SNAPSHOT_GROUP}" for plural, _, _ in SNAPSHOT_KINDS]
    run_kubectl(sandbox, "wait", "--for=condition=Established", *names, "--timeout=60s")
    yield
    run_kubectl(sandbox, "delete", "--timeout=80s", *names)


@pytest.fixture
def snapshot_class(
    kubectl: Callable[..., Any],
    namespace: str,
    snapshot_kinds: None,  # noqa: ARG001 - they have to be there
) -> Iterator[str]:
    """The one VolumeSnapshotClass of the driver."""
    a_class = {
        "apiVersion": f"{SNAPSHOT_GROUP}/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": namespace},
        "driver": DRIVER,
        "deletionPolicy": "Delete",
    }
    kubectl("create", "-f", "-", input=json.dumps(a_class))
    yield namespace
    kubectl("delete", "volumesnapshotclass", namespace)


def a_definition(plural: str, kind: str, scope: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}} if scope == "Namespaced" else {},
    }
    approved = {"api-approved.kubernetes.io": "unapproved, of a test alone"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{SNAPSHOT_GROUP}", "annotations": approved},
        "spec": {
            "group": SNAPSHOT_GROUP,
            "scope": scope,
            "names": {"plural": plural, "kind": kind, "singular": kind.lower()},
            "versions": [version],
        },
    }


async def test_a_mover_reads_what_the_storage_copied_and_nothing_of_that_stays(
    executor: JobExecutor, kubelet: Kubelet, namespace: str, snapshot_class: str
) -> None:
    """The test is the snapshot controller."""
    await kubelet.claim("data", source={"csi": {"driver": DRIVER, "volumeHandle": namespace}})
    run = replace(a_run(namespace, "copied"), volume_snapshot=VolumeSnapshotMode.ALWAYS)
    first = asyncio.create_task(executor.snapshot(run, ignore))
    pod = await kubelet.until_pod()
    (job,) = await kubelet.list("jobs")
    name = job["metadata"]["name"]
    made = await kubelet.until_found("volumesnapshots", name)
    first.cancel()  # as far as the cluster can tell, the engine is gone
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(executor.snapshot(run, ignore))
    await kubelet.status("volumesnapshot", name, {"readyToUse": True})
    copy = await kubelet.until_found("pvc", name)
    await kubelet.end(pod["metadata"]["name"], "{}")
    async with asyncio.timeout(WITHIN_S):
        await second

    assert made["spec"] == {
        "source": {"persistentVolumeClaimName": "data"},
        "volumeSnapshotClassName": snapshot_class,
    }
    assert (copy["spec"]["dataSource"]["kind"], copy["spec"]["dataSource"]["name"]) == (
        "VolumeSnapshot",
        name,
    )
    assert copy["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == name
    mount = pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"]
    assert mount == f"/volumes/{namespace}/data", "kopia knows the volume again by its path"
    for each in (made, copy):  # Kubernetes removes them with the Job, whatever became of us
        assert each["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    await kubelet.until_only("jobs")
    await kubelet.until_only("pvc", "data")


async def test_a_snapshot_that_nobody_makes_fails_the_volume(
    sandbox: Cluster, kubelet: Kubelet, namespace: str, snapshot_class: str
) -> None:
    await kubelet.claim("data", source={"csi": {"driver": DRIVER, "volumeHandle": namespace}})
    run = replace(
        a_run(namespace, "unmade"),
        volume_snapshot=VolumeSnapshotMode.IF_POSSIBLE,
        volume_snapshot_class=snapshot_class,
    )
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        executor = JobExecutor(
            cluster, MoverSettings("example/backup:1"), start_within_s=1, look_every_s=0.1
        )
        with pytest.raises(VolumeError, match="no snapshot controller") as trouble:
            await executor.snapshot(run, ignore)
    assert trouble.value.reason == "VolumeSnapshotNotReady"
    assert await kubelet.list("jobs") == []


async def test_a_volume_whose_storage_makes_no_snapshots_is_read_itself_or_fails(
    executor: JobExecutor, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    wanted = a_run(namespace, "live")
    with pytest.raises(VolumeError, match="VolumeSnapshotClass") as trouble:
        await executor.snapshot(replace(wanted, volume_snapshot=VolumeSnapshotMode.ALWAYS), ignore)
    assert trouble.value.reason == "NoVolumeSnapshotClass"

    possible = replace(wanted, volume_snapshot=VolumeSnapshotMode.IF_POSSIBLE)
    reading = asyncio.create_task(executor.snapshot(possible, ignore))
    pod = await kubelet.until_pod()
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "data"
    await kubelet.end(pod["metadata"]["name"], "{}")
    async with asyncio.timeout(WITHIN_S):
        await reading


async def test_a_mover_that_does_not_start_is_given_up_with_the_schedulers_reason(
    sandbox: Cluster, kubelet: Kubelet, namespace: str
) -> None:
    await kubelet.claim("data")
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        executor = JobExecutor(
            cluster, MoverSettings("example/backup:1"), start_within_s=1, look_every_s=0.1
        )
        with pytest.raises(VolumeError, match="mover") as trouble:
            await executor.snapshot(a_run(namespace, "stuck"), ignore)
    assert trouble.value.reason == "MoverNotStarted"
    assert await kubelet.list("jobs") == []
