import json
from typing import Any

import pytest

from backup_engine.capture.discovery import parse_discovery
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.policy import STRICT, SuccessPolicy
from backup_engine.capture.scope import EVERYTHING, CaptureScope


def a_resource(resource: str, kind: str, *verbs: str, scope: str = "Namespaced") -> dict[str, Any]:
    return {
        "resource": resource,
        "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": scope,
        "verbs": list(verbs or ("get", "list")),
        "subresources": [{"subresource": "status", "verbs": ["get"]}],
    }


def a_group(name: str, **versions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "versions": [
            {"version": version, "resources": resources, "freshness": "Current"}
            for version, resources in versions.items()
        ],
    }


def discover(
    *groups: dict[str, Any], scope: CaptureScope = EVERYTHING, policy: SuccessPolicy = STRICT
) -> tuple[list[str], dict[str, str]]:
    document = json.dumps({"kind": "APIGroupDiscoveryList", "items": list(groups)}).encode()
    found = parse_discovery([document], scope, policy)
    return (
        [f"{kind.api_version}/{kind.resource}" for kind in found.kinds],
        {f"{skip.api_version}/{skip.resource}": skip.reason for skip in found.skipped},
    )


def test_only_what_can_be_listed_is_captured() -> None:
    kinds, skipped = discover(
        a_group(
            "",
            v1=[a_resource("bindings", "Binding", "create"), a_resource("secrets", "Secret")],
        )
    )

    assert kinds == ["v1/secrets"]
    assert skipped == {}


def test_definitions_and_namespaces_come_first_and_the_rest_in_a_fixed_order() -> None:
    kinds, _ = discover(
        a_group("zoo.io", v1=[a_resource("zebras", "Zebra"), a_resource("apes", "Ape")]),
        a_group("", v1=[a_resource("configmaps", "ConfigMap"), a_resource("namespaces", "Ns")]),
        a_group("apiextensions.k8s.io", v1=[a_resource("customresourcedefinitions", "CRD")]),
    )

    assert kinds == [
        "apiextensions.k8s.io/v1/customresourcedefinitions",
        "v1/namespaces",
        "v1/configmaps",
        "zoo.io/v1/apes",
        "zoo.io/v1/zebras",
    ]


def test_the_preferred_version_wins_and_older_ones_add_only_what_it_lacks() -> None:
    kinds, _ = discover(
        a_group(
            "zoo.io",
            v2=[a_resource("apes", "Ape"), a_resource("keepers", "Keeper", "create")],
            v1=[
                a_resource("apes", "Ape"),
                a_resource("dodos", "Dodo"),
                a_resource("keepers", "Keeper"),
            ],
        )
    )

    assert kinds == ["zoo.io/v2/apes", "zoo.io/v1/dodos", "zoo.io/v1/keepers"]


def test_what_is_short_lived_computed_or_served_twice_is_left_out_with_a_reason() -> None:
    kinds, skipped = discover(
        a_group(
            "",
            v1=[
                a_resource("events", "Event"),
                a_resource("componentstatuses", "ComponentStatus"),
                a_resource("endpoints", "Endpoints"),
            ],
        ),
        a_group("events.k8s.io", v1=[a_resource("events", "Event")]),
        a_group("coordination.k8s.io", v1=[a_resource("leases", "Lease")]),
        a_group("metrics.k8s.io", v1beta1=[a_resource("pods", "PodMetrics")]),
        a_group("apps", v1=[a_resource("deployments", "Deployment")]),
        a_group("extensions", v1beta1=[a_resource("deployments", "Deployment")]),
        a_group("discovery.k8s.io", v1=[a_resource("endpointslices", "EndpointSlice")]),
    )

    assert kinds == [
        "v1/endpoints",
        "apps/v1/deployments",
        "discovery.k8s.io/v1/endpointslices",
    ]
    assert skipped == {
        "v1/events": "Ephemeral",
        "v1/componentstatuses": "Ephemeral",
        "events.k8s.io/v1/events": "Ephemeral",
        "coordination.k8s.io/v1/leases": "Ephemeral",
        "metrics.k8s.io/v1beta1/pods": "Ephemeral",
        "extensions/v1beta1/deployments": "Mirror",
    }


def a_stale_group(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "versions": [{"version": "v1", "freshness": "Stale"}]}


def test_an_api_whose_server_is_down_fails_the_capture() -> None:
    with pytest.raises(CaptureError, match=r"down\.io/v1") as caught:
        discover(a_stale_group("down.io"), a_group("", v1=[a_resource("secrets", "Secret")]))

    assert caught.value.reason == "StaleDiscovery"


