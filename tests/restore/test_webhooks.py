"""Webhooks nobody answers are reported where, and only where, they would be asked."""

from typing import Any

import pytest

from backup_engine.restore.webhooks import WritePlace, find_blocking, list_services

SECRET = WritePlace("", "v1", "secrets", "CREATE", "team-a")
NODE = WritePlace("", "v1", "nodes", "CREATE", None)
SERVICE = ("hooks", "judge")


def a_configuration(rule: dict[str, Any] | None = None, **members: object) -> dict[str, Any]:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["secrets"],
        **(rule or {}),
    }
    webhook = {
        "name": "judge.example",
        "rules": [rule],
        "clientConfig": {"service": {"namespace": "hooks", "name": "judge"}},
        **members,
    }
    metadata = {"name": "strict"}
    return {"kind": "ValidatingWebhookConfiguration", "metadata": metadata, "webhooks": [webhook]}


@pytest.mark.parametrize(
    ("configuration", "write", "blocks"),
    [
        (a_configuration(), SECRET, True),
        (a_configuration(failurePolicy="Ignore"), SECRET, False),
        (a_configuration({"resources": ["*"], "apiGroups": ["*"]}), SECRET, True),
        (a_configuration({"resources": ["pods"]}), SECRET, False),
        (a_configuration({"operations": ["UPDATE"]}), SECRET, False),
        (a_configuration({"apiVersions": ["v0"]}), SECRET, True),  # Equivalent by default
        (a_configuration({"apiVersions": ["v0"]}, matchPolicy="Exact"), SECRET, False),
        (a_configuration({"resources": ["*"], "scope": "Namespaced"}), NODE, False),
        (a_configuration({"resources": ["*"], "scope": "Cluster"}), NODE, True),
        (a_configuration(namespaceSelector={"matchLabels": {"judged": "yes"}}), SECRET, False),
        (a_configuration(namespaceSelector={"matchLabels": {"team": "a"}}), SECRET, True),
        (a_configuration(clientConfig={"url": "https://judge.example"}), SECRET, False),
    ],
)
def test_a_silent_webhook_is_reported_if_it_covers_a_write(
    configuration: dict[str, Any], write: WritePlace, blocks: bool
) -> None:
    found = find_blocking([configuration], [write], [SERVICE], {"team-a": {"team": "a"}})

    assert bool(found) is blocks
    assert all("judge.example" in warning and "hooks/judge" in warning for warning in found)


def test_a_webhook_that_answers_is_not_reported() -> None:
    assert not find_blocking([a_configuration()], [SECRET], [], {})
    assert list_services([a_configuration()]) == {SERVICE}


def test_a_namespace_of_unknown_labels_counts_as_covered() -> None:
    configuration = a_configuration(namespaceSelector={"matchLabels": {"judged": "yes"}})

    assert find_blocking([configuration], [SECRET], [SERVICE], {})
