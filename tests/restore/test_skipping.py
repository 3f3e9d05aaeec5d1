"""What something else makes anew is left alone; what nobody would make again is restored."""

from typing import Any

import pytest

from backup_engine.restore.identity import KindKey
from backup_engine.restore.skipping import find_kind_skip, find_skip


def an_object(
    name: str = "one",
    namespace: str | None = "a",
    *,
    metadata: dict[str, Any] | None = None,
    **members: object,
) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **(metadata or {})}, **members}


def owned(api_version: str, kind: str, *, controller: bool = True) -> dict[str, Any]:
    reference = {"apiVersion": api_version, "kind": kind, "name": "o", "controller": controller}
    return an_object(metadata={"ownerReferences": [reference]})


RBAC = "rbac.authorization.k8s.io"
BOOTSTRAPPED = {
    "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
}
EDITED = {**BOOTSTRAPPED, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}
FINISHED = {"conditions": [{"type": "Complete", "status": "True"}]}
RUNNING = {"conditions": [{"type": "Complete", "status": "False"}]}
TOKEN = "kubernetes.io/service-account-token"
SLICES = ("discovery.k8s.io", "endpointslices")


@pytest.mark.parametrize(
    ("kind", "one", "reason"),
    [
        (("", "nodes"), an_object(), "Machine"),
        (("", "events"), an_object(), "Past"),
        (("coordination.k8s.io", "leases"), an_object(), "Running"),
        (("networking.k8s.io", "ipaddresses"), an_object(), "Allocated"),
        (("backup-operator.io", "backups"), an_object(), "OneShotRequest"),
        (("backup-operator.io", "backupengines"), an_object(), None),
        (("", "configmaps"), an_object("kube-root-ca.crt"), "Generated"),
        (("", "configmaps"), an_object("mine"), None),
        (("", "configmaps"), an_object(metadata={"deletionTimestamp": "x"}), "Terminating"),
        (("apps", "replicasets"), owned("apps/v1", "Deployment"), "ControllerOwned"),
        (("apps", "replicasets"), owned("apps/v1", "Deployment", controller=False), None),
        (("apps", "replicasets"), owned("argo.example/v1", "Rollout"), None),
        (("", "pods"), owned("batch/v1", "Job"), "ControllerOwned"),
        (("", "pods"), an_object(status={"phase": "Running"}), None),
        (("", "pods"), an_object(status={"phase": "Succeeded"}), "Finished"),
        (("batch", "jobs"), owned("batch/v1", "CronJob"), "ControllerOwned"),
        (("batch", "jobs"), an_object(status=FINISHED), "Finished"),
        (("batch", "jobs"), an_object(status=RUNNING), None),
        (("apps", "controllerrevisions"), owned("apps/v1", "StatefulSet"), "ControllerOwned"),
        (("apps", "deployments"), owned("zoo.example/v1", "App"), None),
        (("", "secrets"), owned("zoo.example/v1", "Database"), None),
        (("", "secrets"), an_object("default-token-x7k2p", type=TOKEN), "Generated"),
        (("", "secrets"), an_object("ci-login", type=TOKEN), None),
        (("", "serviceaccounts"), an_object("default"), "Generated"),
        (("", "serviceaccounts"), an_object("default", imagePullSecrets=[{"name": "p"}]), None),
        (("", "serviceaccounts"), an_object("app"), None),
        (("", "endpoints"), an_object("web"), None),
        (
            ("", "endpoints"),
            an_object(metadata={"labels": {"endpoints.kubernetes.io/managed-by": "x"}}),
            "Generated",
        ),
        (SLICES, owned("v1", "Service"), "ControllerOwned"),
        (SLICES, an_object("by-hand"), None),
        (("", "services"), an_object("kubernetes", "default"), "Generated"),
        (("", "services"), an_object("kubernetes", "other"), None),
        (("", "namespaces"), an_object("kube-node-lease", None), "Generated"),
        ((RBAC, "clusterroles"), an_object(metadata=BOOTSTRAPPED), "Bootstrapped"),
        ((RBAC, "clusterroles"), an_object(metadata=EDITED), None),
        (("apiregistration.k8s.io", "apiservices"), an_object(spec={}), "Generated"),
        (("apiregistration.k8s.io", "apiservices"), an_object(spec={"service": {}}), None),
        (
            ("scheduling.k8s.io", "priorityclasses"),
            an_object("system-node-critical"),
            "Bootstrapped",
        ),
        (
            ("", "persistentvolumes"),
            an_object(
                metadata={"annotations": {"pv.kubernetes.io/provisioned-by": "x"}},
                spec={"persistentVolumeReclaimPolicy": "Delete"},
            ),
            "Provisioned",
        ),
        (
            ("", "persistentvolumes"),
            an_object(
                metadata={"annotations": {"pv.kubernetes.io/provisioned-by": "x"}},
                spec={"persistentVolumeReclaimPolicy": "Retain"},
            ),
            None,
        ),
    ],
)
def test_an_object_is_skipped_for_a_reason_or_not_at_all(
    kind: KindKey, one: dict[str, Any], reason: str | None
) -> None:
    skip = find_skip(one, kind)

    assert (skip.reason if skip is not None else None) == reason


