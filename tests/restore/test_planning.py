"""What is decided about one object, and when two plans are the same plan."""

import copy
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_api.restores import RestoreGroup
from backup_engine.restore.difference import CHANGED, REDACTED, FieldChange, list_changes
from backup_engine.restore.identity import ObjectKey
from backup_engine.restore.planning import (
    NEVER_RECREATED,
    Action,
    Existing,
    PlanItem,
    PlanLedger,
    Verdict,
    decide,
    judge_rehearsal,
)
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.selection import Selection, parse_object_rule

MAPS = ("", "configmaps")
SECRETS = ("", "secrets")
A_MAP = {"metadata": {"name": "m"}, "data": {"a": "1", "b": "2"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(["spec", "data", "x"]), json_values).map(
    lambda members: {"metadata": {"name": "m"}, **members}
)


@given(documents, st.sampled_from(Existing))
def test_an_object_compared_with_itself_is_unchanged(
    one: dict[str, Any], existing: Existing
) -> None:
    assert decide(one, copy.deepcopy(one), MAPS, existing).action is Action.UNCHANGED


@given(documents, documents)
def test_an_exact_difference_is_seen_from_both_sides(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    there = list_changes(one, other, MAPS, is_exact=True)
    back = list_changes(other, one, MAPS, is_exact=True)

    assert sorted((change.path, repr(change.new)) for change in there) == sorted(
        (change.path, repr(change.old)) for change in back
    )


@given(documents, documents)
def test_what_has_every_wanted_field_needs_no_update(
    one: dict[str, Any], extra: dict[str, Any]
) -> None:
    live = {**{f"more-{name}": value for name, value in extra.items()}, **one}

    assert decide(one, live, MAPS, Existing.UPDATE).action is Action.UNCHANGED


def test_what_does_not_exist_is_created() -> None:
    assert decide(A_MAP, None, MAPS, Existing.KEEP) == Verdict(Action.CREATE)


@pytest.mark.parametrize(
    ("existing", "action"),
    [
        (Existing.KEEP, Action.CONFLICT),
        (Existing.UPDATE, Action.UPDATE),
        (Existing.RECREATE, Action.RECREATE),
    ],
)
def test_the_policy_decides_about_what_exists_and_differs(
    existing: Existing, action: Action
) -> None:
    live = {"metadata": {"name": "m"}, "data": {"a": "1", "b": "old", "c": "3"}}

    verdict = decide(A_MAP, live, MAPS, existing)

    assert verdict.action is action
    assert FieldChange("/data/b", "old", "2") in verdict.changes
    added = FieldChange("/data/c", "3", None) in verdict.changes
    assert added is (existing is Existing.RECREATE)  # an update keeps what was added since


@pytest.mark.parametrize("kind", sorted(NEVER_RECREATED))
def test_what_takes_others_along_is_updated_instead_of_recreated(kind: tuple[str, str]) -> None:
    live = {"metadata": {"name": "m"}, "data": {}}

    assert decide(A_MAP, live, kind, Existing.RECREATE).action is Action.UPDATE


def test_null_is_absence_and_an_empty_selector_is_not() -> None:
    live = {"spec": {"a": 1}}

    assert not list_changes(live, {"spec": {"a": 1, "b": None}}, MAPS, is_exact=True)
    assert list_changes(live, {"spec": {"a": 1, "podSelector": {}}}, MAPS, is_exact=False)


def test_one_is_not_true() -> None:
    changes = list_changes({"a": 1}, {"a": True}, MAPS, is_exact=False)

    assert changes == (FieldChange("/a", 1, True),)


def test_paths_are_json_pointers() -> None:
    live = {"metadata": {"annotations": {"a.example/b~c": "1"}}, "list": [{"x": 1}, {"x": 2}]}
    wanted = {"metadata": {"annotations": {"a.example/b~c": "2"}}, "list": [{"x": 1}, {"x": 3}]}

    changes = list_changes(live, wanted, MAPS, is_exact=False)

    assert [change.path for change in changes] == [
        "/list/1/x",
        "/metadata/annotations/a.example~1b~0c",
    ]


def test_values_of_secrets_are_never_shown() -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    live = {"metadata": {"annotations": {last: "hidden-1", "b": "1"}}, "data": {"p": "hidden-2"}}
    wanted = {
        "metadata": {"annotations": {last: "hidden-3", "b": "2"}},
        "data": {"p": "hidden-4", "q": "hidden-5"},
        "stringData": {"r": "hidden-6"},
    }

    changes = list_changes(live, wanted, SECRETS, is_exact=True)
    from_nothing = list_changes({}, wanted, SECRETS, is_exact=True)

    assert "hidden" not in repr((changes, from_nothing))
    assert FieldChange("/data/p", REDACTED, CHANGED) in changes
    assert FieldChange("/data/q", None, REDACTED) in changes
    assert FieldChange("/metadata/annotations/b", "1", "2") in changes


def test_a_rehearsal_knows_better_than_a_comparison() -> None:
    live = {"metadata": {"name": "m"}, "spec": {"list": [{"name": "a"}, {"name": "b"}]}}
    wanted = {"metadata": {"name": "m"}, "spec": {"list": [{"name": "a"}]}}
    verdict = decide(wanted, live, MAPS, Existing.UPDATE)

    assert verdict.action is Action.UPDATE
    merged = judge_rehearsal(verdict, live, copy.deepcopy(live), MAPS)
    assert merged.action is Action.UNCHANGED


def item(name: str, action: Action = Action.CREATE) -> PlanItem:
    return PlanItem(ObjectKey("v1", "ConfigMap", "a", name), Verdict(action))


def digest(items: list[tuple[PlanItem, bytes, bytes]], request: bytes = b"r") -> str:
    ledger = PlanLedger(secret=b"s", request=request)
    for one, wanted, live in items:
        ledger.add(one, wanted, live)
    return ledger.finish().digest


@given(st.permutations([(item(str(n), action), b"w", b"l") for n, action in enumerate(Action)]))
def test_the_order_of_its_items_does_not_change_a_plan(
    items: list[tuple[PlanItem, bytes, bytes]],
) -> None:
    assert digest(items) == digest(sorted(items, key=lambda one: one[0].key))


@pytest.mark.parametrize(
    "other",
    [
        [(item("b"), b"w", b"l")],
        [(item("a", Action.UPDATE), b"w", b"l")],
        [(item("a"), b"other", b"l")],
        [(item("a"), b"w", b"other")],
        [(item("a"), b"w", b"l"), (item("a"), b"w", b"l")],
        [],
    ],
)
def test_any_difference_makes_another_plan(other: list[tuple[PlanItem, bytes, bytes]]) -> None:
    assert digest(other) != digest([(item("a"), b"w", b"l")])


RULES = tuple(parse_object_rule(text) for text in ("kind=Secret", "label=app in (a,b)"))
OTHER_OPTIONS: dict[str, list[Any]] = {
    "selection": [
        Selection(groups=frozenset({RestoreGroup.USERS_CONFIG})),
        Selection(include=RULES),
        Selection(include=RULES[:1]),
        Selection(include=(*RULES[:1], parse_object_rule("label=app in (a,c)"))),
        Selection(exclude=RULES),
    ],
    "namespace_mapping": [{"a": "b"}, {"b": "a"}],
    "existing": [Existing.UPDATE, Existing.RECREATE],
    "status_kinds": [frozenset({"Widget"}), frozenset({"Widget", "Node"})],
}


def test_other_options_make_another_plan() -> None:
    changed = [
        replace(RestoreOptions(), **{name: value})
        for name, values in OTHER_OPTIONS.items()
        for value in values
    ]
    requests = [one.build_digest("archive") for one in (RestoreOptions(), *changed)]
    requests.append(RestoreOptions().build_digest("another archive"))

    assert {one.name for one in fields(RestoreOptions)} == OTHER_OPTIONS.keys()
    assert len({digest([], request) for request in requests}) == len(requests)


def test_options_that_mean_the_same_make_the_same_plan() -> None:
    one = RestoreOptions(Selection(include=RULES), {"a": "b", "c": "d"})
    same = RestoreOptions(
        Selection(include=(parse_object_rule("label=app in (b,a)"), RULES[0])), {"c": "d", "a": "b"}
    )

    assert one.build_digest("archive") == same.build_digest("archive")


def test_content_of_what_stays_does_not_change_a_plan() -> None:
    one, other = item("a", Action.UNCHANGED), item("a", Action.UNCHANGED)

    assert digest([(one, b"1", b"1")]) == digest([(other, b"2", b"2")])


def test_a_plan_counts_by_action_and_kind() -> None:
    ledger = PlanLedger(secret=b"s", request=b"")
    for one in (item("a"), item("b"), item("c", Action.SKIPPED)):
        ledger.add(one)
    plan = ledger.finish()

    assert plan.counts[Action.CREATE] == plan.changes == 2
    assert plan.kinds == {
        (Action.CREATE, "v1", "ConfigMap"): 2,
        (Action.SKIPPED, "v1", "ConfigMap"): 1,
    }
