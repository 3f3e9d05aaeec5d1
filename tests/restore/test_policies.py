"""What a restore does about objects that exist, are refused, or may not be touched."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest
import yaml

from backup_api.restores import RestoreGroup
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.difference import CHANGED, REDACTED, FieldChange
from backup_engine.restore.errors import PlanChangedError, RestoreError
from backup_engine.restore.planning import Action, Existing, Plan, PlanItem
from backup_engine.restore.request import RestoreLimits, RestoreOptions
from backup_engine.restore.run import RestoreOutcome, plan_restore, restore
from backup_engine.restore.selection import ObjectRule, Selection
from fixtures.cluster import Cluster, Kubectl
from restorescene import Stage, build_crd, make

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


class Options(TypedDict, total=False):
    selection: Selection
    namespace_mapping: Mapping[str, str]
    existing: Existing
    status_kinds: frozenset[str]


class Small:
    """Two ConfigMaps, a Secret and a Job in one namespace, captured."""

    def __init__(self, stage: Stage, archive: Path) -> None:
        self.stage = stage
        self.archive = archive
        self.namespace = f"{stage.prefix}-a"
        self.core = f"/api/v1/namespaces/{self.namespace}"

    async def plan(self, **options: Unpack[Options]) -> tuple[Plan, dict[str, PlanItem]]:
        items: dict[str, PlanItem] = {}

        def take(item: PlanItem) -> None:
            items[f"{item.key.kind} {item.key.name}"] = item

        reader = await self.stage.open(self.archive)
        asked = RestoreOptions(**({"selection": self.stage.selection()} | options))
        return await plan_restore(asked, reader, self.stage.connection, take=take), items

    async def restore(
        self, connection: ClusterConnection | None = None, **options: Unpack[Options]
    ) -> RestoreOutcome:
        reader = await self.stage.open(self.archive)
        asked = RestoreOptions(**({"selection": self.stage.selection()} | options))
        return await restore(asked, reader, connection or self.stage.connection)

    async def merge(self, path: str, change: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/merge-patch+json"}
        status, body = await self.stage.request("PATCH", path, json=change, headers=headers)
        assert status == 200, body
        found: dict[str, Any] = body
        return found


@pytest.fixture
async def small(stage: Stage) -> Small:
    namespace = f"{stage.prefix}-a"
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    await stage.create(
        make("v1", "Namespace", namespace),
        make("v1", "ConfigMap", "one", namespace, data={"a": "1", "b": "2"}),
        make("v1", "ConfigMap", "two", namespace, data={"a": "1"}),
        make("v1", "Secret", "hidden", namespace, data={"p": "aGlkZGVuLTE="}),
        make(
            "batch/v1",
            "Job",
            "once",
            namespace,
            spec={"suspend": True, "completions": 1, "template": {"spec": pod}},
        ),
    )
    return Small(stage, await stage.capture())


async def change_all(small: Small) -> None:
    """Change and add a key of a ConfigMap and of the Secret."""
    await small.merge(f"{small.core}/configmaps/one", {"data": {"a": "other", "c": "3"}})
    await small.merge(f"{small.core}/secrets/hidden", {"data": {"p": "aGlkZGVuLTI="}})


async def test_keep_leaves_what_differs_and_reports_it(small: Small) -> None:
    await change_all(small)
    await small.stage.request("DELETE", f"{small.core}/configmaps/two")

    _, items = await small.plan()
    outcome = await small.restore()

    assert items["ConfigMap one"].verdict.action is Action.CONFLICT
    assert items["ConfigMap one"].verdict.reason == "ExistsAndKept"
    assert items["ConfigMap two"].verdict.action is Action.CREATE
    assert outcome.is_complete
    assert outcome.done[Action.CONFLICT] == 2
    assert outcome.done[Action.CREATE] == 1
    data = (await small.stage.get(f"{small.core}/configmaps/one"))["data"]
    assert data == {"a": "other", "b": "2", "c": "3"}


async def test_update_sets_archived_fields_and_keeps_what_was_added(small: Small) -> None:
    await change_all(small)

    _, items = await small.plan(existing=Existing.UPDATE)
    outcome = await small.restore(existing=Existing.UPDATE)

    assert items["ConfigMap one"].verdict.changes == (FieldChange("/data/a", "other", "1"),)
    assert items["Secret hidden"].verdict.changes == (FieldChange("/data/p", REDACTED, CHANGED),)
    assert outcome.done[Action.UPDATE] == 2
    data = (await small.stage.get(f"{small.core}/configmaps/one"))["data"]
    assert data == {"a": "1", "b": "2", "c": "3"}
    assert (await small.restore(existing=Existing.UPDATE)).done[Action.UPDATE] == 0


async def test_recreate_gives_exactly_what_was_archived(small: Small) -> None:
    await change_all(small)
    before = await small.stage.get(f"{small.core}/configmaps/one")

    outcome = await small.restore(existing=Existing.RECREATE)

    after = await small.stage.get(f"{small.core}/configmaps/one")
    assert outcome.done[Action.RECREATE] == 2
    assert after["data"] == {"a": "1", "b": "2"}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert (await small.restore(existing=Existing.RECREATE)).done[Action.RECREATE] == 0


async def test_an_immutable_field_is_a_conflict_before_and_an_error_after(small: Small) -> None:
    jobs = f"/apis/batch/v1/namespaces/{small.namespace}/jobs"
    job = await small.stage.get(f"{jobs}/once")
    await small.stage.request("DELETE", f"{jobs}/once", json={"propagationPolicy": "Background"})
    await small.stage.eventually_gone(f"{jobs}/once")
    other = make("batch/v1", "Job", "once", small.namespace, spec=job["spec"])
    other["spec"].pop("selector")
    other["spec"]["completions"] = 2
    other["spec"]["template"]["metadata"].pop("labels")
    await small.stage.create(other)

    _, items = await small.plan(existing=Existing.UPDATE)
    outcome = await small.restore(existing=Existing.UPDATE)

    verdict = items["Job once"].verdict
    assert (verdict.action, verdict.reason) == (Action.CONFLICT, "Refused")
    assert "immutable" in verdict.message
    (error,) = outcome.errors
    assert str(error.key) == f"Job {small.namespace}/once"
    assert "immutable" in error.message
    recreated = await small.restore(existing=Existing.RECREATE)
    assert recreated.is_complete
    assert (await small.stage.get(f"{jobs}/once"))["spec"]["completions"] == 1


async def test_a_plan_changes_nothing_at_all(small: Small) -> None:
    await change_all(small)
    before = await small.stage.read(await small.stage.capture())

    for existing in Existing:
        plan, _ = await small.plan(existing=existing)
        again, _ = await small.plan(existing=existing)
        assert plan.digest == again.digest

    assert await small.stage.read(await small.stage.capture()) == before


async def test_only_the_approved_plan_is_applied(small: Small) -> None:
    plan, _ = await small.plan(existing=Existing.UPDATE)
    await change_all(small)
    reader = await small.stage.open(small.archive)
    options = RestoreOptions(selection=small.stage.selection(), existing=Existing.UPDATE)

    with pytest.raises(PlanChangedError, match=plan.digest):
        await restore(options, reader, small.stage.connection, approved=plan.digest)

    data = (await small.stage.get(f"{small.core}/configmaps/one"))["data"]
    assert data["a"] == "other"


async def test_a_namespace_comes_back_under_another_name(small: Small) -> None:
    target = f"{small.stage.prefix}-new"
    mapping = {small.namespace: target}

    plan, items = await small.plan(namespace_mapping=mapping)
    outcome = await small.restore(namespace_mapping=mapping)

    assert items[f"Namespace {target}"].verdict.action is Action.CREATE
    assert plan.counts[Action.CREATE] == outcome.done[Action.CREATE] == 5
    assert outcome.is_complete, outcome.errors
    one = await small.stage.get(f"/api/v1/namespaces/{target}/configmaps/one")
    assert one["data"] == {"a": "1", "b": "2"}
    again = await small.restore(namespace_mapping=mapping)
    assert again.done[Action.CREATE] == 0


async def test_two_namespaces_are_never_restored_into_one(small: Small) -> None:
    with pytest.raises(RestoreError, match="would both become") as caught:
        await small.plan(namespace_mapping={small.namespace: "x", "default": "x"})

    assert caught.value.reason == "MappingCollision"


async def test_objects_of_a_missing_namespace_are_named_one_by_one(small: Small) -> None:
    options: Options = {
        "selection": Selection(
            include=(ObjectRule(namespace=small.namespace),),
            exclude=(ObjectRule(kind="Namespace"),),
        ),
        "namespace_mapping": {small.namespace: f"{small.stage.prefix}-none"},
    }

    _, items = await small.plan(**options)
    outcome = await small.restore(**options)

    assert items["ConfigMap one"].verdict.reason == "NamespaceMissing"
    assert {str(error.reason) for error in outcome.errors} == {"NamespaceMissing"}
    assert outcome.failed == 4


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