NOTHING_OF = {
    "Machine": [
        ("", "nodes"),
        ("resource.k8s.io", "resourceslices"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "csistoragecapacities"),
    ],
    "Running": [
        ("coordination.k8s.io", "leasecandidates"),
        ("coordination.k8s.io", "leases"),
        ("internal.apiserver.k8s.io", "storageversions"),
        ("storage.k8s.io", "volumeattachments"),
    ],
    "Past": [
        ("", "componentstatuses"),
        ("", "events"),
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("certificates.k8s.io", "podcertificaterequests"),
        ("events.k8s.io", "events"),
        ("storagemigration.k8s.io", "storageversionmigrations"),
    ],
    "Allocated": [("networking.k8s.io", "ipaddresses")],
    "OneShotRequest": [("backup-operator.io", "backups"), ("backup-operator.io", "restores")],
}


@pytest.mark.parametrize("reason", NOTHING_OF)
def test_whole_kinds_are_skipped_without_looking_inside(reason: str) -> None:
    found = [find_kind_skip(kind) for kind in NOTHING_OF[reason]]

    assert {skip.reason if skip is not None else None for skip in found} == {reason}
    assert find_kind_skip(("", "pods")) is None


@pytest.mark.parametrize(
    ("kind", "namespace", "name"),
    [
        (("", "configmaps"), "kube-system", "extension-apiserver-authentication"),
        (
            ("", "configmaps"),
            "kube-system",
            "kube-apiserver-legacy-service-account-token-tracking",
        ),
        (("", "endpoints"), "default", "kubernetes"),
        (("", "namespaces"), None, "kube-node-lease"),
        (("", "services"), "default", "kubernetes"),
        (SLICES, "default", "kubernetes"),
        (("networking.k8s.io", "servicecidrs"), None, "kubernetes"),
    ],
)
def test_what_the_control_plane_keeps_itself_is_known_by_its_name(
    kind: KindKey, namespace: str | None, name: str
) -> None:
    skip = find_skip(an_object(name, namespace), kind)

    assert skip is not None
    assert skip.reason == "Generated"
    assert find_skip(an_object(f"{name}-2", namespace), kind) is None


UPDATED = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}
FLOW = "flowcontrol.apiserver.k8s.io"


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        ((RBAC, "clusterroles"), BOOTSTRAPPED),
        ((RBAC, "clusterrolebindings"), BOOTSTRAPPED),
        ((RBAC, "roles"), BOOTSTRAPPED),
        ((RBAC, "rolebindings"), BOOTSTRAPPED),
        ((FLOW, "flowschemas"), UPDATED),
        ((FLOW, "prioritylevelconfigurations"), UPDATED),
    ],
)
def test_what_the_server_resets_to_its_default_is_left_to_it(
    kind: KindKey, metadata: dict[str, Any]
) -> None:
    skip = find_skip(an_object(metadata=metadata), kind)

    assert skip is not None
    assert skip.reason == "Bootstrapped"
    assert find_skip(an_object(), kind) is None


@pytest.mark.parametrize("controller", ["endpointslice", "endpointslicemirroring"])
def test_slices_that_a_controller_keeps_are_known_by_their_label(controller: str) -> None:
    labels = {"endpointslice.kubernetes.io/managed-by": f"{controller}-controller.k8s.io"}
    skip = find_skip(an_object(metadata={"labels": labels}), SLICES)

    assert skip is not None
    assert skip.reason == "Generated"


@pytest.mark.parametrize(
    "annotation",
    [
        "control-plane.alpha.kubernetes.io/leader",
        "endpoints.kubernetes.io/last-change-trigger-time",
    ],
)
def test_endpoints_that_a_controller_keeps_are_known_by_their_annotation(annotation: str) -> None:
    skip = find_skip(an_object(metadata={"annotations": {annotation: "x"}}), ("", "endpoints"))

    assert skip is not None
    assert skip.reason == "Generated"


@pytest.mark.parametrize(
    ("kind", "makers"),
    [
        (("", "pods"), ["v1 ReplicationController", "v1 Node", "batch/v1 Job"]),
        (("", "pods"), ["apps/v1 DaemonSet", "apps/v1 ReplicaSet", "apps/v1 StatefulSet"]),
        (("", "persistentvolumeclaims"), ["v1 Pod"]),
        (("apps", "replicasets"), ["apps/v1 Deployment"]),
        (("apps", "controllerrevisions"), ["apps/v1 DaemonSet", "apps/v1 StatefulSet"]),
        (("batch", "jobs"), ["batch/v1 CronJob"]),
        (("discovery.k8s.io", "endpointslices"), ["v1 Service", "v1 Endpoints"]),
        (("resource.k8s.io", "resourceclaims"), ["v1 Pod"]),
    ],
)
def test_what_a_controller_of_kubernetes_owns_is_not_restored_twice(
    kind: KindKey, makers: list[str]
) -> None:
    for api_version, maker in map(str.split, makers):
        skip = find_skip(owned(api_version, maker), kind)
        assert skip is not None
        assert (skip.reason, f"its {maker} o" in skip.message) == ("ControllerOwned", True)
        assert find_skip(owned(api_version, maker, controller=False), kind) is None
        assert find_skip(owned("zoo.example/v1", maker), kind) is None
