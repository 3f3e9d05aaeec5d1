"""What a cluster assigns to an object and a restore therefore leaves out, as one table. Pure.

The same is left out of live objects before they are compared, so none of it ever shows as a
difference. docs/restore.md lists the table for users.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from backup_engine.restore.groups import CORE, RBAC
from backup_engine.restore.identity import KindKey, KubeObject
from backup_engine.restore.paths import EACH, Path, find_at, without

TOKEN_SECRET: Final = "kubernetes.io/service-account-token"  # noqa: S105 - a type, no secret
GENERATED_TOKEN_NAME: Final = re.compile(r"-(token|dockercfg)-[a-z0-9]{5}$")
ACCESS_VOLUME_PREFIX: Final = "kube-api-access-"
POD_PATHS: Final[dict[KindKey, Path]] = {
    (CORE, "pods"): ("spec",),
    (CORE, "podtemplates"): ("template", "spec"),
    (CORE, "replicationcontrollers"): ("spec", "template", "spec"),
    ("apps", "daemonsets"): ("spec", "template", "spec"),
    ("apps", "deployments"): ("spec", "template", "spec"),
    ("apps", "replicasets"): ("spec", "template", "spec"),
    ("apps", "statefulsets"): ("spec", "template", "spec"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template", "spec"),
    ("batch", "jobs"): ("spec", "template", "spec"),
}
"""Where the pod specification of each workload lies."""


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Dropped:
    """One row: what lies at ``path`` is left out, if ``unwanted`` says so of the value.

    ``of`` looks at the whole object first; False keeps the value.
    """

    path: Path
    why: str
    unwanted: Callable[[Any], bool] = _always
    of: Callable[[KubeObject], bool] = _always


def _is_assigned_address(address: object) -> bool:
    return address != "None"  # a headless Service; this one is the user's own word


def _is_generated_name(item: object) -> bool:
    name = item.get("name") if isinstance(item, dict) else None
    return isinstance(name, str) and GENERATED_TOKEN_NAME.search(name) is not None


def _is_access_volume(item: object) -> bool:
    name = item.get("name") if isinstance(item, dict) else None
    return isinstance(name, str) and name.startswith(ACCESS_VOLUME_PREFIX)


def _is_served_finalizer(finalizer: object) -> bool:
    return finalizer in _OWN_FINALIZERS


def _is_token_secret(one: KubeObject) -> bool:
    return one.get("type") == TOKEN_SECRET


def _is_aggregated(one: KubeObject) -> bool:
    return bool(one.get("aggregationRule"))


def _chooses_its_pods_itself(one: KubeObject) -> bool:
    return not find_at(one, ("spec", "manualSelector"))


_OWN_FINALIZERS: Final = frozenset(
    {
        "batch.kubernetes.io/job-tracking",
        "customresourcecleanup.apiextensions.k8s.io",
        "external-provisioner.volume.kubernetes.io/finalizer",
        "foregroundDeletion",
        "kubernetes.io/pv-controller",
        "kubernetes.io/pv-protection",
        "kubernetes.io/pvc-protection",
        "orphan",
        "service.kubernetes.io/load-balancer-cleanup",
    }
)

FROM_ALL: Final = (
    Dropped(("metadata", "uid"), "assigned on creation"),
    Dropped(("metadata", "resourceVersion"), "assigned on every write"),
    Dropped(("metadata", "generation"), "counted by the server"),
    Dropped(("metadata", "creationTimestamp"), "assigned on creation"),
    Dropped(("metadata", "deletionTimestamp"), "says that somebody deleted it"),
    Dropped(("metadata", "deletionGracePeriodSeconds"), "goes with deletionTimestamp"),
    Dropped(("metadata", "selfLink"), "computed by old servers"),
    Dropped(("metadata", "managedFields"), "kept by the server; field managers begin anew"),
    Dropped(
        ("metadata", "finalizers", EACH),
        "added again by the server or by a controller of Kubernetes itself",
        _is_served_finalizer,
    ),
)
"""Rows for every kind; ``status`` is left out beside them unless it was asked for."""

# one pass instead of one per row: a restore cleans every object, and a plan both sides of it
_METADATA_MEMBERS: Final = frozenset(
    row.path[1] for row in FROM_ALL if row.path[1:] == row.path[-1:]
)
_FROM_DEEPER: Final = tuple(row for row in FROM_ALL if row.path[1:] != row.path[-1:])

_BINDING: Final = "made by the volume binder, which binds anew"
_CONTROLLER_UID: Final = "names the uid of the captured Job; the server makes it anew"


def _annotation(name: str, why: str) -> Dropped:
    return Dropped(("metadata", "annotations", name), why)


def _job_rows(root: Path) -> tuple[Dropped, ...]:
    return tuple(
        Dropped((*root, "labels", label), _CONTROLLER_UID)
        for label in ("controller-uid", "batch.kubernetes.io/controller-uid")
    )


FROM_KIND: Final[dict[KindKey, tuple[Dropped, ...]]] = {
    (CORE, "namespaces"): (
        Dropped(("spec", "finalizers"), "held by the namespace controller"),
        Dropped(("metadata", "labels", "kubernetes.io/metadata.name"), "set by the server"),
    ),
    (CORE, "services"): (
        Dropped(("spec", "clusterIP"), "allocated; 'None' is kept", _is_assigned_address),
        Dropped(("spec", "clusterIPs", EACH), "allocated; 'None' is kept", _is_assigned_address),
    ),
    (CORE, "serviceaccounts"): (
        Dropped(("secrets", EACH), "token Secrets are generated", _is_generated_name),
        Dropped(("imagePullSecrets", EACH), "pull Secrets are generated", _is_generated_name),
    ),
    (CORE, "secrets"): (
        Dropped(
            ("data",), "a token of the captured cluster; a new one is made", of=_is_token_secret
        ),
        _annotation("kubernetes.io/service-account.uid", "uid of the captured account"),
    ),
    (CORE, "persistentvolumes"): (
        Dropped(("spec", "claimRef", "uid"), "uid of the captured claim"),
        Dropped(("spec", "claimRef", "resourceVersion"), "state of the captured claim"),
        _annotation("pv.kubernetes.io/bound-by-controller", _BINDING),
    ),
    (CORE, "persistentvolumeclaims"): (
        Dropped(("spec", "volumeName"), "the volume names its claim, and that is kept"),
        _annotation("pv.kubernetes.io/bind-completed", _BINDING),
        _annotation("pv.kubernetes.io/bound-by-controller", _BINDING),
        _annotation("volume.beta.kubernetes.io/storage-provisioner", _BINDING),
        _annotation("volume.kubernetes.io/storage-provisioner", _BINDING),
        _annotation("volume.kubernetes.io/selected-node", _BINDING),
    ),
    (CORE, "pods"): (
        Dropped(("spec", "nodeName"), "chosen by the scheduler"),
        Dropped(("spec", "priority"), "computed from the priority class"),
        Dropped(("spec", "preemptionPolicy"), "computed from the priority class"),
        Dropped(("spec", "ephemeralContainers"), "a debugging session; cannot be created"),
        Dropped(("spec", "volumes", EACH), "token volume, added on admission", _is_access_volume),
        *(
            Dropped(
                ("spec", containers, EACH, "volumeMounts", EACH),
                "token volume, added on admission",
                _is_access_volume,
            )
            for containers in ("containers", "initContainers")
        ),
    ),
    (CORE, "endpoints"): tuple(
        Dropped(("subsets", EACH, addresses, EACH, "targetRef", member), "of the captured pod")
        for addresses in ("addresses", "notReadyAddresses")
        for member in ("uid", "resourceVersion")
    ),
    ("discovery.k8s.io", "endpointslices"): (
        Dropped(("endpoints", EACH, "targetRef", "uid"), "of the captured pod"),
        Dropped(("endpoints", EACH, "targetRef", "resourceVersion"), "of the captured pod"),
    ),
    ("apps", "deployments"): (
        _annotation("deployment.kubernetes.io/revision", "counted by the controller"),
    ),
    ("apps", "daemonsets"): (
        _annotation("deprecated.daemonset.template.generation", "counted by the server"),
    ),
    ("apps", "statefulsets"): (
        Dropped(("spec", "volumeClaimTemplates", EACH, "status"), "of no claim"),
    ),
    ("batch", "jobs"): (
        Dropped(("spec", "selector"), _CONTROLLER_UID, of=_chooses_its_pods_itself),
        *_job_rows(("metadata",)),
        *_job_rows(("spec", "template", "metadata")),
        _annotation("batch.kubernetes.io/job-tracking", "kept by the controller"),
    ),
    (RBAC, "clusterroles"): (
        Dropped(("rules",), "gathered from other roles by aggregationRule", of=_is_aggregated),
    ),
}
"""Further rows by kind. Node ports stay: clients outside of the cluster know them."""

_EMPTY_DROPPED: Final = ("annotations", "finalizers", "labels", "ownerReferences")
_TEMPLATES: Final[tuple[Path, ...]] = (
    ("spec", "template"),
    ("template",),
    ("spec", "jobTemplate"),
    ("spec", "jobTemplate", "spec", "template"),
    ("spec", "volumeClaimTemplates", EACH),
)


def clean(one: KubeObject, kind: KindKey, *, has_status: bool = False) -> KubeObject:
    """Return ``one`` without what a cluster assigns; idempotent, and ``one`` stays as it is.

    ``has_status``: keep the status, to be restored through its own endpoint.
    """
    metadata = one.get("metadata") or {}
    kept = {name: value for name, value in metadata.items() if name not in _METADATA_MEMBERS}
    cleaned = {**one, "metadata": kept}
    for row in _FROM_DEEPER:
        cleaned = without(cleaned, row.path, row.unwanted)
    for row in FROM_KIND.get(kind, ()):
        if row.of(one):
            cleaned = without(cleaned, row.path, row.unwanted)
    if kind in POD_PATHS or kind == ("apps", "statefulsets"):
        for template in _TEMPLATES:
            # servers write null here, and newer ones nothing
            cleaned = without(cleaned, (*template, "metadata", "creationTimestamp"), _always)
    if "status" in cleaned and not has_status:
        cleaned = {name: value for name, value in cleaned.items() if name != "status"}
    metadata = cleaned.get("metadata") or {}
    if any(name in metadata and not metadata[name] for name in _EMPTY_DROPPED):
        kept = {
            name: value for name, value in metadata.items() if value or name not in _EMPTY_DROPPED
        }
        cleaned = {**cleaned, "metadata": kept}
    return cleaned


def without_owner_uids(one: KubeObject) -> KubeObject:
    """Return ``one`` with owners named by kind and name alone, as they are to be compared."""
    cleaned: KubeObject = without(one, ("metadata", "ownerReferences", EACH, "uid"), _always)
    return cleaned
