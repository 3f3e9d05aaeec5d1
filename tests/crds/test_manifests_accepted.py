"""What the real API server makes of a good manifest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.engine import BackupEngineSpec
from backup_operator.resources.host import BackupHostSpec
from fixtures.cluster import Kubectl

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SECRET = {"namespace": "ops", "name": "credentials"}

FULL_BACKUP: Mapping[str, Any] = {
    "backupType": "DATA",
    "name": "pre-upgrade_2026.11",
    "configurationId": 2,
    "description": "before 7.5.0 UP13",
    "hostname": "ep_2.example.net",
    "fields": ["id", "status", "intiated_by"],
    "engineRef": {"name": "console"},
    "deletionPolicy": "Delete",
    "deployStaged": True,
    "busyTimeout": "90s",
    "timeout": "1h30m",
    "cancel": True,
}
GOOD_BACKUPS: tuple[Mapping[str, Any], ...] = (
    {"backupType": "CONFIG"},
    FULL_BACKUP,
    {"backupType": "DATA", "name": "x" * 100, "description": "ü" * 255},
    {"backupType": "DATA", "name": "-", "description": "", "hostId": 2**63 - 1},
    {"backupType": "DATA", "fields": [], "busyTimeout": "0s", "timeout": "720h"},
    {"backupType": "DATA", "timeout": "1s", "busyTimeout": "719h59m60s"},
)

AN_ENGINE: Mapping[str, Any] = {"url": "https://console", "auth": {"serviceAccount": {}}}
GOOD_ENGINES: tuple[Mapping[str, Any], ...] = (
    AN_ENGINE,
    {
        "url": "https://console.example.net:65535",
        "auth": {"secToken": {"secretRef": {**SECRET, "key": "sec.token"}}},
        "tls": {"caSecretRef": {**SECRET, "key": "tls.crt"}, "serverName": "console"},
        "apiVersion": "26.0",
        "allowedNamespaces": {"names": ["ops", "siem"]},
        "pollInterval": "10m",
        "requestsPerSecond": 100,
    },
    {**AN_ENGINE, "url": "https://[2001:db8::1]:8443"},
    {**AN_ENGINE, "url": "https://192.0.2.10:1"},
    {**AN_ENGINE, "auth": {"basic": {"secretRef": SECRET}}, "tls": {"caSecretRef": SECRET}},
    {**AN_ENGINE, "tls": {"insecureSkipVerify": True, "serverName": "console"}},
    {**AN_ENGINE, "tls": {"caBundle": PEM * 3, "insecureSkipVerify": False}},
    {**AN_ENGINE, "allowedNamespaces": {"names": []}},
    {**AN_ENGINE, "allowedNamespaces": {"selector": {}}},
    {
        **AN_ENGINE,
        "allowedNamespaces": {
            "selector": {
                "matchLabels": {"team": "siem"},
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["1", "2"]},
                    {"key": "scratch", "operator": "DoesNotExist"},
                ],
            }
        },
    },
    {**AN_ENGINE, "pollInterval": "1s", "requestsPerSecond": 1},
)

FULL_CONSOLE: Mapping[str, Any] = {
    "type": "Console",
    "engineRef": {"name": "in-cluster"},
    "description": "all of our own",
    "scope": {
        "namespaces": {
            "include": ["shop", "team-*", "*"],
            "exclude": ["kube-*", "team-?"],
            "selector": {"matchLabels": {"backup": "yes"}},
        },
        "kinds": {
            "include": ["*.apps", "secrets", "configmaps.", "*.*", "*"],
            "exclude": ["replicasets.apps", "*.metrics.k8s.io"],
            "defaultExcludes": False,
        },
        "labelSelector": {"matchExpressions": [{"key": "scratch", "operator": "DoesNotExist"}]},
        "includeClusterScoped": False,
    },
    "successPolicy": {
        "tolerateForbidden": ["secrets"],
        "tolerateUnavailable": ["*.example.com"],
        "tolerateFailed": ["*"],
    },
}
GOOD_HOSTS: tuple[Mapping[str, Any], ...] = (
    {"type": "Console"},
    {"type": "Console", "scope": {}, "successPolicy": {}},
    FULL_CONSOLE,
    {
        "type": "Data",
        "volumes": [
            {"namespace": "shop", "claimNames": ["data-0", "data.1"]},
            {"namespace": "shop", "selector": {}, "volumeSnapshot": "IfPossible"},
            {
                "namespace": "shop",
                "selector": {},
                "volumeSnapshot": "Always",
                "volumeSnapshotClassName": "csi-fast",
            },
        ],
        "hooks": {
            "before": [{"namespace": "shop", "selector": {}, "command": ["sync"]}],
            "after": [
                {
                    "namespace": "shop",
                    "selector": {"matchLabels": {"app": "db"}},
                    "container": "database",
                    "command": ["psql", "-c", "SELECT 1"],
                    "timeoutSeconds": 3600,
                    "onError": "Continue",
                }
            ],
        },
    },
)


def accepted(kubectl: Kubectl, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    manifest = {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": {"name": "good"},
        "spec": spec,
    }
    answer = kubectl(
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--output=json",
        "--filename=-",
        input=json.dumps(manifest),
    )
    assert answer.stderr == "", "accepted, but not without a warning"
    stored: dict[str, Any] = json.loads(answer.stdout)["spec"]
    return stored


def missing(sent: object, stored: object) -> bool:
    """Whether anything that was sent did not come back; what was added does not matter."""
    if isinstance(sent, Mapping):
        return not isinstance(stored, Mapping) or any(
            missing(value, stored.get(name)) for name, value in sent.items()
        )
    if isinstance(sent, list):
        return (
            not isinstance(stored, list)
            or len(sent) != len(stored)
            or any(missing(value, back) for value, back in zip(sent, stored, strict=True))
        )
    return sent != stored


@pytest.mark.parametrize("spec", GOOD_BACKUPS)
def test_a_good_backup_comes_back_whole_and_with_our_defaults(
    kubectl: Kubectl, spec: Mapping[str, Any]
) -> None:
    stored = accepted(kubectl, "Backup", spec)

    assert not missing(spec, stored)
    assert BackupSpec.model_validate(stored) == BackupSpec.model_validate(spec)
    assert stored.keys() == BackupSpec.model_validate(spec).to_body().keys(), (
        "schema and model disagree on what has a default"
    )


@pytest.mark.parametrize("spec", GOOD_ENGINES)
def test_a_good_engine_comes_back_whole_and_with_our_defaults(
    kubectl: Kubectl, spec: Mapping[str, Any]
) -> None:
    stored = accepted(kubectl, "BackupEngine", spec)

    assert not missing(spec, stored)
    assert BackupEngineSpec.model_validate(stored) == BackupEngineSpec.model_validate(spec)


@pytest.mark.parametrize("spec", GOOD_HOSTS)
def test_a_good_host_comes_back_whole_and_with_our_defaults(
    kubectl: Kubectl, spec: Mapping[str, Any]
) -> None:
    stored = accepted(kubectl, "BackupHost", spec)

    assert not missing(spec, stored)
    assert BackupHostSpec.model_validate(stored) == BackupHostSpec.model_validate(spec)


def test_a_full_backup_uses_every_field_but_the_one_that_is_excluded() -> None:
    fields = {str(field.alias) for field in BackupSpec.model_fields.values()}
    assert FULL_BACKUP.keys() == fields - {"hostId"}


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("backup*.yaml")), ids=lambda file: file.name)
def test_the_samples_are_accepted_without_a_warning(
    kubectl: Kubectl, namespace: str, file: Path
) -> None:
    answer = kubectl(
        "apply",
        "--dry-run=server",
        "--validate=strict",
        f"--namespace={namespace}",
        f"--filename={file}",
    )
    assert answer.stderr == ""
    assert "created" in answer.stdout
