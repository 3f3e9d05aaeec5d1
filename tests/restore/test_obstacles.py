"""What a restore does where something stands in its way."""

import asyncio
import json
from pathlib import Path
from typing import Unpack

import pytest
import yaml

from backup_api.restores import RestoreGroup
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.errors import RestoreError
from backup_engine.restore.planning import Action, Existing
from backup_engine.restore.request import RestoreLimits, RestoreOptions
from backup_engine.restore.run import restore
from backup_engine.restore.selection import ObjectRule, Selection
from fixtures.cluster import Cluster, Kubectl
from restorescene import Stage, build_crd, make
from restorescene.small import Options, Small
from restorescene.stage import deadline

pytestmark = pytest.mark.cluster


async def test_a_kind_that_is_not_served_is_unsupported(stage: Stage) -> None:
    crd = build_crd(stage.prefix)
    kind = f"{stage.prefix}.example/v1"
    namespace = f"{stage.prefix}-a"
    await stage.create(crd, make("v1", "Namespace", namespace))
    await stage.create(make(kind, "Widget", "w", namespace, spec={"size": 1}))
    small = Small(stage, await stage.capture())
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"
    await stage.request("DELETE", path)
    await stage.eventually_gone(path)
    widgets = Selection(include=(ObjectRule(kind="Widget", namespace=namespace),))

    _, without = await small.plan(selection=widgets)
    _, items = await small.plan()
    outcome = await small.restore()

    assert without["Widget w"].verdict.action is Action.UNSUPPORTED
    assert items["Widget w"].verdict.action is Action.CREATE  # its definition comes first
    assert outcome.is_complete, outcome.errors
    found = await stage.get(f"/apis/{kind}/namespaces/{namespace}/widgets/w")
    assert found["spec"] == {"size": 1}


async def test_an_object_goes_to_the_version_that_is_served(stage: Stage) -> None:
    namespace, group = f"{stage.prefix}-a", f"{stage.prefix}.example"
    await stage.create(build_crd(stage.prefix), make("v1", "Namespace", namespace))
    await stage.create(make(f"{group}/v1", "Widget", "w", namespace, spec={"size": 1}))
    small = Small(stage, await stage.capture())
    newer = build_crd(stage.prefix)
    newer["spec"]["versions"][0]["name"] = "v2"
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{newer['metadata']['name']}"
    await stage.request("DELETE", path)
    await stage.eventually_gone(path)
    await stage.create(newer)
    await stage.create(make(f"{group}/v2", "Widget", "other", namespace))
    widgets = Selection(include=(ObjectRule(kind="Widget", namespace=namespace),))

    _, items = await small.plan(selection=widgets)
    outcome = await small.restore(selection=widgets)

    assert items["Widget w"].verdict.action is Action.CREATE
    assert items["Widget w"].verdict.reason == "Converted"
    assert outcome.is_complete, outcome.errors
    found = await stage.get(f"/apis/{group}/v2/namespaces/{namespace}/widgets/w")
    assert found["spec"] == {"size": 1}


async def test_a_status_is_restored_only_if_asked_for(stage: Stage) -> None:
    kind, namespace = f"{stage.prefix}.example/v1", f"{stage.prefix}-a"
    await stage.create(build_crd(stage.prefix), make("v1", "Namespace", namespace))
    await stage.create(make(kind, "Widget", "w", namespace, spec={"size": 1}))
    path = f"/apis/{kind}/namespaces/{namespace}/widgets/w"
    small = Small(stage, Path())
    await small.merge(f"{path}/status", {"status": {"phase": "Ready"}})
    small = Small(stage, await stage.capture())

    async def restored(**options: Unpack[Options]) -> object:
        await stage.request("DELETE", path)
        await stage.eventually_gone(path)
        assert (await small.restore(**options)).is_complete
        return (await stage.get(path)).get("status")

    assert await restored() is None
    assert await restored(status_kinds=frozenset({"widget"})) == {"phase": "Ready"}
    again = await small.restore(status_kinds=frozenset({"widget"}), existing=Existing.UPDATE)
    assert again.done[Action.UPDATE] == 0


async def test_a_webhook_nobody_answers_is_reported(small: Small) -> None:
    name = small.stage.prefix
    webhook = {
        "name": "judge.test.example",
        "clientConfig": {"service": {"name": "judge", "namespace": small.namespace}},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["configmaps"],
            }
        ],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": small.namespace}},
    }
    await small.stage.request("DELETE", f"{small.core}/configmaps/one")
    await small.stage.create(
        make(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            name,
            webhooks=[webhook],
        )
    )

    plan, _ = await small.plan()
    nothing, _ = await small.plan(
        selection=Selection(include=(ObjectRule(namespace=small.namespace, kind="Secret"),))
    )

    (warning,) = plan.warnings
    assert "judge.test.example" in warning
    assert "configmaps" in warning
    assert nothing.warnings == ()


async def test_a_mapping_that_moves_nothing_is_warned_of(small: Small) -> None:
    plan, _ = await small.plan(namespace_mapping={"misspelt": "copy"})

    assert plan.warnings == (
        "no object of this restore is in namespace misspelt: none moves to copy",
    )


