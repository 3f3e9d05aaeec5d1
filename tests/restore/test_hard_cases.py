"""Objects and clusters that resist: each ends right, or is named with what stands in its way."""

import asyncio
from typing import Any

import pytest

from backup_engine.capture.asking import RetryPolicy
from backup_engine.restore.planning import Action, Existing, PlanItem
from backup_engine.restore.request import RestoreLimits, RestoreOptions
from backup_engine.restore.run import RestoreOutcome, plan_restore, restore
from backup_engine.restore.selection import ObjectRule
from restorescene import Stage, build_crd, make
from restorescene.stage import deadline

pytestmark = pytest.mark.cluster

MERGE = {"Content-Type": "application/merge-patch+json"}
APP = [{"name": "main", "image": "registry.example/app:1"}]


async def restored(
    stage: Stage,
    archive: Any,  # noqa: ANN401 - a path
    existing: Existing = Existing.KEEP,
    limits: RestoreLimits | None = None,
) -> RestoreOutcome:
    options = RestoreOptions(selection=stage.selection(), existing=existing)
    return await restore(options, await stage.open(archive), stage.connection, limits=limits)


async def planned(
    stage: Stage,
    archive: Any,  # noqa: ANN401 - a path
    existing: Existing,
) -> dict[str, PlanItem]:
    items: list[PlanItem] = []
    options = RestoreOptions(selection=stage.selection(), existing=existing)
    await plan_restore(options, await stage.open(archive), stage.connection, take=items.append)
    return {f"{item.key.kind} {item.key.name}": item for item in items}


async def test_what_a_controller_made_first_gives_way_to_the_archive(stage: Stage) -> None:
    """A namespace's plain default account exists before ours can be created."""
    namespace = f"{stage.prefix}-a"
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    await stage.create(make("v1", "Namespace", namespace))
    async with deadline() as expired:
        while (await stage.request("GET", account))[0] != 200:
            expired(account)
            await asyncio.sleep(0.05)
    change = {"imagePullSecrets": [{"name": "registry"}], "metadata": {"labels": {"a": "b"}}}
    await stage.request("PATCH", account, json=change, headers=MERGE)
    archive = await stage.capture()
    await stage.wipe()

    outcome = await restored(stage, archive)

    assert outcome.is_complete, outcome.errors
    assert outcome.done[Action.CONFLICT] == 0
    found = await stage.get(account)
    assert found["imagePullSecrets"] == [{"name": "registry"}]
    assert found["metadata"]["labels"] == {"a": "b"}
    await stage.request(
        "PATCH", account, json={"imagePullSecrets": [{"name": "own"}]}, headers=MERGE
    )
    again = await restored(stage, archive)
    assert again.done[Action.CONFLICT] == 1  # by now it is somebody's own, and is kept


async def test_a_stateful_set_finds_its_claims_again(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": APP}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "none",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    await stage.create(
        make("v1", "Namespace", namespace),
        make(
            "v1",
            "Service",
            "db",
            namespace,
            spec={"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 5432}]},
        ),
        make(
            "apps/v1",
            "StatefulSet",
            "db",
            namespace,
            spec={
                "serviceName": "db",
                "replicas": 1,
                "selector": {"matchLabels": {"app": "db"}},
                "template": template,
                "volumeClaimTemplates": [claim],
            },
        ),
    )
    async with deadline() as expired:
        while (await stage.request("GET", f"{claims}/data-db-0"))[0] != 200:
            expired("claim of the StatefulSet")
            await asyncio.sleep(0.05)
    await stage.request(
        "PATCH",
        f"{claims}/data-db-0",
        json={"metadata": {"labels": {"kept": "yes"}}},
        headers=MERGE,
    )
    archive = await stage.capture()
    await stage.wipe()

    outcome = await restored(stage, archive)

    assert outcome.is_complete, outcome.errors
    found = await stage.get(f"{claims}/data-db-0")
    assert found["metadata"]["labels"]["kept"] == "yes"  # ours, not one the controller made anew


async def test_a_node_port_that_is_taken_is_the_error_of_one_service(stage: Stage) -> None:
    namespace, other = f"{stage.prefix}-a", f"{stage.prefix}-b"
    service = {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "web"}}
    await stage.create(
        make("v1", "Namespace", namespace), make("v1", "Service", "web", namespace, spec=service)
    )
    path = f"/api/v1/namespaces/{namespace}/services/web"
    port = (await stage.get(path))["spec"]["ports"][0]["nodePort"]
    archive = await stage.capture()
    await stage.wipe()
    taken = {**service, "ports": [{"port": 80, "nodePort": port}]}
    await stage.create(
        make("v1", "Namespace", other), make("v1", "Service", "thief", other, spec=taken)
    )

    outcome = await restored(stage, archive)

    (error,) = outcome.errors
    assert (error.key.kind, error.key.name, error.reason) == ("Service", "web", "Invalid")
    assert str(port) in error.message
    await stage.request("DELETE", f"/api/v1/namespaces/{other}/services/thief")
    assert (await restored(stage, archive)).is_complete
    assert (await stage.get(path))["spec"]["ports"][0]["nodePort"] == port


