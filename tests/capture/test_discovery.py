import json
from typing import Any

import pytest

from backup_engine.capture.discovery import Kind, build_targets, parse_discovery
from backup_engine.capture.errors import CaptureError


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


def discover(*groups: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    document = json.dumps({"kind": "APIGroupDiscoveryList", "items": list(groups)}).encode()
    found = parse_discovery([document])
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


def test_an_api_whose_server_is_down_is_noted() -> None:
    stale = {"metadata": {"name": "down.io"}, "versions": [{"version": "v1", "freshness": "Stale"}]}

    kinds, skipped = discover(stale, a_group("", v1=[a_resource("secrets", "Secret")]))

    assert kinds == ["v1/secrets"]
    assert skipped == {"down.io/v1/*": "StaleDiscovery"}


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


def test_a_scope_of_namespaces_takes_their_objects_and_the_namespaces_themselves() -> None:
    secrets = Kind("", "v1", "secrets", "Secret", is_namespaced=True)
    namespaces = Kind("", "v1", "namespaces", "Namespace", is_namespaced=False)
    nodes = Kind("", "v1", "nodes", "Node", is_namespaced=False)
    scope = ("red", "blue")

    assert [one.kind.path(one.namespace) for one in build_targets(secrets, scope)] == [
        "/api/v1/namespaces/red/secrets",
        "/api/v1/namespaces/blue/secrets",
    ]
    assert [one.field_selector for one in build_targets(namespaces, scope)] == [
        "metadata.name=red",
        "metadata.name=blue",
    ]
    assert build_targets(nodes, scope) == ()
    assert [one.namespace for one in build_targets(nodes, None)] == [None]
