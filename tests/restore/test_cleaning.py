"""What a cluster assigned is left out, and only that."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_engine.restore.cleaning import FROM_KIND, clean, without_owner_uids
from backup_engine.restore.identity import KindKey

METADATA = {
    "name": "one",
    "namespace": "a",
    "uid": "u-1",
    "resourceVersion": "12",
    "generation": 3,
    "creationTimestamp": "2026-11-23T00:00:00Z",
    "selfLink": "/x",
    "managedFields": [{"manager": "kubectl"}],
    "labels": {"app": "web"},
}
KEPT = {"name": "one", "namespace": "a", "labels": {"app": "web"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "None", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


@st.composite
def objects(draw: st.DrawFn) -> tuple[KindKey, dict[str, Any]]:
    """An object that has values, sensible or not, at the paths that its kind drops."""
    kind = draw(st.sampled_from([*FROM_KIND, ("zoo.example", "widgets")]))
    one: dict[str, Any] = {"apiVersion": "v1", "kind": "X", "metadata": copy.deepcopy(METADATA)}
    one["metadata"]["finalizers"] = draw(
        st.lists(st.sampled_from(["kubernetes.io/pvc-protection", "my.example/own"]), max_size=2)
    )
    for row in FROM_KIND.get(kind, ()):
        node: Any = one
        for step, following in zip(row.path, row.path[1:], strict=False):
            if step == "*":
                break
            fresh: Any = [{"name": "x", "a": draw(json_values)}] if following == "*" else {}
            node = node.setdefault(step, fresh)
            if not isinstance(node, dict):
                break
        else:
            node[row.path[-1]] = draw(json_values)
    one["spec"] = {**one.get("spec", {}), "other": draw(json_values)}
    return kind, one


@given(objects())
def test_cleaning_twice_is_cleaning_once_and_leaves_its_input(
    given_: tuple[KindKey, dict[str, Any]],
) -> None:
    kind, one = given_
    before = copy.deepcopy(one)

    once = clean(one, kind)

    assert one == before
    assert clean(once, kind) == once
    assert once["metadata"].keys() <= KEPT.keys() | {"annotations", "finalizers"}
    assert once["spec"].get("other") == before["spec"]["other"]


def cleaned(
    kind: KindKey, *, metadata: dict[str, Any] | None = None, **members: object
) -> dict[str, Any]:
    one = {"apiVersion": "v1", "kind": "X", "metadata": {**METADATA, **(metadata or {})}, **members}
    return {
        name: value
        for name, value in clean(one, kind).items()
        if name in members or name == "metadata"
    }


@pytest.mark.parametrize(
    ("kind", "given_", "kept"),
    [
        (("", "services"), {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}, {}),
        (("", "services"), {"clusterIP": "None", "clusterIPs": ["None"]}, None),
        (("", "services"), {"ports": [{"port": 1, "nodePort": 30001}]}, None),
        (
            ("", "persistentvolumeclaims"),
            {"volumeName": "pv-1", "accessModes": []},
            {"accessModes": []},
        ),
        (
            ("", "persistentvolumes"),
            {"claimRef": {"name": "c", "namespace": "a", "uid": "u", "resourceVersion": "1"}},
            {"claimRef": {"name": "c", "namespace": "a"}},
        ),
        (("", "namespaces"), {"finalizers": ["kubernetes"]}, {}),
        (("batch", "jobs"), {"selector": {"matchLabels": {"controller-uid": "u"}}}, {}),
        (
            ("batch", "jobs"),
            {"selector": {"matchLabels": {"a": "b"}}, "manualSelector": True},
            None,
        ),
        (
            ("", "pods"),
            {
                "nodeName": "n",
                "priority": 0,
                "preemptionPolicy": "PreemptLowerPriority",
                "ephemeralContainers": [{"name": "debugger"}],
                "volumes": [{"name": "kube-api-access-abcde"}, {"name": "mine"}],
                "containers": [{"name": "c", "volumeMounts": [{"name": "kube-api-access-abcde"}]}],
                "initContainers": [
                    {"name": "i", "volumeMounts": [{"name": "kube-api-access-abcde"}]}
                ],
            },
            {
                "volumes": [{"name": "mine"}],
                "containers": [{"name": "c"}],
                "initContainers": [{"name": "i"}],
            },
        ),
        (
            ("apps", "statefulsets"),
            {"volumeClaimTemplates": [{"spec": {"a": 1}, "status": {"phase": "Pending"}}]},
            {"volumeClaimTemplates": [{"spec": {"a": 1}}]},
        ),
        (
            ("batch", "jobs"),
            {
                "template": {
                    "metadata": {
                        "creationTimestamp": None,
                        "labels": {
                            "controller-uid": "u",
                            "batch.kubernetes.io/controller-uid": "u",
                            "app": "x",
                        },
                    }
                }
            },
            {"template": {"metadata": {"labels": {"app": "x"}}}},
        ),
    ],
)
def test_specs_lose_what_was_assigned(
    kind: KindKey, given_: dict[str, Any], kept: dict[str, Any] | None
) -> None:
    spec = cleaned(kind, spec=given_).get("spec", {})

    assert spec == (given_ if kept is None else kept)


TARGET = {"kind": "Pod", "name": "p", "uid": "u", "resourceVersion": "1"}
KEPT_TARGET = {"kind": "Pod", "name": "p"}


@pytest.mark.parametrize(
    ("kind", "given_", "kept"),
    [
        (
            ("", "serviceaccounts"),
            {
                "secrets": [{"name": "one-token-abcde"}, {"name": "mine"}],
                "imagePullSecrets": [{"name": "one-dockercfg-abcde"}, {"name": "mine"}],
            },
            {"secrets": [{"name": "mine"}], "imagePullSecrets": [{"name": "mine"}]},
        ),
        (
            ("", "endpoints"),
            {
                "subsets": [
                    {
                        "addresses": [{"ip": "1", "targetRef": TARGET}],
                        "notReadyAddresses": [{"ip": "2", "targetRef": TARGET}],
                    }
                ]
            },
            {
                "subsets": [
                    {
                        "addresses": [{"ip": "1", "targetRef": KEPT_TARGET}],
                        "notReadyAddresses": [{"ip": "2", "targetRef": KEPT_TARGET}],
                    }
                ]
            },
        ),
        (
            ("discovery.k8s.io", "endpointslices"),
            {"endpoints": [{"addresses": ["1"], "targetRef": TARGET}]},
            {"endpoints": [{"addresses": ["1"], "targetRef": KEPT_TARGET}]},
        ),
    ],
)
def test_references_lose_what_names_the_captured_cluster(
    kind: KindKey, given_: dict[str, Any], kept: dict[str, Any]
) -> None:
    found = cleaned(kind, **given_)
    del found["metadata"]

    assert found == kept


@pytest.mark.parametrize(
    ("kind", "where", "names"),
    [
        (("", "namespaces"), "labels", ["kubernetes.io/metadata.name"]),
        (("batch", "jobs"), "labels", ["controller-uid", "batch.kubernetes.io/controller-uid"]),
        (("batch", "jobs"), "annotations", ["batch.kubernetes.io/job-tracking"]),
        (("", "secrets"), "annotations", ["kubernetes.io/service-account.uid"]),
        (("", "persistentvolumes"), "annotations", ["pv.kubernetes.io/bound-by-controller"]),
        (
            ("", "persistentvolumeclaims"),
            "annotations",
            [
                "pv.kubernetes.io/bind-completed",
                "pv.kubernetes.io/bound-by-controller",
                "volume.beta.kubernetes.io/storage-provisioner",
                "volume.kubernetes.io/storage-provisioner",
                "volume.kubernetes.io/selected-node",
            ],
        ),
        (("apps", "deployments"), "annotations", ["deployment.kubernetes.io/revision"]),
        (("apps", "daemonsets"), "annotations", ["deprecated.daemonset.template.generation"]),
    ],
)
def test_labels_and_annotations_of_controllers_go_and_others_stay(
    kind: KindKey, where: str, names: list[str]
) -> None:
    given_ = {**dict.fromkeys(names, "x"), "mine.example/own": "x"}

    assert cleaned(kind, metadata={where: given_})["metadata"][where] == {"mine.example/own": "x"}
    assert cleaned(("zoo.io", "widgets"), metadata={where: given_})["metadata"][where] == given_


def test_metadata_keeps_names_labels_and_foreign_finalizers() -> None:
    finalizers = [
        "batch.kubernetes.io/job-tracking",
        "customresourcecleanup.apiextensions.k8s.io",
        "external-provisioner.volume.kubernetes.io/finalizer",
        "foregroundDeletion",
        "kubernetes.io/pv-controller",
        "kubernetes.io/pv-protection",
        "kubernetes.io/pvc-protection",
        "mine.example/keep",
        "orphan",
        "service.kubernetes.io/load-balancer-cleanup",
    ]
    ending = {"deletionTimestamp": "2026-11-28T00:00:00Z", "deletionGracePeriodSeconds": 0}
    given = {"finalizers": finalizers, "selfLink": "/api/v1/x", **ending}
    metadata = cleaned(("", "configmaps"), metadata=given)["metadata"]

    assert metadata == {**KEPT, "finalizers": ["mine.example/keep"]}


def test_a_token_secret_loses_its_token_and_any_other_keeps_its_content() -> None:
    token = cleaned(
        ("", "secrets"), type="kubernetes.io/service-account-token", data={"token": "eA=="}
    )

    assert "data" not in token
    assert cleaned(("", "secrets"), type="Opaque", data={"a": "eA=="})["data"] == {"a": "eA=="}


def test_an_aggregated_role_loses_its_rules_and_a_plain_one_keeps_them() -> None:
    kind = ("rbac.authorization.k8s.io", "clusterroles")
    rules = [{"verbs": ["get"]}]

    assert "rules" not in cleaned(kind, rules=rules, aggregationRule={"clusterRoleSelectors": [{}]})
    assert cleaned(kind, rules=rules)["rules"] == rules


def test_a_status_stays_only_if_asked_for() -> None:
    one = {"metadata": METADATA, "status": {"phase": "x"}}

    assert "status" not in clean(one, ("zoo.example", "widgets"))
    assert clean(one, ("zoo.example", "widgets"), has_status=True)["status"] == {"phase": "x"}


def test_owners_are_compared_without_their_uids() -> None:
    owners = [{"kind": "Widget", "name": "w", "uid": "u"}]

    compared = without_owner_uids({"metadata": {"ownerReferences": owners}})

    assert compared["metadata"]["ownerReferences"] == [{"kind": "Widget", "name": "w"}]
