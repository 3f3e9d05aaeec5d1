"""Snapshots that the storage itself makes of a volume (CSI), to be read in its place. Pure.

All of them belong to the Job that reads them: Kubernetes removes them with it, so that neither a
crash nor an engine that never comes back leaves one behind.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.mover_job import (
    MANAGED,
    SNAPSHOT_CLASS,
    Resource,
    build_owner,
)
from backup_engine.volumes.volume import Volume

GROUP: Final = "snapshot.storage.k8s.io"
API: Final = f"/apis/{GROUP}/v1"

_IS_DEFAULT: Final = f"{GROUP}/is-default-class"


def choose_class(
    volume: Volume,
    driver: str | None,
    classes: Iterable[Mapping[str, Any]],
    wanted: str | None = None,
) -> str | None:
    """Choose the VolumeSnapshotClass for a volume of ``driver``; None: there is none for it.

    The one that is ``wanted``, else the driver's default, else the driver's only one; one that
    keeps what it makes is never chosen. Raises VolumeError if what is wanted will not do.
    """
    known = {each["metadata"]["name"]: each for each in classes}
    if wanted is not None:
        found = known.get(wanted)
        if found is None or found.get("driver") != driver:
            raise VolumeError(
                "NoVolumeSnapshotClass",
                f"{volume}: there is no VolumeSnapshotClass {wanted} of its driver"
                f" {driver or '(it has none)'}",
            )
        if found.get("deletionPolicy") != "Delete":
            raise VolumeError(
                "NoVolumeSnapshotClass",
                f"{volume}: VolumeSnapshotClass {wanted} would keep each snapshot in the storage"
                " for ever; name one with deletionPolicy Delete",
            )
        return wanted
    fitting = {
        name: each
        for name, each in known.items()
        if driver is not None
        and each.get("driver") == driver
        and each.get("deletionPolicy") == "Delete"
    }
    defaults = [
        name
        for name, each in fitting.items()
        if (each["metadata"].get("annotations") or {}).get(_IS_DEFAULT) == "true"
    ]
    chosen = defaults or list(fitting)
    if len(chosen) > 1:
        raise VolumeError(
            "NoVolumeSnapshotClass",
            f"{volume}: driver {driver} has several VolumeSnapshotClasses"
            f" ({', '.join(sorted(chosen))}); choose one by volumeSnapshotClassName",
        )
    return chosen[0] if chosen else None


def build_volume_snapshot(job: Resource, volume: Volume) -> Resource:
    """Build the VolumeSnapshot that belongs to a Job; ``job`` is as the API server stored it."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "VolumeSnapshot",
        "metadata": _build_metadata(job),
        "spec": {
            "volumeSnapshotClassName": job["metadata"]["annotations"][SNAPSHOT_CLASS],
            "source": {"persistentVolumeClaimName": volume.claim},
        },
    }


def build_copy(job: Resource, source: Mapping[str, Any]) -> Resource:
    """Build the claim that a Job reads: made from its VolumeSnapshot, like the ``source`` claim."""
    spec = source["spec"]
    has = (source.get("status") or {}).get("capacity") or {}
    size = has.get("storage") or spec["resources"]["requests"]["storage"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _build_metadata(job),
        "spec": {
            "accessModes": spec["accessModes"],
            "storageClassName": spec.get("storageClassName"),
            "resources": {"requests": {"storage": size}},
            "dataSource": {
                "apiGroup": GROUP,
                "kind": "VolumeSnapshot",
                "name": job["metadata"]["name"],
            },
        },
    }


def is_ready(snapshot: Mapping[str, Any]) -> bool:
    """Tell whether a VolumeSnapshot can be read."""
    return (snapshot.get("status") or {}).get("readyToUse") is True


def explain_unready(snapshot: Mapping[str, Any] | None) -> str:
    """Say why a VolumeSnapshot cannot be read yet, as far as its controller tells."""
    status = (snapshot or {}).get("status")
    if status is None:
        return "no snapshot controller has taken notice of it"
    error = status.get("error") or {}
    return str(error.get("message") or "its driver is still at it")


def _build_metadata(job: Resource) -> Resource:
    metadata = job["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "labels": {**MANAGED, **metadata["labels"]},
        "ownerReferences": [build_owner(job)],
    }
