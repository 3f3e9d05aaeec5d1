"""Which volumes to make and to remove. Pure: claims and volumes as the API lists them in."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

PROVISIONER = "backup-sandbox.test/directory"
USER = "backup-sandbox-provisioner"
STORAGE_CLASS = "directory"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
RELEASED = "Released"

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """Where the API server is, whom to be, and where volumes lie."""

    server: str
    authority: str
    certificate: str
    key: str
    folder: str

    def to_json(self) -> str:
        """Return the order as the program's one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the order out of the program's one argument."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done now: volumes to create, and names of volumes to delete."""

    create: tuple[dict[str, Any], ...] = ()
    delete: tuple[str, ...] = ()


def plan_volumes(claims: Iterable[Resource], volumes: Iterable[Resource], folder: Path) -> Work:
    """Choose what claims and volumes call for; each volume is a folder below ``folder``."""
    ours = {volume["metadata"]["name"]: volume for volume in volumes if _is_ours(volume)}
    wanted = [claim for claim in claims if _is_waiting(claim) and volume_name(claim) not in ours]
    return Work(
        create=tuple(build_volume(claim, folder) for claim in wanted),
        delete=tuple(name for name, volume in ours.items() if _is_done(volume)),
    )


def volume_name(claim: Resource) -> str:
    """Return the name of a claim's volume: one claim never gets two."""
    return f"pvc-{claim['metadata']['uid']}"


def build_volume(claim: Resource, folder: Path) -> dict[str, Any]:
    """Build the volume of a claim whose node is chosen."""
    name, metadata, spec = volume_name(claim), claim["metadata"], claim["spec"]
    node = metadata["annotations"][SELECTED_NODE]
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": STORAGE_CLASS,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "hostPath": {"path": str(folder / name), "type": "Directory"},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
            },
        },
    }


def _is_waiting(claim: Resource) -> bool:
    """Tell whether a claim is ours and its pod's node is known (WaitForFirstConsumer)."""
    return (
        claim["spec"].get("storageClassName") == STORAGE_CLASS
        and claim["spec"].get("volumeMode", "Filesystem") == "Filesystem"
        and not claim["spec"].get("volumeName")
        and SELECTED_NODE in claim["metadata"].get("annotations", {})
        and "deletionTimestamp" not in claim["metadata"]
    )


def _is_ours(volume: Resource) -> bool:
    annotations: Mapping[str, str] = volume["metadata"].get("annotations", {})
    return annotations.get(PROVISIONED_BY) == PROVISIONER


def _is_done(volume: Resource) -> bool:
    return (
        volume.get("status", {}).get("phase") == RELEASED
        and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        and "deletionTimestamp" not in volume["metadata"]
    )
