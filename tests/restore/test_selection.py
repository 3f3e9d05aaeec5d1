"""Which objects a restore is about."""

import pytest

from backup_api.restores import RestoreGroup
from backup_engine.restore.selection import ObjectRule, Selection, parse_object_rule
from backup_engine.selectors import build_label_selector, parse_label_selector

DEPLOYMENTS = ("apps", "deployments")


def chooses(selection: Selection, namespace: str | None = "team-a", name: str = "web") -> bool:
    return selection.has_place(DEPLOYMENTS, "Deployment", namespace, name)


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("namespace=team-*", True),
        ("namespace=other", False),
        ("kind=Deployment", True),
        ("kind=deployments.apps", True),
        ("kind=deployment.batch", False),
        ("name=we?", True),
        ("namespace=team-a;kind=deployments;name=web", True),
        ("namespace=team-a;kind=Secret;name=web", False),
    ],
)
def test_a_rule_needs_all_of_its_conditions(rule: str, matches: bool) -> None:
    assert chooses(Selection(include=(parse_object_rule(rule),))) is matches
    assert chooses(Selection(exclude=(parse_object_rule(rule),))) is not matches


def test_one_include_is_enough_and_one_exclude_too_much() -> None:
    includes = (ObjectRule(name="web"), ObjectRule(name="db"))

    assert chooses(Selection(include=includes))
    assert not chooses(Selection(include=includes, exclude=(ObjectRule(namespace="team-a"),)))


def test_groups_choose_by_kind() -> None:
    assert chooses(Selection(groups=frozenset({RestoreGroup.DEPLOYMENT_CONFIG})))
    assert not chooses(Selection(groups=frozenset({RestoreGroup.USERS_CONFIG})))


def test_a_namespace_is_chosen_by_its_own_name_and_objects_without_one_are_not() -> None:
    selection = Selection(include=(ObjectRule(namespace="team-*"),))

    assert selection.has_place(("", "namespaces"), "Namespace", None, "team-a")
    assert not selection.has_place(("", "namespaces"), "Namespace", None, "web")
    assert not selection.has_place(("", "nodes"), "Node", None, "team-a")


def test_labels_are_judged_once_they_are_known() -> None:
    selection = Selection(exclude=(parse_object_rule("kind=Deployment;label=app=web"),))
    place = (DEPLOYMENTS, "Deployment", "team-a", "web")

    assert selection.needs_labels
    assert selection.has_place(*place)
    assert not selection.has_labels(*place, {"app": "web"})
    assert selection.has_labels(*place, {"app": "db"})
    assert selection.has_labels(*place, None)


@pytest.mark.parametrize(
    "text", ["", "kind", "kind=", "colour=red", "kind=A;kind=B", "label=a=b=c"]
)
def test_a_malformed_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|without|none of"):
        parse_object_rule(text)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("app=web", {"app": "web"}, True),
        ("app==web,tier", {"app": "web"}, False),
        ("app!=web", {}, True),
        ("!app", {"app": ""}, False),
        ("app in (web, db),!beta", {"app": "db"}, True),
        ("app notin (web,db)", {"app": "db"}, False),
        ("example.org/app=", {"example.org/app": ""}, True),
    ],
)
def test_label_selectors_read_as_kubectl_reads_them(
    text: str, labels: dict[str, str], matches: bool
) -> None:
    assert parse_label_selector(text).matches(labels) is matches


def test_structured_selectors_mean_the_same() -> None:
    selector = build_label_selector(
        {
            "matchLabels": {"a": "1"},
            "matchExpressions": [
                {"key": "b", "operator": "In", "values": ["2", "3"]},
                {"key": "c", "operator": "DoesNotExist"},
            ],
        }
    )

    assert selector.matches({"a": "1", "b": "3"})
    assert not selector.matches({"a": "1", "b": "3", "c": ""})
    assert build_label_selector(None).matches(None)
