"""What a restore does about objects that exist, and about namespaces."""

import pytest

from backup_engine.restore.difference import CHANGED, REDACTED, FieldChange
from backup_engine.restore.errors import PlanChangedError, RestoreError
from backup_engine.restore.planning import Action, Existing
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.run import restore
from backup_engine.restore.selection import ObjectRule, Selection
from restorescene import make
from restorescene.small import Options, Small

pytestmark = pytest.mark.cluster


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
