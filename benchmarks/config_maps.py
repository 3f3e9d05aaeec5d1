"""Many ConfigMaps of about 1 kB for a capture, written straight into a sandbox's storage."""

import uuid
from pathlib import Path
from typing import Any, Final

from backup_engine.cluster import ClusterConnection
from etcd_storage import chunks, connect_storage

NAMESPACE: Final = "capture-benchmark"

_FILLING: Final = "".join(f"line-{number:04d}=value of line {number}\n" for number in range(40))
_CREATED: Final = 201
_EXISTS: Final = 409


def build_config_map(number: int) -> dict[str, Any]:
    """Build one; each is as long as any other, so that a stored one can be copied."""
    return {
        "metadata": {"name": f"object-{number:06d}", "labels": {"n": f"label-{number:06d}"}},
        "data": {"content": f"{number * 7919 % 999_983:06d} {_FILLING[:700]}"},
    }


async def place_config_maps(kubeconfig: Path, wanted: int) -> None:
    """Let there be ``wanted`` ConfigMaps in the sandbox whose kubeconfig this is.

    The first is created as anyone would, and is then copied where the API server has stored it.
    """
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    async with ClusterConnection.from_kubeconfig(kubeconfig) as cluster:
        await create(cluster, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        uid = await create(cluster, path, build_config_map(0))
    root = f"/registry/configmaps/{NAMESPACE}"
    async with connect_storage(kubeconfig.parent) as storage:
        stored = await storage.read(f"{root}/object-000000")
        for numbers in chunks(range(1, wanted)):
            await storage.write(
                {f"{root}/object-{number:06d}": copy(stored, uid, number) for number in numbers}
            )


async def create(cluster: ClusterConnection, path: str, body: dict[str, Any]) -> str:
    """Create one object, if it is not there, and return its uid."""
    async with cluster.request("POST", path, json=body) as response:
        if response.status == _CREATED:
            return str((await response.json())["metadata"]["uid"])
        if response.status != _EXISTS:
            raise RuntimeError(f"{path}: {response.status} {await response.text()}")
    async with cluster.request("GET", f"{path}/{body['metadata']['name']}") as response:
        return str((await response.json())["metadata"]["uid"])


def copy(stored: bytes, uid: str, number: int) -> bytes:
    """Copy the first one: all that differs is as long in both, so no length changes."""
    first, other = build_config_map(0), build_config_map(number)
    replaced = {
        uid: str(uuid.uuid4()),
        first["metadata"]["name"]: other["metadata"]["name"],
        first["metadata"]["labels"]["n"]: other["metadata"]["labels"]["n"],
        first["data"]["content"]: other["data"]["content"],
    }
    for old, new in replaced.items():
        stored = stored.replace(old.encode(), new.encode())
    return stored
