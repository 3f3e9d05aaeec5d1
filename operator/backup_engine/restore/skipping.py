"""Which objects of an archive are not restored because something else makes them. Pure.

docs/restore.md argues each of these. A skipped object is in the plan, with its reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backup_engine.restore.cleaning import GENERATED_TOKEN_NAME, TOKEN_SECRET
from backup_engine.restore.groups import API_REGISTRATION, CORE, FLOW_CONTROL, NETWORKING, RBAC
from backup_engine.restore.identity import KindKey, KubeObject
from backup_engine.restore.paths import find_at


@dataclass(frozen=True, slots=True)
class Skip:
    """Why an object is left alone; ``reason`` is a stable CamelCase word."""

    reason: str
    message: str


GENERATED: Final = "Generated"

_MACHINE: Final = Skip("Machine", "describes a node or a device, which its own software registers")
_RUNNING: Final = Skip("Running", "held by a running process, which makes it anew")
_ALLOCATED: Final = Skip("Allocated", "allocated by the server with the Service that uses it")
_PAST: Final = Skip("Past", "a report or a request of the past")
_ONE_SHOT: Final = Skip(
    "OneShotRequest", "asks for one backup or restore; made again it would ask again"
)

WHOLE_KINDS: Final[dict[KindKey, Skip]] = {
    (CORE, "nodes"): _MACHINE,
    ("storage.k8s.io", "csinodes"): _MACHINE,
    ("storage.k8s.io", "csistoragecapacities"): _MACHINE,
    ("storage.k8s.io", "volumeattachments"): _RUNNING,
    ("resource.k8s.io", "resourceslices"): _MACHINE,
    ("coordination.k8s.io", "leases"): _RUNNING,
    ("coordination.k8s.io", "leasecandidates"): _RUNNING,
    ("internal.apiserver.k8s.io", "storageversions"): _RUNNING,
    (CORE, "componentstatuses"): _PAST,
    (CORE, "events"): _PAST,
    ("events.k8s.io", "events"): _PAST,
    ("certificates.k8s.io", "certificatesigningrequests"): _PAST,
    ("certificates.k8s.io", "podcertificaterequests"): _PAST,
    ("storagemigration.k8s.io", "storageversionmigrations"): _PAST,
    (NETWORKING, "ipaddresses"): _ALLOCATED,
    ("backup-operator.io", "backups"): _ONE_SHOT,
    ("backup-operator.io", "restores"): _ONE_SHOT,
}
"""Kinds of which nothing is restored."""

GENERATED_NAMES: Final[dict[KindKey, frozenset[tuple[str | None, str]]]] = {
    (CORE, "namespaces"): frozenset({(None, "kube-node-lease")}),
    (CORE, "services"): frozenset({("default", "kubernetes")}),
    (CORE, "endpoints"): frozenset({("default", "kubernetes")}),
    ("discovery.k8s.io", "endpointslices"): frozenset({("default", "kubernetes")}),
    (CORE, "configmaps"): frozenset(
        {
            ("kube-system", "extension-apiserver-authentication"),
            ("kube-system", "kube-apiserver-legacy-service-account-token-tracking"),
        }
    ),
    (NETWORKING, "servicecidrs"): frozenset({(None, "kubernetes")}),
}
"""Single objects that the control plane keeps itself."""

RECREATED_BY: Final[dict[KindKey, frozenset[tuple[str, str]]]] = {
    (CORE, "pods"): frozenset(
        {
            ("", "ReplicationController"),
            ("", "Node"),
            ("apps", "DaemonSet"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("batch", "Job"),
        }
    ),
    ("apps", "replicasets"): frozenset({("apps", "Deployment")}),
    ("apps", "controllerrevisions"): frozenset({("apps", "DaemonSet"), ("apps", "StatefulSet")}),
    ("batch", "jobs"): frozenset({("batch", "CronJob")}),
    ("discovery.k8s.io", "endpointslices"): frozenset({("", "Service"), ("", "Endpoints")}),
    ("resource.k8s.io", "resourceclaims"): frozenset({("", "Pod")}),
    (CORE, "persistentvolumeclaims"): frozenset({("", "Pod")}),
}
"""Kind and the controllers (API group, kind) of Kubernetes that make its objects anew.

