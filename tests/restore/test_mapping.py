"""Namespaces change their names, and what refers to them follows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_engine.restore.identity import KindKey
from backup_engine.restore.mapping import ensure_mapping, map_object, map_place
from restorescene import build_scene

RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
FLOW = "flowcontrol.apiserver.k8s.io"
AT_SCHEDULING = "DuringSchedulingIgnoredDuringExecution"
TO_NEW = {"old": "new"}


def key_of(one: dict[str, Any]) -> KindKey:
    resources = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}
    group = one["apiVersion"].rpartition("/")[0]
    kind: str = one["kind"]
    plural = kind.lower() + ("es" if kind.endswith("s") else "s")
    if kind.endswith("Policy"):
        plural = kind.lower().removesuffix("y") + "ies"
    return group, resources.get(kind, plural)


@given(st.permutations(["x-a", "x-b", "free-1", "free-2"]))
def test_mapping_there_and_back_changes_nothing(names: list[str]) -> None:
    there = dict(zip(["x-a", "x-b"], names[:2], strict=True))
    back = {new: old for old, new in there.items()}
    for one in build_scene("x", maps=1).objects:
        key = key_of(one)
        assert map_object(map_object(one, key, there), key, back) == one


def test_every_reference_of_the_scene_follows() -> None:
    mapping = {"x-a": "moved", "x-b": "gone"}
    for one in build_scene("x", maps=1).objects:
        text = str(map_object(one, key_of(one), mapping))
        assert "'x-a'" not in text, one["kind"]
        assert ":x-a" not in text, one["kind"]


def at(path: str, namespace: object) -> dict[str, Any]:
    """An object with a name, or what holds one, at ``path``; ``[]`` is a list of one."""
    node: Any = namespace
    for step in reversed(path.split(".")):
        node = {step.removesuffix("[]"): [node] if step.endswith("[]") else node}
    return {"metadata": {"name": "one"}, **node}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (
            ("apiextensions.k8s.io", "customresourcedefinitions"),
            "spec.conversion.webhook.clientConfig.service.namespace",
        ),
        (("apiregistration.k8s.io", "apiservices"), "spec.service.namespace"),
        (
            (ADMISSION, "mutatingwebhookconfigurations"),
            "webhooks[].clientConfig.service.namespace",
        ),
        (
            (ADMISSION, "validatingwebhookconfigurations"),
            "webhooks[].clientConfig.service.namespace",
        ),
        ((ADMISSION, "mutatingadmissionpolicybindings"), "spec.paramRef.namespace"),
        ((ADMISSION, "validatingadmissionpolicybindings"), "spec.paramRef.namespace"),
        ((FLOW, "flowschemas"), "spec.rules[].subjects[].serviceAccount.namespace"),
        (("networking.k8s.io", "ingressclasses"), "spec.parameters.namespace"),
        (("", "endpoints"), "subsets[].addresses[].targetRef.namespace"),
        (("", "endpoints"), "subsets[].notReadyAddresses[].targetRef.namespace"),
        (("discovery.k8s.io", "endpointslices"), "endpoints[].targetRef.namespace"),
        (("", "persistentvolumes"), "spec.claimRef.namespace"),
        (("", "persistentvolumes"), "spec.azureFile.secretNamespace"),
        *(
            (("", "persistentvolumes"), f"spec.{source}.secretRef.namespace")
            for source in ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
        ),
        *(
            (("", "persistentvolumes"), f"spec.csi.{step}SecretRef.namespace")
            for step in (
                "controllerExpand",
                "controllerPublish",
                "nodeExpand",
                "nodePublish",
                "nodeStage",
            )
        ),
        (("", "persistentvolumeclaims"), "spec.dataSourceRef.namespace"),
        (
            ("apps", "deployments"),
            f"spec.template.spec.affinity.podAffinity.required{AT_SCHEDULING}[].namespaces[]",
        ),
        (
            ("", "pods"),
            f"spec.affinity.podAntiAffinity.preferred{AT_SCHEDULING}[].podAffinityTerm.namespaces[]",
        ),
    ],
)
def test_a_reference_in_a_known_place_follows(kind: KindKey, path: str) -> None:
    assert map_object(at(path, "old"), kind, TO_NEW) == at(path, "new")
    assert map_object(at(path, "other"), kind, TO_NEW) == at(path, "other")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ((ADMISSION, "mutatingwebhookconfigurations"), "webhooks[].namespaceSelector"),
        ((ADMISSION, "validatingwebhookconfigurations"), "webhooks[].namespaceSelector"),
        ((ADMISSION, "mutatingadmissionpolicies"), "spec.matchConstraints.namespaceSelector"),
        ((ADMISSION, "validatingadmissionpolicies"), "spec.matchConstraints.namespaceSelector"),
        ((ADMISSION, "mutatingadmissionpolicybindings"), "spec.matchResources.namespaceSelector"),
        ((ADMISSION, "validatingadmissionpolicybindings"), "spec.matchResources.namespaceSelector"),
        (("networking.k8s.io", "networkpolicies"), "spec.ingress[].from[].namespaceSelector"),
        (("networking.k8s.io", "networkpolicies"), "spec.egress[].to[].namespaceSelector"),
    ],
)
def test_a_selector_of_namespaces_follows_by_their_names(kind: KindKey, path: str) -> None:
    def selecting(name: str) -> dict[str, Any]:
        label = "kubernetes.io/metadata.name"
        expression = {"key": label, "operator": "In", "values": [name, "other"]}
        selector = {"matchLabels": {label: name, "a": "old"}, "matchExpressions": [expression]}
        return at(path, selector)

    assert map_object(selecting("old"), kind, TO_NEW) == selecting("new")


def test_accounts_follow_in_each_of_their_spellings() -> None:
    def subjects(namespace: str) -> list[dict[str, str]]:
        return [
            {"kind": "ServiceAccount", "name": "app", "namespace": namespace},
            {"kind": "User", "name": f"system:serviceaccount:{namespace}:app"},
            {"kind": "Group", "name": f"system:serviceaccounts:{namespace}"},
            {"kind": "Group", "name": "system:serviceaccounts"},
            {"kind": "User", "name": namespace},
        ]

    one = {"metadata": {"name": "b"}, "subjects": subjects("old")}
    wanted = [*subjects("new")[:4], {"kind": "User", "name": "old"}]  # a person who is called so

    assert map_object(one, (RBAC, "clusterrolebindings"), TO_NEW)["subjects"] == wanted


def test_a_moved_object_forgets_what_kubectl_applied() -> None:
    name = "kubectl.kubernetes.io/last-applied-configuration"
    one = {"metadata": {"name": "a", "namespace": "old", "annotations": {name: "{}", "b": "c"}}}

    moved = map_object(one, ("", "configmaps"), TO_NEW)
    stayed = map_object(one, ("", "configmaps"), {"else": "where"})

    assert moved["metadata"] == {"name": "a", "namespace": "new", "annotations": {"b": "c"}}
    assert stayed == one


def test_a_namespace_is_renamed_itself() -> None:
    labels = {"kubernetes.io/metadata.name": "old"}
    one = {"metadata": {"name": "old", "labels": labels}}

    renamed = map_object(one, ("", "namespaces"), TO_NEW)["metadata"]

    assert renamed == {"name": "new", "labels": {"kubernetes.io/metadata.name": "new"}}
    assert map_place(("", "namespaces"), None, "old", TO_NEW) == (None, "new")
    assert map_place(("", "pods"), "old", "old", TO_NEW) == ("new", "old")


@pytest.mark.parametrize(
    ("mapping", "unmapped"), [({"a": "c", "b": "c"}, []), ({"a": "b"}, ["a", "b"])]
)
def test_two_namespaces_never_become_one(mapping: dict[str, str], unmapped: list[str]) -> None:
    with pytest.raises(ValueError, match="would both become"):
        ensure_mapping(mapping, unmapped)


def test_two_namespaces_may_change_places() -> None:
    ensure_mapping({"a": "b", "b": "a"}, ["a", "b", "c"])
