"""The Job that works on one volume, and the Secret that opens the repository for it. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from backup_engine.volumes.executor import HostRepository, RestoreRun, SnapshotRun
from backup_engine.volumes.repository import PASSWORD
from backup_engine.volumes.volume import Volume

Resource: TypeAlias = dict[str, Any]
"""An object of the Kubernetes API, as JSON has it."""

CONTAINER: Final = "mover"
REQUEST: Final = "BACKUP_MOVER_REQUEST"
VOLUMES: Final = "/volumes"
SCRATCH: Final = "/tmp/mover"  # noqa: S108 - an emptyDir of the pod's own
SNAPSHOT_CLASS: Final = "backup-operator.io/volume-snapshot-class"
"""Annotation of a Job that reads a claim of its own name, made from a snapshot of this class."""

BACKUP_LABEL: Final = "backup-operator.io/backup"
MANAGED: Final = {
    "app.kubernetes.io/managed-by": "backup-engine",
    "app.kubernetes.io/component": CONTAINER,
}
DONE: Final = 0
REFUSED: Final = 3
"""Exit code of a mover that says why: another attempt would say the same."""

CPU_REQUEST: Final = "100m"
MEMORY_REQUEST: Final = "256Mi"
MEMORY_LIMIT: Final = "2Gi"
ATTEMPTS: Final = 3
KEPT_S: Final = 3600  # a finished Job that nobody collects: the snapshot tells as much

_DIGITS: Final = 24
_RETRYING: Final[Resource] = {
    "backoffLimit": ATTEMPTS - 1,
    "podFailurePolicy": {
        "rules": [
            # drained, preempted, its node lost: none of that is the mover's fault
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": CONTAINER,
                    "operator": "In",
                    "values": [REFUSED],
                },
            },
        ]
    },
}
_READING: Final = ("DAC_READ_SEARCH",)  # files of every owner, and nothing but read them
_WRITING: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER")


class MoverRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a mover is to do; no secret is in it. ``place`` is how kopia is told of the repository.

    ``snapshot_id`` empty: take a snapshot, else write that one, or ``paths`` of it.
    """

    hostname: str
    place: tuple[str, ...]
    url: str
    namespace: str
    claim: str
    archive_name: str = ""
    snapshot_id: str = ""
    paths: tuple[str, ...] = ()
    is_resumed: bool = False
    parallel: int = 0
    niceness: int = 0


class MoverReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a mover ended, in its termination message; no reason: it did what it was asked.

    ``files`` and ``bytes`` are what a restore wrote.
    """

    reason: str = ""
    message: str = ""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a mover has to run: on ``node`` if a claim is in use there; None: anywhere.

    ``tolerations`` are those that it needs there.
    """

    node: str | None = None
    tolerations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class MoverSettings:
    """What all movers have in common; quantities as Kubernetes has them."""

    image: str
    cpu_request: str = CPU_REQUEST
    memory_request: str = MEMORY_REQUEST
    memory_limit: str = MEMORY_LIMIT
    tolerations: tuple[Mapping[str, Any], ...] = ()


def build_backup_label(archive_name: str) -> str:
    """Build the value of the label that the Jobs of one backup have."""
    return hashlib.sha256(archive_name.encode()).hexdigest()[:_DIGITS]


def build_restore_name(restore_id: int, number: int, snapshot_id: str) -> str:
    """Build the name of the Job of one volume of a restore: the same one each time."""
    return f"restore-{build_backup_label(f'{snapshot_id} {restore_id} {number}')}"


def build_snapshot_job(
    run: SnapshotRun,
    settings: MoverSettings,
    placement: Placement,
    snapshot_class: str | None = None,
) -> Resource:
    """Build the Job that takes a snapshot of one claim. The same run gives the same Job.

    With ``snapshot_class`` it reads a claim of its own name, which is not there yet.
    """
    request = MoverRequest(
        hostname=run.repository.hostname,
        place=run.repository.place.arguments,
        url=run.repository.place.url,
        namespace=run.volume.namespace,
        claim=run.volume.claim,
        archive_name=run.archive_name,
        parallel=run.load.parallel,
        niceness=run.load.niceness,
    )
    # fixed, so that a second create answers 409 and no volume is read twice
    name = f"volume-{build_backup_label(f'{run.archive_name} {run.volume}')}"
    label = build_backup_label(run.archive_name)
    job = _build_job(
        name, label, run.volume, request, run.time_limit_s, settings, placement, is_reading=True
    )
    if snapshot_class is not None:
        job["metadata"]["annotations"] = {SNAPSHOT_CLASS: snapshot_class}
        claim, *_ = job["spec"]["template"]["spec"]["volumes"]
        claim["persistentVolumeClaim"]["claimName"] = name
    return job


