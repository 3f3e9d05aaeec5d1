import pytest

from backup_engine.archive.manifest import Policy
from backup_engine.capture.discovery import NAMESPACE_KIND, Kind, build_targets
from backup_engine.capture.scope import CaptureScope, find_misses, list_misses, matches_kind
from backup_engine.selectors import parse_label_selector

SECRETS = Kind("", "v1", "secrets", "Secret", is_namespaced=True)
NODES = Kind("", "v1", "nodes", "Node", is_namespaced=False)


@pytest.mark.parametrize(
    ("glob", "group", "resource", "is_named"),
    [
        ("deployments", "apps", "deployments", True),
        ("deployments", "extensions", "deployments", True),
        ("deployments.apps", "extensions", "deployments", False),
        ("*.zoo.io", "zoo.io", "apes", True),
        ("*.zoo.io", "other.io", "apes", False),
        ("secrets.", "", "secrets", True),
        ("secrets.", "vault.io", "secrets", False),
        ("*.down.io", "down.io", "*", True),
        ("apes.down.io", "down.io", "*", False),
        ("*", "zoo.io", "apes", True),
    ],
)
def test_a_glob_names_kinds(glob: str, group: str, resource: str, is_named: bool) -> None:
    assert matches_kind([glob], group, resource) is is_named


def test_a_misspelt_kind_is_told_where_it_stands() -> None:
    served = {("apps", "deployments"), ("", "secrets"), ("zoo.io", "apes")}
    scope = CaptureScope(include_kinds=("*.zoo.io",), exclude_kinds=("secret", "secrets."))

    (told,) = list_misses(scope.describe(None), Policy(tolerate_failed=("apes",)), served)

    assert told.startswith("kinds.exclude: 'secret' names no kind")


def test_a_kind_that_may_be_absent_by_the_policy_is_not_called_misspelt() -> None:
    scope = CaptureScope(include_kinds=("apes.zoo.io", "secrts")).describe(None)

    (told,) = list_misses(scope, Policy(tolerate_unavailable=("*.zoo.io",)), {("", "secrets")})

    assert told.startswith("kinds.include: 'secrts' names no kind")


def test_what_may_be_of_a_group_that_is_down_is_not_called_misspelt() -> None:
    served = {("", "secrets"), ("down.io", "*")}
    assert find_misses(("apes.down.io", "*.other.io", "apes"), served) == ("*.other.io",)


def test_namespaces_are_included_then_excluded() -> None:
    scope = CaptureScope(include_namespaces=("team-*", "shared"), exclude_namespaces=("*-test",))

    names = ("team-a", "team-a-test", "shared", "other")
    assert [name for name in names if scope.has_namespace(name)] == ["team-a", "shared"]


def test_namespaces_named_one_by_one_need_not_be_looked_up() -> None:
    named = CaptureScope(include_namespaces=("red", "blue", "red"), exclude_namespaces=("blue",))
    glob = CaptureScope(include_namespaces=("red", "b*"))
    labelled = CaptureScope(
        include_namespaces=("red",), namespace_selector=parse_label_selector("tier=gold")
    )

    assert named.named_namespaces == ("red",)
    assert glob.named_namespaces is None
    assert labelled.named_namespaces is None
    assert CaptureScope().is_every_namespace
    assert not CaptureScope(exclude_namespaces=("kube-system",)).is_every_namespace


@pytest.mark.parametrize(
    ("scope", "is_taken"),
    [
        (CaptureScope(), True),
        (CaptureScope(exclude_namespaces=("kube-*",)), True),
        (CaptureScope(include_namespaces=("red",)), False),
        (CaptureScope(namespace_selector=parse_label_selector("tier")), False),
        (CaptureScope(include_namespaces=("red",), has_cluster_scoped=True), True),
        (CaptureScope(has_cluster_scoped=False), False),
    ],
)
def test_kinds_without_namespace_follow_unless_namespaces_were_chosen(
    scope: CaptureScope, is_taken: bool
) -> None:
    assert bool(build_targets(NODES, scope, None)) is is_taken


def test_named_namespaces_are_listed_one_by_one_and_so_are_they_themselves() -> None:
    scope = CaptureScope(
        include_namespaces=("red", "blue"), object_selector=parse_label_selector("app=web")
    )

    secrets = build_targets(SECRETS, scope, ("blue", "red"))
    namespaces = build_targets(NAMESPACE_KIND, scope, ("blue", "red"))

    assert [(one.namespace, one.label_selector) for one in secrets] == [
        ("blue", "app in (web)"),
        ("red", "app in (web)"),
    ]
    assert [(one.field_selector, one.label_selector) for one in namespaces] == [
        ("metadata.name=blue", None),
        ("metadata.name=red", None),
    ]


def test_namespaces_of_a_glob_are_sifted_from_one_list() -> None:
    scope = CaptureScope(include_namespaces=("b*",))

    (secrets,) = build_targets(SECRETS, scope, ("blue", "brown"))

    assert (secrets.namespace, secrets.only) == (None, frozenset({"blue", "brown"}))


def test_the_manifest_tells_the_scope_as_it_was_asked_for_and_found() -> None:
    scope = CaptureScope(
        include_namespaces=("b*",),
        namespace_selector=parse_label_selector("tier=gold,!old"),
        exclude_kinds=("secrets.",),
    )

    told = scope.describe(("blue",))

    assert (told.namespaces, told.include_namespaces) == (("blue",), ("b*",))
    assert told.namespace_selector == "tier in (gold),!old"
    assert (told.exclude_kinds, told.has_cluster_scoped) == (("secrets.",), False)
