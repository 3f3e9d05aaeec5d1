from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup_operator.resources.engine import BackupEngineResource, Circuit, EngineHost
from backup_operator.resources.engine_access import CA_UNUSED
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import DEFAULT_ENGINE_ANNOTATION
from backup_operator.resources.label_selector import LabelSelector

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
SHORTEST: Mapping[str, Any] = {"url": "https://console", "auth": {"serviceAccount": {}}}
CA = {"namespace": "ops", "name": "ca"}


def an_engine(**spec: object) -> BackupEngineResource:
    return annotated_engine({}, **spec)


def annotated_engine(annotations: Mapping[str, str], /, **spec: object) -> BackupEngineResource:
    return BackupEngineResource.from_body(
        {
            "kind": "BackupEngine",
            "metadata": {"name": "console", "uid": "u", "annotations": annotations},
            "spec": {**SHORTEST, **spec},
        }
    )


def problems_of(**spec: object) -> dict[str, str]:
    with pytest.raises(InvalidSpecError) as caught:
        an_engine(**spec)
    return {problem.field: problem.expected for problem in caught.value.problems}


def test_the_shortest_spec_gets_the_documented_defaults() -> None:
    spec = an_engine().spec

    assert spec.auth.service_account is not None
    assert spec.auth.service_account.audience == "backup-engine"
    assert (spec.tls, spec.api_version, spec.allowed_namespaces) == (None, None, None)
    assert spec.poll_interval == timedelta(seconds=5)
    assert spec.requests_per_second == 10


def test_secrets_get_the_usual_keys() -> None:
    spec = an_engine(
        auth={"secToken": {"secretRef": {"namespace": "ops", "name": "token"}}},
        tls={"caSecretRef": CA},
    ).spec

    assert spec.auth.sec_token is not None
    assert spec.auth.sec_token.secret_ref.key == "token"
    assert spec.tls is not None
    assert spec.tls.ca_secret_ref is not None
    assert spec.tls.ca_secret_ref.key == "ca.crt"


@pytest.mark.parametrize(
    "url", ["https://console", "https://console.example.net:8443", "https://[2001:db8::1]:65535"]
)
def test_an_address_is_host_and_port(url: str) -> None:
    assert an_engine(url=url).spec.url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://console",
        "https://",
        "https://console/",
        "https://console/api",
        "https://console?x=1",
        "https://console#x",
        "https://user@console",
        "https://user:password@console",
        "https://console:",
        "https://console:0",
        "https://console:65536",
        "https://console:http",
        "HTTPS://console",
        "https://con sole",
        "https://console\n",
    ],
)
def test_anything_else_is_no_address(url: str) -> None:
    assert set(problems_of(url=url)) == {"spec.url"}


@pytest.mark.parametrize(
    ("spec", "field", "expected"),
    [
        ({"auth": {}}, "spec.auth", "exactly one of secToken, basic and serviceAccount"),
        (
            {"auth": {"serviceAccount": {}, "basic": {"secretRef": CA}}},
            "spec.auth",
            "exactly one of secToken, basic and serviceAccount",
        ),
        ({"auth": {"basic": {}}}, "spec.auth.basic.secretRef", "a value"),
        (
            {"tls": {"caSecretRef": CA, "caBundle": PEM}},
            "spec.tls",
            "either caSecretRef or caBundle to name the authorities, not both",
        ),
        (
            {"tls": {"caBundle": PEM, "insecureSkipVerify": True}},
            "spec.tls",
            CA_UNUSED,
        ),
        ({"allowedNamespaces": {}}, "spec.allowedNamespaces", "exactly one of names and selector"),
        (
            {"allowedNamespaces": {"names": [], "selector": {}}},
            "spec.allowedNamespaces",
            "exactly one of names and selector",
        ),
        ({"apiVersion": "26"}, "spec.apiVersion", "a version of the API in quotes, such as '26.0'"),
        ({"pollInterval": "500ms"}, "spec.pollInterval", None),
        ({"pollInterval": "10m1s"}, "spec.pollInterval", "a length of time from 1s to 10m"),
        ({"requestsPerSecond": 0}, "spec.requestsPerSecond", None),
        ({"requestsPerSecond": 101}, "spec.requestsPerSecond", None),
    ],
)
def test_a_broken_rule_is_reported_at_its_field(
    spec: Mapping[str, Any], field: str, expected: str | None
) -> None:
    problems = problems_of(**spec)

    assert set(problems) == {field}
    assert expected is None or problems[field] == expected