Objects of other owners, custom resources above all, are restored and linked to their owner: whether
its controller runs, and would give a generated password its old value, nobody can tell.
"""

_MANAGED_SLICES: Final = frozenset(
    {"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"}
)
_ENDPOINTS_LABEL: Final = "endpoints.kubernetes.io/managed-by"
_ENDPOINTS_ANNOTATIONS: Final = frozenset(
    {
        "control-plane.alpha.kubernetes.io/leader",
        "endpoints.kubernetes.io/last-change-trigger-time",
    }
)
_FINISHED_PHASES: Final = frozenset({"Succeeded", "Failed"})
_FINISHED_CONDITIONS: Final = frozenset({"Complete", "Failed"})
_PLAIN_ACCOUNT: Final = frozenset({"apiVersion", "kind", "metadata", "secrets"})


def find_kind_skip(kind: KindKey) -> Skip | None:
    """Return why nothing of ``kind`` is restored, None if its objects are to be looked at."""
    return WHOLE_KINDS.get(kind)


def find_skip(one: KubeObject, kind: KindKey) -> Skip | None:
    """Return why this object, as captured, is not restored; None if it is."""
    whole = find_kind_skip(kind)
    if whole is not None:
        return whole
    metadata = one["metadata"]
    if metadata.get("deletionTimestamp") is not None:
        return Skip("Terminating", "was being deleted when it was captured")
    if (metadata.get("namespace"), metadata["name"]) in GENERATED_NAMES.get(kind, ()):
        return Skip(GENERATED, "kept by the control plane itself")
    owned = _find_owner_skip(metadata.get("ownerReferences") or (), kind)
    if owned is not None:
        return owned
    rule = _RULES.get(kind)
    return rule(one) if rule is not None else None


def is_generated(live: KubeObject, kind: KindKey) -> bool:
    """Tell whether a live object is what the control plane made, and nothing was added to it.

    Such as the ``default`` account of a namespace that the restore itself has just made.
    """
    skip = find_skip(live, kind)
    return skip is not None and skip.reason == GENERATED


def _find_owner_skip(owners: object, kind: KindKey) -> Skip | None:
    makers = RECREATED_BY.get(kind)
    if makers is None or not isinstance(owners, list):
        return None
    for owner in owners:
        group = str(owner.get("apiVersion", "")).rpartition("/")[0]
        if owner.get("controller") and (group, owner.get("kind")) in makers:
            message = f"made anew by its {owner['kind']} {owner.get('name')}"
            return Skip("ControllerOwned", message)
    return None


def _labels(one: KubeObject) -> dict[str, str]:
    return one["metadata"].get("labels") or {}


def _annotations(one: KubeObject) -> dict[str, str]:
    return one["metadata"].get("annotations") or {}


def _config_map(one: KubeObject) -> Skip | None:
    if one["metadata"]["name"] == "kube-root-ca.crt":
        return Skip(GENERATED, "published into every namespace by the control plane")
    return None


def _secret(one: KubeObject) -> Skip | None:
    if one.get("type") == TOKEN_SECRET and GENERATED_TOKEN_NAME.search(one["metadata"]["name"]):
        return Skip(GENERATED, "token of a ServiceAccount, issued by the captured cluster")
    return None


def _service_account(one: KubeObject) -> Skip | None:
    metadata = one["metadata"]
    is_plain = one.keys() <= _PLAIN_ACCOUNT and not _labels(one) and not _annotations(one)
    if metadata["name"] == "default" and is_plain:
        return Skip(GENERATED, "made with every namespace, and nothing was added to it")
    return None


def _endpoints(one: KubeObject) -> Skip | None:
    if _ENDPOINTS_LABEL in _labels(one) or _ENDPOINTS_ANNOTATIONS & _annotations(one).keys():
        return Skip(GENERATED, "kept by the controller of its Service")
    return None


def _endpoint_slice(one: KubeObject) -> Skip | None:
    if _labels(one).get("endpointslice.kubernetes.io/managed-by") in _MANAGED_SLICES:
        return Skip(GENERATED, "kept by the controller of its Service")
    return None


def _pod(one: KubeObject) -> Skip | None:
    if find_at(one, ("status", "phase")) in _FINISHED_PHASES:
        return Skip("Finished", "had ended; restored it would run again")
    return None


def _job(one: KubeObject) -> Skip | None:
    for condition in find_at(one, ("status", "conditions")) or ():
        if condition.get("type") in _FINISHED_CONDITIONS and condition.get("status") == "True":
            return Skip("Finished", "had ended; restored it would run again")
    return None


def _volume(one: KubeObject) -> Skip | None:
    is_provisioned = "pv.kubernetes.io/provisioned-by" in _annotations(one)
    if is_provisioned and find_at(one, ("spec", "persistentVolumeReclaimPolicy")) == "Delete":
        return Skip(
            "Provisioned", "its storage went with its claim, for which a new volume is provisioned"
        )
    return None


def _role(one: KubeObject) -> Skip | None:
    is_default = _labels(one).get("kubernetes.io/bootstrapping") == "rbac-defaults"
    if (
        is_default
        and _annotations(one).get("rbac.authorization.kubernetes.io/autoupdate") == "true"
    ):
        return Skip("Bootstrapped", "kept at its default by the API server")
    return None


def _flow(one: KubeObject) -> Skip | None:
    if _annotations(one).get("apf.kubernetes.io/autoupdate-spec") == "true":
        return Skip("Bootstrapped", "kept at its default by the API server")
    return None


def _priority_class(one: KubeObject) -> Skip | None:
    if one["metadata"]["name"].startswith("system-"):
        return Skip("Bootstrapped", "this name is the API server's own")
    return None


def _api_service(one: KubeObject) -> Skip | None:
    if find_at(one, ("spec", "service")) is None:
        return Skip(GENERATED, "served by the API server itself, or by a CRD")
    return None


_RULES: Final[dict[KindKey, Callable[[KubeObject], Skip | None]]] = {
    (CORE, "configmaps"): _config_map,
    (CORE, "secrets"): _secret,
    (CORE, "serviceaccounts"): _service_account,
    (CORE, "endpoints"): _endpoints,
    (CORE, "pods"): _pod,
    (CORE, "persistentvolumes"): _volume,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slice,
    ("batch", "jobs"): _job,
    (RBAC, "clusterroles"): _role,
    (RBAC, "clusterrolebindings"): _role,
    (RBAC, "roles"): _role,
    (RBAC, "rolebindings"): _role,
    (FLOW_CONTROL, "flowschemas"): _flow,
    (FLOW_CONTROL, "prioritylevelconfigurations"): _flow,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    (API_REGISTRATION, "apiservices"): _api_service,
}
