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


def test_whole_kinds_are_skipped_without_looking_inside() -> None:
    assert find_kind_skip(("", "nodes")) is not None
    assert find_kind_skip(("", "pods")) is None


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
