"""Which changes of a Backup the real API server lets through."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.cluster import Cluster, Kubectl, run_kubectl

pytestmark = pytest.mark.cluster

# field, value, another value
IMMUTABLE: tuple[tuple[str, Any, Any], ...] = (
    ("backupType", "CONFIG", "DATA"),
    ("name", "one", "two"),
    ("configurationId", 2, 3),
    ("hostId", 53, 54),
    ("hostname", "console1", "console2"),
    ("fields", ["id", "status"], ["id"]),
    ("engineRef", {"name": "console"}, {"name": "in-cluster"}),
    ("deployStaged", True, False),
)
MUTABLE: tuple[tuple[str, Any], ...] = (
    ("description", "after all"),
    ("description", None),
    ("deletionPolicy", "Delete"),
    ("deletionPolicy", None),
    ("timeout", "2h"),
    ("timeout", None),
    ("busyTimeout", "2h"),
    ("busyTimeout", None),
    ("cancel", True),
)


@pytest.fixture(scope="module")
def room(sandbox: Cluster) -> Iterator[str]:
    """One namespace for all tests here: none of them needs an empty one."""
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-"}}
    created = run_kubectl(
        sandbox, "create", "--output=name", "--filename=-", stdin=json.dumps(wanted)
    )
    name = created.stdout.strip().removeprefix("namespace/")
    yield name
    run_kubectl(sandbox, "delete", "namespace", name, "--wait=false")


class Stored:
    """A Backup in the cluster; every change of it is a dry run."""

    def __init__(self, kubectl: Kubectl, namespace: str, spec: dict[str, Any]) -> None:
        self.kubectl = kubectl
        self.scope = f"--namespace={namespace}"
        manifest = {
            "apiVersion": "backup-operator.io/v1",
            "kind": "Backup",
            "metadata": {"generateName": "test-"},
            "spec": {"backupType": "CONFIG"} | spec,
        }
        created = kubectl(
            "create", self.scope, "--output=name", "--filename=-", input=json.dumps(manifest)
        )
        self.name = created.stdout.strip()

    def change(self, **spec: object) -> str:
        """Return what the server objects to, nothing if it lets the change through."""
        patch = json.dumps({"spec": spec})
        answer = self.kubectl(
            *("patch", self.scope, self.name, "--dry-run=server", "--type=merge", "-p", patch),
            check=False,
        )
        assert (answer.returncode == 0) == (not answer.stderr.strip()), answer.stderr
        return answer.stderr


def rule_of(field: str) -> str:
    words = f"{field} cannot be changed, added or removed once the object exists"
    return f"spec.{field}: Invalid value: {words}"


@pytest.mark.parametrize(("field", "value", "other"), IMMUTABLE)
def test_an_immutable_field_cannot_be_changed_or_removed(
    kubectl: Kubectl, room: str, field: str, value: object, other: object
) -> None:
    backup = Stored(kubectl, room, {field: value})

    assert rule_of(field) in backup.change(**{field: other})
    refused = backup.change(**{field: None})
    assert rule_of(field) in refused or f"spec.{field}: Required value" in refused
    assert backup.change(**{field: value}) == "", "the same value is no change"


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, value, _ in IMMUTABLE if field != "backupType"]
)
def test_an_immutable_field_cannot_be_added(
    kubectl: Kubectl, room: str, field: str, value: object
) -> None:
    backup = Stored(kubectl, room, {})
    assert rule_of(field) in backup.change(**{field: value})


def test_the_order_of_the_chosen_fields_is_no_change(kubectl: Kubectl, room: str) -> None:
    backup = Stored(kubectl, room, {"fields": ["id", "status"]})
    assert backup.change(fields=["status", "id"]) == ""


@pytest.mark.parametrize(("field", "value"), MUTABLE)
def test_a_mutable_field_can_be_changed_added_and_removed(
    kubectl: Kubectl, room: str, field: str, value: object
) -> None:
    full = {"description": "x", "deletionPolicy": "Retain", "timeout": "1h", "busyTimeout": "1h"}

    assert Stored(kubectl, room, {}).change(**{field: value}) == ""
    assert Stored(kubectl, room, full).change(**{field: value}) == ""


@pytest.mark.parametrize("value", [False, None])
def test_a_cancelled_backup_stays_cancelled(kubectl: Kubectl, room: str, value: object) -> None:
    backup = Stored(kubectl, room, {"cancel": True})

    assert "spec.cancel: Invalid value: cancel cannot return to false" in backup.change(
        cancel=value
    )
    assert backup.change(cancel=True, description="still to be described") == ""


def test_a_bad_value_is_refused_in_a_change_too(kubectl: Kubectl, room: str) -> None:
    backup = Stored(kubectl, room, {})
    assert "spec.timeout: Invalid value" in backup.change(timeout="soon")
