"""Which BackupHosts an engine takes for its own, and what they say."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from backup_engine.host_definition import (
    CONSOLE_UID,
    HookFailurePolicy,
    HostType,
    VolumeSnapshotMode,
)
from backup_engine.runs.host_objects import (
    DEFAULT_ENGINE,
    CustomObject,
    ObjectList,
    Seen,
    owns_unnamed,
    read_seen,
)
from backup_engine.runs.rules import build_scope

ME = "in-cluster"
CONSOLE: Mapping[str, Any] = {"type": "Console"}
DATA: Mapping[str, Any] = {
    "type": "Data",
    "volumes": [{"namespace": "shop", "claimNames": ["data-0"]}],
}


def objects(*items: Mapping[str, Any]) -> list[CustomObject]:
    page = msgspec.json.decode(msgspec.json.encode({"items": items}), type=ObjectList)
    return page.items or []


def a_host(name: str, spec: Mapping[str, Any], **metadata: object) -> dict[str, Any]:
    created = "2026-11-28T00:00:00Z"
    known = {"name": name, "uid": f"uid-{name}", "generation": 3, "creationTimestamp": created}
    return {"metadata": {**known, **metadata}, "spec": spec}


def an_engine(name: str, default: str | None = None) -> dict[str, Any]:
    annotations = {} if default is None else {DEFAULT_ENGINE: default}
    return {"metadata": {"name": name, "annotations": annotations}}


def seen(*hosts: Mapping[str, Any], engines: tuple[Mapping[str, Any], ...] = ()) -> Seen:
    return read_seen(objects(*hosts), objects(*engines), ME)


def names(found: Seen) -> list[str]:
    return [host.name for host in found.wanted]


@pytest.mark.parametrize(
    ("engines", "owned"),
    [
        ((), True),
        ((an_engine(ME, "true"),), True),
        ((an_engine(ME, "true"), an_engine("console")), True),
        ((an_engine(ME),), False),
        ((an_engine(ME, "yes"),), False),
        ((an_engine("console", "true"), an_engine(ME)), False),
        ((an_engine("console", "true"), an_engine(ME, "true")), False),
    ],
)
def test_hosts_without_an_engine_belong_to_the_one_default_engine(
    engines: tuple[Mapping[str, Any], ...], owned: bool
) -> None:
    assert owns_unnamed(objects(*engines), ME) is owned


def test_a_host_belongs_to_the_engine_that_it_names() -> None:
    mine = {**DATA, "engineRef": {"name": ME}}
    others = {**DATA, "engineRef": {"name": "other"}}

    found = seen(a_host("a", mine), a_host("b", others), engines=(an_engine(ME),))

    assert names(found) == ["a"]
    (host,) = found.wanted
    assert (host.uid, host.version.definition.type) == ("uid-a", HostType.DATA)
    assert host.version.source is not None
    assert host.version.source.generation == 3


def test_of_several_consoles_the_oldest_counts_and_the_others_are_told() -> None:
    found = seen(
        a_host("b", CONSOLE),
        a_host("z", CONSOLE, creationTimestamp="2026-11-27T00:00:00Z"),
        a_host("a", CONSOLE),
    )

    (console,) = found.wanted
    assert (console.uid, console.name) == (CONSOLE_UID, "console")
    assert console.version.source is not None
    assert console.version.source.name == "z"
    assert [name for name, _ in found.ignored] == ["a", "b"]
    assert "BackupHost z is the console" in found.ignored[0][1]


def test_an_object_that_is_being_deleted_is_gone() -> None:
    assert names(seen(a_host("a", DATA, deletionTimestamp="2026-11-28T00:00:00Z"))) == []


def test_no_data_host_takes_the_name_of_the_console() -> None:
    found = seen(a_host("console", DATA))

    assert found.wanted == ()
    assert found.ignored == (("console", "the name is kept for the console host"),)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"type": "Other"},
        {"type": "Data"},
        {**DATA, "type": "Console"},
        {"type": "Console", "scope": {"namespaces": {"include": "shop"}}},
        {"type": "Data", "volumes": [{"claimNames": ["a"]}]},
        {"type": "Console", "scope": {"labelSelector": {"matchExpressions": [{"key": "a"}]}}},
        {
            "type": "Console",
            "scope": {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}},
        },
    ],
)
def test_a_spec_that_breaks_a_rule_is_told_and_not_used(spec: Mapping[str, Any]) -> None:
    found = seen(a_host("a", spec), a_host("b", DATA))

    assert names(found) == ["b"]
    ((uid, problem),) = found.unreadable
    assert uid == "uid-a"
    assert problem.startswith("BackupHost a: spec: ")


def test_a_scope_reaches_the_capture_whole() -> None:
    scope = {
        "namespaces": {
            "include": ["shop"],
            "exclude": ["kube-*"],
            "selector": {"matchLabels": {"a": "b"}},
        },
        "kinds": {"include": ["*.apps"], "exclude": ["secrets"], "defaultExcludes": False},
        "labelSelector": {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]},
        "includeClusterScoped": True,
    }
    (console,) = seen(a_host("c", {"type": "Console", "scope": scope})).wanted

    built = build_scope(console.version.definition.scope)

    assert (built.include_namespaces, built.exclude_namespaces) == (("shop",), ("kube-*",))
    assert (built.include_kinds, built.exclude_kinds) == (("*.apps",), ("secrets",))
    assert built.namespace_selector.text == "a in (b)"
    assert built.object_selector.text == "!x"
    assert (built.has_cluster_scoped, built.has_default_excludes) == (True, False)


def test_hooks_and_snapshots_of_a_data_host_are_read() -> None:
    hook = {
        "namespace": "shop",
        "selector": {"matchLabels": {"app": "db"}},
        "command": ["psql", "-c", "CHECKPOINT"],
        "timeoutSeconds": 90,
        "onError": "Continue",
    }
    volumes = [{**DATA["volumes"][0], "volumeSnapshot": "Always", "volumeSnapshotClassName": "csi"}]
    spec = {**DATA, "volumes": volumes, "hooks": {"before": [hook]}}

    (host,) = seen(a_host("shop", spec)).wanted

    definition = host.version.definition
    (before,) = definition.hooks.before
    assert (before.command, before.timeout_seconds) == (("psql", "-c", "CHECKPOINT"), 90)
    assert before.on_error is HookFailurePolicy.CONTINUE
    assert definition.hooks.after == ()
    (volume,) = definition.volumes
    assert volume.volume_snapshot is VolumeSnapshotMode.ALWAYS
    assert volume.volume_snapshot_class_name == "csi"


def test_a_hook_with_a_selector_that_cannot_be_leaves_its_host_as_it_is() -> None:
    wrong = {"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}
    hook = {"namespace": "shop", "selector": wrong, "command": ["true"]}

    found = seen(a_host("shop", {**DATA, "hooks": {"after": [hook]}}))

    assert found.wanted == ()
    assert [uid for uid, _ in found.unreadable] == ["uid-shop"]