@pytest.mark.parametrize("can_list", [True, False])
async def test_what_is_forbidden_is_an_error_per_object_and_stops_nothing(
    small: Small, sandbox: Cluster, kubectl: Kubectl, tmp_path: Path, can_list: bool
) -> None:
    name = small.stage.prefix
    verbs = {"configmaps": "get,list,create,patch", "secrets": "get,list" if can_list else "get"}
    base = ("--namespace", small.namespace)

    async def run(*arguments: str) -> str:
        return (await asyncio.to_thread(kubectl, *arguments)).stdout.strip()

    await run("create", *base, "serviceaccount", "limited")
    for resource, allowed in verbs.items():
        role = f"{name}-{resource}"
        await run("create", "clusterrole", role, f"--verb={allowed}", f"--resource={resource}")
        await run(
            "create",
            "clusterrolebinding",
            role,
            f"--clusterrole={role}",
            f"--serviceaccount={small.namespace}:limited",
        )
    reader = f"{name}-reader"
    await run("create", "clusterrole", reader, "--verb=get,list", "--resource=namespaces")
    await run(
        "create",
        "clusterrolebinding",
        reader,
        f"--clusterrole={reader}",
        f"--serviceaccount={small.namespace}:limited",
    )
    me = f"--as=system:serviceaccount:{small.namespace}:limited"
    async with deadline() as expired:  # until the authorizer has seen the last of them
        while (await kubectl_says(kubectl, "auth", "can-i", "list", "namespaces", me)) != "yes":
            expired(reader)
    token = await run("create", "token", *base, "limited")
    for path in ("configmaps/one", "configmaps/two", "secrets/hidden"):
        await small.stage.request("DELETE", f"{small.core}/{path}")
    kubeconfig = await asyncio.to_thread(
        with_token, sandbox.kubeconfig, tmp_path / "limited", token
    )
    selection = Selection(
        groups=frozenset({RestoreGroup.DEPLOYMENT_CONFIG}),
        include=(
            ObjectRule(namespace=small.namespace, kind="ConfigMap"),
            ObjectRule(namespace=small.namespace, kind="Secret"),
        ),
    )

    async with ClusterConnection.from_kubeconfig(kubeconfig) as connection:
        outcome = await small.restore(connection, selection=selection)

    assert outcome.done[Action.CREATE] == 2
    (error,) = outcome.errors
    assert str(error.key) == f"Secret {small.namespace}/hidden"
    assert error.reason == "Forbidden"


async def kubectl_says(kubectl: Kubectl, *arguments: str) -> str:
    return (await asyncio.to_thread(kubectl, *arguments, check=False)).stdout.strip()


async def test_credentials_nobody_accepts_end_the_whole_restore(
    small: Small, sandbox: Cluster, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(with_token, sandbox.kubeconfig, tmp_path / "k", "no-such-token")

    async with ClusterConnection.from_kubeconfig(path) as connection:
        with pytest.raises(RestoreError) as caught:
            await small.restore(connection)

    assert caught.value.reason == "Unauthorized"


async def test_a_restore_stops_between_objects_and_says_what_remains(small: Small) -> None:
    target = f"{small.stage.prefix}-new"
    reader = await small.stage.open(small.archive)
    options = RestoreOptions(
        selection=small.stage.selection(), namespace_mapping={small.namespace: target}
    )
    settled: list[int] = []

    outcome = await restore(
        options,
        reader,
        small.stage.connection,
        limits=RestoreLimits(in_flight=1),
        report=lambda progress: settled.append(progress.settled),
        is_stopped=lambda: len(settled) >= 2,
    )

    assert sum(outcome.done.values()) == settled[-1] == 2
    assert outcome.remaining > 2
    assert not outcome.is_complete
    assert (await small.restore(namespace_mapping={small.namespace: target})).is_complete


async def test_a_namespace_being_deleted_is_waited_for(small: Small) -> None:
    held = {"metadata": {"finalizers": ["test.example/held"]}}
    await small.merge(f"{small.core}/configmaps/one", held)
    await small.stage.request("DELETE", f"/api/v1/namespaces/{small.namespace}")

    plan, _ = await small.plan()
    free = {"metadata": {"finalizers": None}}
    await small.merge(f"{small.core}/configmaps/one", free)
    outcome = await small.restore()

    assert plan.counts[Action.CREATE] == outcome.done[Action.CREATE] == 5

    assert outcome.is_complete, outcome.errors
    found = await small.stage.get(f"{small.core}/configmaps/one")
    assert found["data"] == {"a": "1", "b": "2"}


def with_token(admin: Path, path: Path, token: str) -> Path:
    """Write the admin's kubeconfig with a token in place of its certificate."""
    document = yaml.safe_load(admin.read_text())
    document["users"] = [
        {"name": user["name"], "user": {"token": token}} for user in document["users"]
    ]
    for cluster in document["clusters"]:
        authority = cluster["cluster"].get("certificate-authority")
        if authority is not None:
            cluster["cluster"]["certificate-authority"] = str(admin.parent / authority)
    path.write_text(json.dumps(document))
    return path