@pytest.mark.parametrize(
    ("scope", "policy"),
    [
        (EVERYTHING, SuccessPolicy(tolerate_unavailable=("*.down.io",))),
        (CaptureScope(exclude_kinds=("*.down.io",)), STRICT),
        (CaptureScope(include_kinds=("secrets.",)), STRICT),
    ],
)
def test_an_api_whose_server_is_down_is_noted_where_it_is_tolerated_or_outside(
    scope: CaptureScope, policy: SuccessPolicy
) -> None:
    groups = a_stale_group("down.io"), a_group("", v1=[a_resource("secrets", "Secret")])

    kinds, skipped = discover(*groups, scope=scope, policy=policy)

    assert kinds == ["v1/secrets"]
    assert skipped == {"down.io/v1/*": "StaleDiscovery"}


SECRETS_ONLY = a_group("", v1=[a_resource("secrets", "Secret")])


def test_a_kind_included_by_a_name_that_is_not_served_fails_the_capture() -> None:
    with pytest.raises(CaptureError, match=r"'deploymnts\.apps'.*kubectl api-resources") as caught:
        discover(SECRETS_ONLY, scope=CaptureScope(include_kinds=("secrets", "deploymnts.apps")))

    assert caught.value.reason == "UnknownKind"


@pytest.mark.parametrize(
    ("name", "tolerated", "noted"),
    [
        ("apes", "apes", "*/apes"),
        ("apes.zoo.io", "apes.zoo.io", "zoo.io/*/apes"),
        ("apes.zoo.io", "*.zoo.io", "zoo.io/*/apes"),
    ],
)
def test_a_kind_that_is_not_served_is_noted_where_the_policy_tolerates_it(
    name: str, tolerated: str, noted: str
) -> None:
    policy = SuccessPolicy(tolerate_unavailable=(tolerated,))
    scope = CaptureScope(include_kinds=("secrets.", name))

    kinds, skipped = discover(SECRETS_ONLY, scope=scope, policy=policy)

    assert kinds == ["v1/secrets"]
    assert skipped == {noted: "UnknownKind"}


def test_globs_that_match_nothing_and_groups_that_are_down_make_no_kind_unknown() -> None:
    scope = CaptureScope(include_kinds=("secrets.", "*.zoo.io", "apes.down.io"))
    policy = SuccessPolicy(tolerate_unavailable=("*.down.io",))

    _, skipped = discover(SECRETS_ONLY, a_stale_group("down.io"), scope=scope, policy=policy)

    assert set(skipped.values()) == {"StaleDiscovery"}


def test_measurements_whose_server_is_down_are_no_gap() -> None:
    assert discover(a_stale_group("metrics.k8s.io")) == (
        [],
        {"metrics.k8s.io/v1/*": "StaleDiscovery"},
    )


def test_requests_to_this_operator_are_left_out_but_not_what_it_was_set_up_with() -> None:
    own = [a_resource(f"{name}s", name.title()) for name in ("backup", "restore", "backupschedule")]

    kinds, skipped = discover(a_group("backup-operator.io", v1=own))

    assert kinds == ["backup-operator.io/v1/backupschedules"]
    assert set(skipped.values()) == {"Ephemeral"}


def test_the_scope_chooses_kinds_and_may_ask_for_what_is_left_out_by_default() -> None:
    groups = (
        a_group("", v1=[a_resource("events", "Event"), a_resource("secrets", "Secret")]),
        a_group("apps", v1=[a_resource("deployments", "D"), a_resource("replicasets", "R")]),
    )

    def chosen(**scope: Any) -> list[str]:  # noqa: ANN401
        return [
            kind.partition("v1/")[2] for kind in discover(*groups, scope=CaptureScope(**scope))[0]
        ]

    assert chosen(include_kinds=("*.apps",)) == ["deployments", "replicasets"]
    assert chosen(exclude_kinds=("replicasets", "secrets.")) == ["deployments"]
    assert chosen(include_kinds=("events",)) == ["events"]
    assert chosen(include_kinds=("e*",)) == []
    assert chosen(include_kinds=("e*",), has_default_excludes=False) == ["events"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"kind":"APIGroupList","groups":[]}', "DiscoveryUnsupported"),
        (b"<html>", "UnreadableAnswer"),
    ],
)
def test_a_server_without_aggregated_discovery_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(CaptureError) as caught:
        parse_discovery([document])

    assert caught.value.reason == reason
