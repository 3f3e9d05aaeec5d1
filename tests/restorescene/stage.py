"""A real API server with one scene on it: create, capture, wipe, compare."""

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.discovery import Kind
from backup_engine.capture.introduction import discover
from backup_engine.capture.run import CaptureRequest, capture
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.selection import ObjectRule, Selection
from restorescene.objects import Object, Scene

DEADLINE_S = 150.0
RESTLESS = frozenset({"Event", "Lease", "Endpoints", "IPAddress"})
RESTLESS_STATUS = frozenset({"HorizontalPodAutoscaler", "Pod", "PodDisruptionBudget"})
MAKERS = frozenset(
    {
        "CronJob",
        "DaemonSet",
        "Deployment",
        "Job",
        "ReplicaSet",
        "ReplicationController",
        "Service",
        "StatefulSet",
    }
)
GENERATED = frozenset({"ConfigMap kube-root-ca.crt", "ServiceAccount default"})


@dataclass
class Stage:
    """Everything of one test lies in namespaces ``prefix-…`` or is named after ``prefix``."""

    connection: ClusterConnection
    kubeconfig: Path
    archives: Path
    prefix: str
    _captures: int = 0

    @property
    def store(self) -> ArchiveStore:
        return ArchiveStore.open(self.archives.as_uri())

    def selection(self, *exclude: ObjectRule) -> Selection:
        """What of an archive of the whole cluster is ours."""
        return Selection(
            include=(
                ObjectRule(namespace=f"{self.prefix}-*"),
                ObjectRule(name=self.prefix),
                ObjectRule(name=f"{self.prefix}.example"),
                ObjectRule(name=f"*.{self.prefix}.example"),
            ),
            exclude=exclude,
        )

    async def request(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:  # noqa: ANN401
        async with self.connection.request(method, path, **sent) as response:
            if response.content_type != "application/json":  # a kind that has just gone
                return response.status, await response.text()
            return response.status, await response.json()

    async def get(self, path: str) -> Any:  # noqa: ANN401
        status, body = await self.request("GET", path)
        assert status == 200, body
        return body

    async def create(self, *objects: Object) -> list[str]:
        """Create objects, waiting where controllers have to go first; return their uids."""
        kinds = await self._kinds()
        uids = []
        for one in objects:
            key = one["apiVersion"], one["kind"]
            async with deadline() as expired:
                while key not in kinds:
                    expired(key)
                    kinds = await self._kinds()
                while True:
                    path = kinds[key].path(one["metadata"].get("namespace"))
                    status, body = await self.request("POST", path, json=one)
                    if status == 201:
                        break
                    assert status in {403, 404}, body
                    expired(body)
                    await asyncio.sleep(0.05)
            uids.append(body["metadata"]["uid"])
        return uids

    async def create_scene(self, scene: Scene) -> None:
        uids = dict(zip(map(id, scene.objects), await self.create(*scene.objects), strict=True))
        for owner, one in scene.owned:
            reference = {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": uids[id(owner)],
                "controller": True,
                "blockOwnerDeletion": True,
            }
            owned = copy.deepcopy(one)
            owned["metadata"]["ownerReferences"] = [reference]
            (uids[id(one)],) = await self.create(owned)

    async def capture(self) -> Path:
        """Capture the whole cluster; return the archive's path."""
        self._captures += 1
        request = CaptureRequest(
            backup_id=self._captures,
            name=f"{self.prefix}.{self._captures}",
            host_id=1,
            hostname="console",
            time_initiated_ms=time.time_ns() // 1_000_000,
            initiated_by=None,
            product_version="0",
        )
        return self.archives / (await capture(request, self.connection, self.store)).archive_name

    async def open(self, archive: Path) -> ArchiveReader:
        return await ArchiveReader.open(self.store.reader(archive.name))

    async def read(self, archive: Path) -> dict[str, Object]:
        """Return all objects of ours in an archive by kind, namespace and name."""
        found = {}
        async for entry, line in (await self.open(archive)).list_objects(lambda _: True):
            place = entry.namespace or entry.name
            if entry.kind in RESTLESS or self.prefix not in place:
                continue
            found[f"{entry.kind} {entry.namespace or ''}/{entry.name}"] = json.loads(line)
        return found

    async def read_settled(self) -> dict[str, Object]:
        """Return all objects of ours once controllers have done with what is new."""
        before = await self.read(await self.capture())
        async with deadline() as expired:
            while versions(after := await self.read(await self.capture())) != versions(before):
                expired("nothing that changes any more")
                before = after
        return after

    async def count_config_maps(self) -> int:
        """Count those of a scene's namespaces."""
        found = 0
        for namespace in ("a", "b"):
            path = f"/api/v1/namespaces/{self.prefix}-{namespace}/configmaps"
            _, body = await self.request("GET", path, params={"limit": "1"})
            found += len(body["items"]) + (body["metadata"].get("remainingItemCount") or 0)
        return found

    async def wipe(self, *, is_awaited: bool = True) -> None:
        """Delete everything of ours and, unless the test is over, wait until it is gone."""
        ours: dict[str, Kind] = {}
        for kind in (await self._kinds()).values():
            if kind.is_namespaced:
                continue
            for one in (await self.get(kind.path()))["items"] or ():
                name = one["metadata"]["name"]
                if self.prefix in name:
                    ours[f"{kind.path()}/{name}"] = kind
        # webhooks and policies first, for they could hold up the rest
        for path in sorted(ours, key=lambda path: "admission" not in path):
            await self.request("DELETE", path)
        for path in ours if is_awaited else ():
            await self.eventually_gone(path)

    async def eventually_gone(self, path: str) -> None:
        async with deadline() as expired:
            while (await self.request("GET", path))[0] != 404:
                expired(path)
                await asyncio.sleep(0.05)

    async def equals(self, wanted: Mapping[str, Object]) -> None:
        """Fail unless the cluster soon holds ``wanted``, normalised."""
        expected = normalised(wanted)
        found: dict[str, Object] = {}
        async with deadline() as expired:
            while True:
                found = normalised(await self.read(await self.capture()))
                if found == expected:
                    return
                lost, added = expected.keys() - found.keys(), found.keys() - expected.keys()
                differing = {
                    key: (expected[key], found[key])
                    for key in expected.keys() & found.keys()
                    if expected[key] != found[key]
                }
                expired(f"lost {lost}, added {added}, differing {differing}")
                await asyncio.sleep(0.2)

    async def _kinds(self) -> dict[tuple[str, str], Kind]:
        kinds = (await discover(self.connection, RetryPolicy())).kinds
        return {(kind.api_version, kind.kind): kind for kind in kinds}


@asynccontextmanager
async def deadline(within_s: float = DEADLINE_S) -> AsyncIterator[Callable[[object], None]]:
    """Yield a function that fails the test once the time is over, saying what is awaited."""
    end = time.monotonic() + within_s

    def expired(what: object) -> None:
        assert time.monotonic() < end, f"not within {within_s} s: {what}"

    yield expired


def versions(objects: Mapping[str, Object]) -> dict[str, str]:
    """Return resource versions, of kinds apart whose controllers keep writing their status."""
    return {
        key: one["metadata"]["resourceVersion"]
        for key, one in objects.items()
        if key.split()[0] not in RESTLESS_STATUS and not is_made(one)
    }


def is_made(one: Object) -> bool:
    """Tell whether a controller made this object."""
    owners = one["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["kind"] in MAKERS for owner in owners)


def normalised(objects: Mapping[str, Object]) -> dict[str, Object]:
    """Return what has to be equal of the objects that no controller makes.

    Written apart from the tables of the restore, so that a row too many in those shows up here.
    """
    return {
        key: _normalise(copy.deepcopy(one))
        for key, one in objects.items()
        if not is_made(one) and f"{one['kind']} {one['metadata']['name']}" not in GENERATED
    }


def _normalise(one: Object) -> Object:
    metadata = one["metadata"]
    for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"):
        metadata.pop(name, None)
    one.pop("status", None)
    for owner in metadata.get("ownerReferences") or ():
        del owner["uid"]
    renew = RENEWED.get(one["kind"])
    if renew is not None:
        renew(one)
    return one


def _renew_service(one: Object) -> None:
    if one["spec"]["clusterIP"] != "None":
        del one["spec"]["clusterIP"], one["spec"]["clusterIPs"]


def _renew_volume(one: Object) -> None:
    (one["metadata"].get("annotations") or {}).pop("pv.kubernetes.io/bound-by-controller", None)
    if not one["metadata"].get("annotations"):
        one["metadata"].pop("annotations", None)
    for name in ("uid", "resourceVersion"):
        (one["spec"].get("claimRef") or {}).pop(name, None)


def _renew_job(one: Object) -> None:
    del one["spec"]["selector"]
    for holder in (one["metadata"], one["spec"]["template"]["metadata"]):
        for name in ("controller-uid", "batch.kubernetes.io/controller-uid"):
            (holder.get("labels") or {}).pop(name, None)


def _renew_pod(one: Object) -> None:
    one["spec"]["volumes"] = []
    for container in one["spec"]["containers"]:
        container["volumeMounts"] = []


RENEWED: dict[str, Callable[[Object], None]] = {
    "Service": _renew_service,
    "PersistentVolume": _renew_volume,
    "Job": _renew_job,
    "Pod": _renew_pod,
}