def test_a_key_pasted_for_a_certificate_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        an_engine(tls={"caBundle": KEY})

    assert "spec.tls.caBundle" in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotations", "default"),
    [
        ({}, False),
        ({DEFAULT_ENGINE_ANNOTATION: "true"}, True),
        ({DEFAULT_ENGINE_ANNOTATION: "false"}, False),
    ],
)
def test_the_annotation_makes_an_engine_the_default(
    annotations: dict[str, str], *, default: bool
) -> None:
    assert annotated_engine(annotations).is_default is default


def test_an_engine_without_a_list_serves_every_namespace() -> None:
    assert an_engine().allows("ops", {})


def test_an_engine_serves_the_namespaces_that_it_names() -> None:
    engine = an_engine(allowedNamespaces={"names": ["ops", "siem"]})

    assert engine.allows("siem", {})
    assert not engine.allows("dev", {"team": "siem"})
    assert not an_engine(allowedNamespaces={"names": []}).allows("ops", {})


def test_an_engine_serves_the_namespaces_with_its_labels() -> None:
    engine = an_engine(allowedNamespaces={"selector": {"matchLabels": {"team": "siem"}}})

    assert engine.allows("dev", {"team": "siem", "tier": "2"})
    assert not engine.allows("siem", {"team": "ops"})


@pytest.mark.parametrize(
    ("operator", "values", "labels", "matches"),
    [
        ("In", ["a", "b"], {"team": "b"}, True),
        ("In", ["a", "b"], {"team": "c"}, False),
        ("In", ["a", "b"], {}, False),
        ("NotIn", ["a"], {"team": "a"}, False),
        ("NotIn", ["a"], {"team": "b"}, True),
        ("NotIn", ["a"], {}, True),
        ("Exists", [], {"team": ""}, True),
        ("Exists", [], {}, False),
        ("DoesNotExist", [], {"team": ""}, False),
        ("DoesNotExist", [], {}, True),
    ],
)
def test_a_selector_compares_as_kubernetes_does(
    operator: str, values: list[str], labels: dict[str, str], *, matches: bool
) -> None:
    selector = LabelSelector.model_validate(
        {"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}
    )
    assert selector.matches(labels) is matches
    assert LabelSelector().matches(labels), "an empty selector matches everything"


@pytest.mark.parametrize(
    ("operator", "values"), [("In", []), ("NotIn", []), ("Exists", ["a"]), ("DoesNotExist", ["a"])]
)
def test_a_selector_has_values_only_where_they_count(operator: str, values: list[str]) -> None:
    demand = {"key": "team", "operator": operator, "values": values}
    path = "spec.allowedNamespaces.selector.matchExpressions[0]"

    problems = problems_of(allowedNamespaces={"selector": {"matchExpressions": [demand]}})
    assert problems == {path: "values with In and NotIn, and none with Exists and DoesNotExist"}


def test_the_status_of_an_engine_is_read_and_written_back() -> None:
    status = {
        "observedGeneration": 1,
        "productVersion": "7.5.0",
        "releaseName": "7.5.0 UP13",
        "apiVersion": "26.0",
        "hosts": [
            {"id": 53, "hostname": "console1", "status": "Active", "components": ["magistrate"]},
        ],
        "runningBackups": 0,
        "lastContactTime": "2026-11-23T12:00:00Z",
        "circuit": "Closed",
        "conditions": [],
    }
    engine = BackupEngineResource.from_body(
        {"metadata": {"name": "console", "uid": "u"}, "spec": SHORTEST, "status": status}
    )

    assert engine.unreadable_status == ()
    assert engine.status.circuit is Circuit.CLOSED
    assert engine.status.last_contact_time == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert engine.status.hosts == (
        EngineHost(id=53, hostname="console1", status="Active", components=("magistrate",)),
    )
    assert engine.status.to_body() == status
    assert engine.status.find_condition("Ready") is None