def build_restore_job(run: RestoreRun, settings: MoverSettings, placement: Placement) -> Resource:
    """Build the Job that writes a snapshot to one claim. The same run gives the same Job."""
    request = MoverRequest(
        hostname=run.repository.hostname,
        place=run.repository.place.arguments,
        url=run.repository.place.url,
        namespace=run.target.namespace,
        claim=run.target.claim,
        snapshot_id=run.snapshot_id,
        paths=run.paths,
        is_resumed=run.is_resumed,
    )
    name = build_restore_name(run.restore_id, run.number, run.snapshot_id)
    return _build_job(
        name,
        name,
        run.target,
        request,
        run.time_limit_s,
        settings,
        placement,
        is_reading=False,
    )


def build_mover_secret(job: Resource, host: HostRepository) -> Resource:
    """Build the Secret of one Job, which goes with it; ``job`` is as the API server stored it."""
    metadata = job["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": MANAGED,
            "ownerReferences": [build_owner(job)],
        },
        "stringData": {**host.place.secrets, PASSWORD: host.password},
    }


def build_owner(job: Resource) -> Resource:
    """Build the reference by which something goes with a Job, as the API server stored it."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "blockOwnerDeletion": False,
    }


def build_claim(run: RestoreRun, source: Mapping[str, Any] | None) -> Resource:
    """Build the claim of a restore that makes one: as wished, else as the ``source`` claim is."""
    spec = (source or {}).get("spec", {})
    asked = (spec.get("resources") or {}).get("requests") or {}
    size = str(run.size_bytes) if run.size_bytes is not None else asked.get("storage")
    storage_class = run.storage_class or spec.get("storageClassName")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": run.target.claim,
            "namespace": run.target.namespace,
            "labels": MANAGED,
        },
        "spec": {
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **({"storageClassName": storage_class} if storage_class else {}),
        },
    }


def _build_job(  # noqa: PLR0913 - what a Job is made of
    name: str,
    label: str,
    volume: Volume,
    request: MoverRequest,
    time_limit_s: float,
    settings: MoverSettings,
    placement: Placement,
    *,
    is_reading: bool,
) -> Resource:
    labels = {**MANAGED, BACKUP_LABEL: label}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": volume.namespace, "labels": labels},
        "spec": {
            # a pod that was killed is made anew; a restore is not, for its volume is not empty now
            **(_RETRYING if is_reading else {"backoffLimit": 0}),
            "activeDeadlineSeconds": max(1, int(time_limit_s)),
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {"labels": labels},
                "spec": _build_pod(name, volume, request, settings, placement, is_reading),
            },
        },
    }


def _build_pod(
    name: str,
    volume: Volume,
    request: MoverRequest,
    settings: MoverSettings,
    placement: Placement,
    is_reading: bool,
) -> Resource:
    path = f"{VOLUMES}/{volume.namespace}/{volume.claim}"
    mount: dict[str, object] = {"name": "volume", "mountPath": path}
    claim: dict[str, object] = {"claimName": volume.claim}
    # kopia looks for a file beside the folder it restores, and must be able to remove it
    beside = {"name": "beside", "mountPath": VOLUMES}
    if is_reading:  # twice, for the kubelet mounts by one and the runtime by the other
        mount["readOnly"] = True
        claim["readOnly"] = True
    pod: Resource = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "tolerations": [*settings.tolerations, *placement.tolerations],
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.image,
                "command": ["backup-engine", "mover"],
                "env": [
                    {"name": REQUEST, "value": msgspec.json.encode(request).decode()},
                    {"name": "HOME", "value": SCRATCH},
                ],
                "envFrom": [{"secretRef": {"name": name}}],
                "resources": {
                    "requests": {"cpu": settings.cpu_request, "memory": settings.memory_request},
                    "limits": {"memory": settings.memory_limit},
                },
                # files belong to any user: it must be root, and may do nothing else that root may
                "securityContext": {
                    "runAsUser": 0,
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {
                        "drop": ["ALL"],
                        "add": list(_READING if is_reading else _WRITING),
                    },
                },
                "terminationMessagePolicy": "File",
                "volumeMounts": [
                    mount,
                    {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
                    *(() if is_reading else (beside,)),
                ],
            }
        ],
        "volumes": [
            {"name": "volume", "persistentVolumeClaim": claim},
            {"name": "scratch", "emptyDir": {}},
            *(() if is_reading else ({"name": "beside", "emptyDir": {}},)),
        ],
    }
    if placement.node is not None:
        pod["affinity"] = {"nodeAffinity": _on_node(placement.node)}
    return pod


def _on_node(node: str) -> Resource:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": terms}