async def test_large_odd_and_immutable_objects_come_back(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    rbac = "rbac.authorization.k8s.io/v1"
    await stage.create(
        make("v1", "Namespace", namespace),
        make("v1", "ConfigMap", "large", namespace, data={"x": "ü" * 500_000}),
        make("v1", "ConfigMap", "fixed", namespace, data={"a": "1"}, immutable=True),
        make("v1", "ConfigMap", "numbers", namespace, data={"e": "1e3", "y": "y", "n": "null"}),
        make(rbac, "ClusterRole", f"{stage.prefix}:odd:name.x", rules=[]),
        make("v1", "ConfigMap", "generated-x", namespace, binaryData={"b": "AAEC/w=="}),
    )
    archive = await stage.capture()
    before = await stage.read(archive)
    await stage.wipe()

    outcome = await restored(stage, archive)

    assert outcome.is_complete, outcome.errors
    role = f"/apis/{rbac}/clusterroles/{stage.prefix}:odd:name.x"
    assert (await stage.request("GET", role))[0] == 404  # not within the selection
    await stage.equals({key: one for key, one in before.items() if one["kind"] != "ClusterRole"})
    fixed = f"/api/v1/namespaces/{namespace}/configmaps/fixed"
    await stage.request("DELETE", fixed)
    await stage.create(make("v1", "ConfigMap", "fixed", namespace, data={"a": "2"}, immutable=True))
    plan = await planned(stage, archive, Existing.UPDATE)
    assert plan["ConfigMap fixed"].verdict.action is Action.CONFLICT
    assert plan["ConfigMap fixed"].verdict.reason == "Refused"
    update = await restored(stage, archive, Existing.UPDATE)
    assert [error.key.name for error in update.errors] == ["fixed"]
    assert (await restored(stage, archive, Existing.RECREATE)).done[Action.RECREATE] == 1
    assert (await stage.get(fixed))["data"] == {"a": "1"}


async def test_a_full_quota_names_each_object_that_does_not_fit(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    maps = [make("v1", "ConfigMap", f"m{n}", namespace, data={"a": "1"}) for n in range(6)]
    await stage.create(make("v1", "Namespace", namespace), *maps)
    archive = await stage.capture()
    for one in maps:
        path = f"/api/v1/namespaces/{namespace}/configmaps/{one['metadata']['name']}"
        await stage.request("DELETE", path)
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    hard, one_used = {"hard": {"count/configmaps": "4"}}, {"count/configmaps": "1"}
    await stage.create(make("v1", "ResourceQuota", "few", namespace, spec=hard))
    async with deadline() as expired:
        # kube-root-ca.crt, which its controller makes, and none of those deleted
        while (await stage.get(f"{quotas}/few")).get("status", {}).get("used") != one_used:
            expired("quota counted")
            await asyncio.sleep(0.05)

    outcome = await restored(stage, archive)

    assert outcome.failed == 3, outcome.errors  # kube-root-ca.crt is one of the four
    assert {error.reason for error in outcome.errors} == {"Forbidden"}
    assert all("exceeded quota" in error.message for error in outcome.errors)
    await stage.request("DELETE", f"{quotas}/few")
    assert (await restored(stage, archive)).is_complete


async def test_a_webhook_nobody_answers_fails_its_objects_and_no_others(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    await stage.create(
        make("v1", "Namespace", namespace),
        *(make("v1", "ConfigMap", f"m{n}", namespace, data={"a": "1"}) for n in range(3)),
        *(make("v1", "Secret", f"s{n}", namespace, data={"a": "MQ=="}) for n in range(3)),
    )
    archive = await stage.capture()
    for kind, name in (("configmaps", "m"), ("secrets", "s")):
        for number in range(3):
            path = f"/api/v1/namespaces/{namespace}/{kind}/{name}{number}"
            await stage.request("DELETE", path)
    webhook = {
        "name": "hook.test.example",
        "clientConfig": {"service": {"name": "gone", "namespace": namespace}},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["secrets"],
            }
        ],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    admission = "admissionregistration.k8s.io/v1"
    await stage.create(
        make(admission, "ValidatingWebhookConfiguration", stage.prefix, webhooks=[webhook])
    )
    hook = f"/apis/{admission}/validatingwebhookconfigurations/{stage.prefix}"
    quick = RestoreLimits(retries=RetryPolicy(attempts=2, first_delay_s=0.05))
    async with deadline() as expired:  # the server takes a moment to know of its webhook
        while (
            await stage.request(
                "POST",
                f"/api/v1/namespaces/{namespace}/secrets",
                json=make("v1", "Secret", "probe", namespace),
            )
        )[0] == 201:
            expired("webhook at work")
            await stage.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets/probe")
            await asyncio.sleep(0.05)

    outcome = await restored(stage, archive, limits=quick)

    assert sorted(error.key.name for error in outcome.errors) == ["s0", "s1", "s2"]
    assert all("failed calling webhook" in error.message for error in outcome.errors)
    assert outcome.done[Action.CREATE] == 3
    await stage.request("DELETE", hook)
    async with deadline() as expired:
        while not (await restored(stage, archive, limits=quick)).is_complete:
            expired("webhook forgotten")


async def test_a_custom_resource_keeps_its_finalizer_and_loses_what_is_pruned(
    stage: Stage,
) -> None:
    namespace = f"{stage.prefix}-a"
    api_version = f"{stage.prefix}.example/v1"
    held = make(api_version, "Widget", "held", namespace, spec={"size": 1, "old": "x"})
    held["metadata"]["finalizers"] = ["example.com/held"]
    await stage.create(build_crd(stage.prefix), make("v1", "Namespace", namespace), held)
    archive = await stage.capture()
    path = f"/apis/{api_version}/namespaces/{namespace}/widgets/held"
    await stage.request("PATCH", path, json={"metadata": {"finalizers": None}}, headers=MERGE)
    await stage.wipe()
    strict = build_crd(stage.prefix)
    schema = strict["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "properties": {"size": {"type": "integer"}}}
    await stage.create(strict)

    outcome = await restored(stage, archive)  # the definition exists and differs: it is kept

    assert outcome.is_complete, outcome.errors
    assert outcome.done[Action.CONFLICT] == 1
    found = await stage.get(path)
    assert found["spec"] == {"size": 1}
    assert found["metadata"]["finalizers"] == ["example.com/held"]
    again = await restored(stage, archive, Existing.KEEP)
    assert again.done[Action.CREATE] == again.done[Action.UPDATE] == 0
    await stage.request("PATCH", path, json={"metadata": {"finalizers": None}}, headers=MERGE)


async def test_a_namespaced_object_is_linked_to_its_owner_without_namespace(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    group = f"{stage.prefix}.example"
    definition = build_crd(stage.prefix, "realms", "Realm")
    definition["spec"]["scope"] = "Cluster"
    realm = make(f"{group}/v1", "Realm", stage.prefix, spec={})
    *_, uid = await stage.create(definition, make("v1", "Namespace", namespace), realm)
    owned = make("v1", "ConfigMap", "of-realm", namespace, data={"a": "1"})
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": f"{group}/v1", "kind": "Realm", "name": stage.prefix, "uid": uid}
    ]
    await stage.create(owned)
    archive = await stage.capture()
    await stage.wipe()

    outcome = await restored(stage, archive)

    assert outcome.is_complete, outcome.errors
    new = (await stage.get(f"/apis/{group}/v1/realms/{stage.prefix}"))["metadata"]["uid"]
    found = await stage.get(f"/api/v1/namespaces/{namespace}/configmaps/of-realm")
    assert found["metadata"]["ownerReferences"][0]["uid"] == new != uid


async def test_owners_are_found_again_in_the_namespace_that_an_object_moves_to(
    stage: Stage,
) -> None:
    old, new = f"{stage.prefix}-a", f"{stage.prefix}-b"
    group = f"{stage.prefix}.example"
    definition = build_crd(stage.prefix, "realms", "Realm")
    definition["spec"]["scope"] = "Cluster"
    *_, realm_uid, owner_uid, left_uid = await stage.create(
        definition,
        make("v1", "Namespace", old),
        make(f"{group}/v1", "Realm", stage.prefix, spec={}),
        make("v1", "ConfigMap", "z-owner", old, data={"a": "1"}),
        make("v1", "ConfigMap", "left-out", old, data={"a": "1"}),
    )
    owners = [
        {"apiVersion": f"{group}/v1", "kind": "Realm", "name": stage.prefix, "uid": realm_uid},
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "z-owner", "uid": owner_uid},
    ]
    owned = make("v1", "ConfigMap", "a-owned", old, data={"a": "1"})
    owned["metadata"]["ownerReferences"] = owners
    alone = make("v1", "Secret", "alone", old)
    alone["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "left-out", "uid": left_uid}
    ]
    await stage.create(owned, alone)
    archive = await stage.capture()

    selection = stage.selection(ObjectRule(name="left-out"))
    options = RestoreOptions(selection=selection, namespace_mapping={old: new})
    outcome = await restore(options, await stage.open(archive), stage.connection)

    assert outcome.is_complete, outcome.errors
    place = f"/api/v1/namespaces/{new}"
    moved = (await stage.get(f"{place}/configmaps/z-owner"))["metadata"]["uid"]
    found = (await stage.get(f"{place}/configmaps/a-owned"))["metadata"]["ownerReferences"]
    assert [one["uid"] for one in found] == [realm_uid, moved]
    assert moved != owner_uid
    assert "ownerReferences" not in (await stage.get(f"{place}/secrets/alone"))["metadata"]
