"""What the real API server says to a bad manifest."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from fixtures.cluster import Kubectl

pytestmark = pytest.mark.cluster

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SECRET = {"namespace": "ops", "name": "credentials"}
CONFIG = {"backupType": "CONFIG"}
NAME_RULE = "must be 1 to 100 of letters, digits, '_', '-' and '.'"
DURATION_RULE = "must be a length of time in hours, minutes and seconds, such as 90s or 1h30m"

# spec, path of the field, words of the rule
BAD_BACKUPS: tuple[tuple[object, str, str], ...] = (
    (None, "spec", "Required value"),
    ({}, "spec.backupType", "Required value"),
    ({"backupType": "config"}, "spec.backupType", 'supported values: "CONFIG", "DATA"'),
    ({"backupType": ""}, "spec.backupType", 'supported values: "CONFIG", "DATA"'),
    ({"backupType": 1}, "spec.backupType", "must be of type string"),
    ({**CONFIG, "name": "a b"}, "spec.name", NAME_RULE),
    ({**CONFIG, "name": "größe"}, "spec.name", NAME_RULE),
    ({**CONFIG, "name": "a/b"}, "spec.name", NAME_RULE),
    ({**CONFIG, "name": "a\n"}, "spec.name", NAME_RULE),
    ({**CONFIG, "name": ""}, "spec.name", NAME_RULE),
    ({**CONFIG, "name": "x" * 101}, "spec.name", "may not be more than 100 bytes"),
    ({**CONFIG, "description": "x" * 256}, "spec.description", "may not be more than 255 bytes"),
    ({**CONFIG, "configurationId": 0}, "spec.configurationId", "greater than or equal to 1"),
    ({**CONFIG, "configurationId": "1"}, "spec.configurationId", "must be of type integer"),
    ({**CONFIG, "hostId": 0}, "spec.hostId", "greater than or equal to 1"),
    ({**CONFIG, "hostId": 1.5}, "spec.hostId", "must be of type int64"),
    ({**CONFIG, "hostId": 2**63}, "spec.hostId", "must be of type int64"),
    ({**CONFIG, "hostname": ""}, "spec.hostname", "must be a host name"),
    ({**CONFIG, "hostname": "ep 2"}, "spec.hostname", "must be a host name"),
    (
        {**CONFIG, "hostId": 53, "hostname": "console1"},
        "spec.hostname",
        "either hostId or hostname to name the host, not both",
    ),
    (
        {**CONFIG, "fields": ["size"]},
        "spec.fields[0]",
        'supported values: "id", "configuration_id"',
    ),
    ({**CONFIG, "fields": ["sizeOnDisk"]}, "spec.fields[0]", '"size_on_disk"'),
    ({**CONFIG, "fields": ["id", "id"]}, "spec.fields[1]", "Duplicate value"),
    ({**CONFIG, "fields": "id,status"}, "spec.fields", "must be of type array"),
    ({**CONFIG, "engineRef": {}}, "spec.engineRef.name", "Required value"),
    ({**CONFIG, "engineRef": "console"}, "spec.engineRef", "must be of type object"),
    (
        {**CONFIG, "engineRef": {"name": "Console"}},
        "spec.engineRef.name",
        "must be the name of a BackupEngine",
    ),
    ({**CONFIG, "deletionPolicy": "Keep"}, "spec.deletionPolicy", '"Retain", "Delete"'),
    ({**CONFIG, "deployStaged": "yes"}, "spec.deployStaged", "must be of type boolean"),
    ({**CONFIG, "cancel": "true"}, "spec.cancel", "must be of type boolean"),
    ({**CONFIG, "timeout": 60}, "spec.timeout", "must be of type string"),
    ({**CONFIG, "timeout": "60"}, "spec.timeout", DURATION_RULE),
    ({**CONFIG, "timeout": "1d"}, "spec.timeout", DURATION_RULE),
    ({**CONFIG, "timeout": "30m1h"}, "spec.timeout", DURATION_RULE),
    ({**CONFIG, "timeout": "-1h"}, "spec.timeout", DURATION_RULE),
    ({**CONFIG, "timeout": ""}, "spec.timeout", "at least 2 chars long"),
    ({**CONFIG, "timeout": "0s"}, "spec.timeout", "must be a length of time from 1s to 720h"),
    ({**CONFIG, "timeout": "721h"}, "spec.timeout", "must be a length of time from 1s to 720h"),
    ({**CONFIG, "busyTimeout": "1.5h"}, "spec.busyTimeout", DURATION_RULE),
    ({**CONFIG, "busyTimeout": "720h1s"}, "spec.busyTimeout", "from 0s to 720h"),
    ({**CONFIG, "colour": "red"}, "spec.colour", "unknown field"),
)

AN_ENGINE: Mapping[str, Any] = {"url": "https://console", "auth": {"serviceAccount": {}}}
URL_RULE = "must be https://host or https://host:port, without user, path, query or trailing '/'"
PORT_RULE = "must be an address with a port from 1 to 65535, if any"
ONE_CREDENTIAL = "exactly one of secToken, basic and serviceAccount"
ONE_CA = "either caSecretRef or caBundle to name the authorities, not both"
NO_CA = "neither caSecretRef nor caBundle beside insecureSkipVerify, which trusts every certificate"
ONE_WAY = "exactly one of names and selector"
VALUES_RULE = "values with In and NotIn, and none with Exists and DoesNotExist"


def with_auth(**auth: object) -> dict[str, object]:
    return {**AN_ENGINE, "auth": auth}


def with_tls(**tls: object) -> dict[str, object]:
    return {**AN_ENGINE, "tls": tls}


def with_demand(**demand: object) -> dict[str, object]:
    selector = {"matchExpressions": [{"key": "team", **demand}]}
    return {**AN_ENGINE, "allowedNamespaces": {"selector": selector}}


DEMAND = "spec.allowedNamespaces.selector.matchExpressions[0]"
BAD_ENGINES: tuple[tuple[object, str, str], ...] = (
    ({"auth": {"serviceAccount": {}}}, "spec.url", "Required value"),
    ({**AN_ENGINE, "url": "http://console"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "console"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://console/"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://console/api"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://console?x=1"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://console#x"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://user:pw@console"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://console:443443"}, "spec.url", URL_RULE),
    ({**AN_ENGINE, "url": "https://console:0"}, "spec.url", PORT_RULE),
    ({**AN_ENGINE, "url": "https://console:65536"}, "spec.url", PORT_RULE),
    ({"url": "https://console"}, "spec.auth", "Required value"),
    (with_auth(), "spec.auth", ONE_CREDENTIAL),
    (with_auth(serviceAccount={}, basic={"secretRef": SECRET}), "spec.auth", ONE_CREDENTIAL),
    (with_auth(secToken={}), "spec.auth.secToken.secretRef", "Required value"),
    (
        with_auth(secToken={"secretRef": {"name": "token"}}),
        "spec.auth.secToken.secretRef.namespace",
        "Required value",
    ),
    (
        with_auth(basic={"secretRef": {**SECRET, "name": "A_B"}}),
        "spec.auth.basic.secretRef.name",
        "must be the name of a Secret",
    ),
    (
        with_auth(basic={"secretRef": {**SECRET, "namespace": "a.b"}}),
        "spec.auth.basic.secretRef.namespace",
        "must be the name of a namespace",
    ),
    (
        with_auth(secToken={"secretRef": {**SECRET, "key": "a/b"}}),
        "spec.auth.secToken.secretRef.key",
        "must be a key of a Secret",
    ),
    (with_tls(caSecretRef=SECRET, caBundle=PEM), "spec.tls.caBundle", ONE_CA),
    (with_tls(caSecretRef=SECRET, insecureSkipVerify=True), "spec.tls.insecureSkipVerify", NO_CA),
    (with_tls(caBundle=PEM, insecureSkipVerify=True), "spec.tls.insecureSkipVerify", NO_CA),
    (with_tls(caBundle="MIIB"), "spec.tls.caBundle", "must be certificates in PEM"),
    (with_tls(serverName=""), "spec.tls.serverName", "at least 1 chars long"),
    ({**AN_ENGINE, "apiVersion": 26.0}, "spec.apiVersion", "must be of type string"),
    ({**AN_ENGINE, "apiVersion": "26"}, "spec.apiVersion", "must be a version of the API"),
    ({**AN_ENGINE, "allowedNamespaces": {}}, "spec.allowedNamespaces", ONE_WAY),
    (
        {**AN_ENGINE, "allowedNamespaces": {"names": ["ops"], "selector": {}}},
        "spec.allowedNamespaces",
        ONE_WAY,
    ),
    (
        {**AN_ENGINE, "allowedNamespaces": {"names": ["Ops"]}},
        "spec.allowedNamespaces.names[0]",
        "must be the name of a namespace",
    ),
    (
        {**AN_ENGINE, "allowedNamespaces": {"names": ["ops", "ops"]}},
        "spec.allowedNamespaces.names[1]",
        "Duplicate value",
    ),
    (with_demand(operator="Equals", values=["a"]), f"{DEMAND}.operator", "supported values"),
    (with_demand(operator="In"), f"{DEMAND}.values", VALUES_RULE),
    (with_demand(operator="Exists", values=["a"]), f"{DEMAND}.values", VALUES_RULE),
    ({**AN_ENGINE, "pollInterval": "5"}, "spec.pollInterval", "at least 2 chars long"),
    ({**AN_ENGINE, "pollInterval": "500ms"}, "spec.pollInterval", DURATION_RULE),
    ({**AN_ENGINE, "pollInterval": "0s"}, "spec.pollInterval", "from 1s to 10m"),
    ({**AN_ENGINE, "pollInterval": "11m"}, "spec.pollInterval", "from 1s to 10m"),
    ({**AN_ENGINE, "requestsPerSecond": 0}, "spec.requestsPerSecond", "greater than or equal to 1"),
    (
        {**AN_ENGINE, "requestsPerSecond": 101},
        "spec.requestsPerSecond",
        "less than or equal to 100",
    ),
)

VOLUMES = [{"namespace": "shop", "claimNames": ["data-0"]}]
CONSOLE: Mapping[str, Any] = {"type": "Console"}
DATA: Mapping[str, Any] = {"type": "Data", "volumes": VOLUMES}
KIND_RULE = "must be a resource in small letters as 'RESOURCE' or 'RESOURCE.GROUP'"
PATTERN_RULE = "must be the name of a namespace, in which '*' stands for any characters"


def with_scope(**scope: object) -> dict[str, object]:
    return {**CONSOLE, "scope": scope}


def with_volumes(*volumes: object) -> dict[str, object]:
    return {"type": "Data", "volumes": list(volumes)}


def with_hook(hook: Mapping[str, object]) -> dict[str, object]:
    usual = {"namespace": "shop", "selector": {}, "command": ["sync"]}
    return {**DATA, "hooks": {"before": [{**usual, **hook}]}}


BAD_HOSTS: tuple[tuple[object, str, str], ...] = (
    (None, "spec", "Required value"),
    ({}, "spec.type", "Required value"),
    ({"type": "CONFIG"}, "spec.type", 'supported values: "Console", "Data"'),
    ({**CONSOLE, "engineRef": {"name": "A"}}, "spec.engineRef.name", "the name of a BackupEngine"),
    ({**CONSOLE, "description": "x" * 256}, "spec.description", "may not be more than 255 bytes"),
    ({**CONSOLE, "volumes": VOLUMES}, "spec.volumes", "volumes with type Data, and only there"),
    ({"type": "Data"}, "spec.volumes", "volumes with type Data, and only there"),
    ({"type": "Data", "volumes": []}, "spec.volumes", "volumes with type Data, and only there"),
    ({**DATA, "scope": {}}, "spec.scope", "scope only with type Console"),
    ({**DATA, "successPolicy": {}}, "spec.successPolicy", "successPolicy only with type Console"),
    (
        {**CONSOLE, "successPolicy": {"tolerateForbidden": ["Secret"]}},
        "spec.successPolicy.tolerateForbidden[0]",
        KIND_RULE,
    ),
    (
        with_scope(namespaces={"include": ["Shop"]}),
        "spec.scope.namespaces.include[0]",
        PATTERN_RULE,
    ),
    (
        with_scope(namespaces={"exclude": ["a.b"]}),
        "spec.scope.namespaces.exclude[0]",
        PATTERN_RULE,
    ),
    (
        with_scope(namespaces={"include": ["a", "a"]}),
        "spec.scope.namespaces.include[1]",
        "Duplicate value",
    ),
    (with_scope(kinds={"include": [".apps"]}), "spec.scope.kinds.include[0]", KIND_RULE),
    (with_scope(kinds={"exclude": ["apps/v1"]}), "spec.scope.kinds.exclude[0]", KIND_RULE),
    (with_scope(includeClusterScoped="yes"), "spec.scope.includeClusterScoped", "type boolean"),
    (with_scope(resources={}), "spec.scope.resources", "unknown field"),
    (with_volumes({"claimNames": ["a"]}), "spec.volumes[0].namespace", "Required value"),
    (with_volumes({"namespace": "a"}), "spec.volumes[0]", "exactly one of claimNames and selector"),
    (
        with_volumes({"namespace": "a", "claimNames": ["b"], "selector": {}}),
        "spec.volumes[0]",
        "exactly one of claimNames and selector",
    ),
    (
        with_volumes({"namespace": "a", "selector": {}, "volumeSnapshotClassName": "fast"}),
        "spec.volumes[0].volumeSnapshotClassName",
        "volumeSnapshotClassName with volumeSnapshot IfPossible or Always",
    ),
    (
        with_volumes({"namespace": "a", "selector": {}, "volumeSnapshot": "Sometimes"}),
        "spec.volumes[0].volumeSnapshot",
        'supported values: "Never", "IfPossible", "Always"',
    ),
    ({**CONSOLE, "hooks": {}}, "spec.hooks", "hooks only with type Data"),
    (with_hook({"command": []}), "spec.hooks.before[0].command", "should have at least 1 items"),
    (with_hook({"timeoutSeconds": 0}), "spec.hooks.before[0].timeoutSeconds", "greater than or"),
    (with_hook({"onError": "Ignore"}), "spec.hooks.before[0].onError", "supported values"),
    (
        with_volumes({"namespace": "a", "claimNames": []}),
        "spec.volumes[0].claimNames",
        "should have at least 1 items",
    ),
    (
        with_volumes({"namespace": "a", "claimNames": ["B"]}),
        "spec.volumes[0].claimNames[0]",
        "must be the name of a PersistentVolumeClaim",
    ),
)


def refusal(kubectl: Kubectl, kind: str, spec: object, name: str = "bad") -> list[str]:
    manifest = {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": {"name": name},
    } | ({} if spec is None else {"spec": spec})
    answer = kubectl(
        "apply",
        "--dry-run=server",
        "--filename=-",
        input=json.dumps(manifest),
        check=False,
    )
    assert answer.returncode != 0, f"accepted: {answer.stdout}"
    return answer.stderr.splitlines()


def names(line: str, path: str, words: str) -> bool:
    """Whether one line of the refusal is about the field and says the rule."""
    return (f"{path}:" in line or f'"{path}"' in line) and words in line


@pytest.mark.parametrize(("spec", "path", "words"), BAD_BACKUPS)
def test_a_bad_backup_is_refused_by_field_and_rule(
    kubectl: Kubectl, spec: object, path: str, words: str
) -> None:
    lines = refusal(kubectl, "Backup", spec)
    assert any(names(line, path, words) for line in lines), "\n".join(lines)


@pytest.mark.parametrize(("spec", "path", "words"), BAD_ENGINES)
def test_a_bad_engine_is_refused_by_field_and_rule(
    kubectl: Kubectl, spec: object, path: str, words: str
) -> None:
    lines = refusal(kubectl, "BackupEngine", spec)
    assert any(names(line, path, words) for line in lines), "\n".join(lines)


@pytest.mark.parametrize(("spec", "path", "words"), BAD_HOSTS)
def test_a_bad_host_is_refused_by_field_and_rule(
    kubectl: Kubectl, spec: object, path: str, words: str
) -> None:
    lines = refusal(kubectl, "BackupHost", spec)
    assert any(names(line, path, words) for line in lines), "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("console", "metadata.name console is kept for a host of type Console"),
        ("x" * 64, "metadata.name must be at most 63 characters long"),
    ],
)
def test_a_host_is_refused_by_its_name(kubectl: Kubectl, name: str, words: str) -> None:
    assert any(words in line for line in refusal(kubectl, "BackupHost", DATA, name))


def test_a_host_keeps_its_type_and_its_engine(kubectl: Kubectl) -> None:
    manifest = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupHost",
        "metadata": {"generateName": "test-"},
        "spec": DATA,
    }
    created = kubectl("create", "--output=name", "--filename=-", input=json.dumps(manifest))
    host = created.stdout.strip()
    try:
        for change, field in (
            ({"type": "Console", "volumes": None}, "spec.type"),
            ({"engineRef": {"name": "another"}}, "spec.engineRef"),
        ):
            patch = json.dumps({"spec": change})
            answer = kubectl("patch", host, "--type=merge", "-p", patch, check=False)
            assert answer.returncode != 0
            assert f"{field}: Invalid value" in answer.stderr
            assert "cannot be changed, added or removed once the object exists" in answer.stderr
        new = json.dumps({"spec": {"volumes": [{"namespace": "shop", "selector": {}}]}})
        kubectl("patch", host, "--type=merge", "-p", new)
    finally:
        kubectl("delete", host, "--wait=false")
