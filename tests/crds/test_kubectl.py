"""What people see of the resources, and what the operator may write to them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backup_operator.resources.backup import BackupResource
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.engine import BackupEngineResource, BackupEngineStatus
from backup_operator.resources.host import BackupHostResource
from backup_operator.resources.host_status import BackupHostStatus
from fixtures.cluster import Kubectl

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
CONDITION = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-23T12:00:00Z",
    "reason": "Succeeded",
    "message": "backup 118 is complete",
}
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Succeeded",
    "id": 118,
    "configurationId": 1,
    "hostId": 53,
    "name": "pre-upgrade_2026.11",
    "description": "before 7.5.0 UP13",
    "type": "CONFIG",
    "version": "7.5.0",
    "buildVersion": "2021.6.12.20250501101010",
    "timeInitiated": "2026-11-23T12:00:00Z",
    "timeCompleted": "2026-11-23T12:06:52.345Z",
    "initiatedBy": "API_user: backup-bot",
    "status": "SUCCESS",
    "sizeOnDisk": 769654784,
    "contentFilePath": "/store/backup/backup.tgz",
    "isValid": True,
    "isVersionCompatible": True,
    "appDeploymentLocation": "CONSOLE",
    "size": "734 MiB",
    "duration": "6m52s",
    "startedAt": "2026-11-23T12:00:00Z",
    "terminatedAt": "2026-11-23T12:06:52.345Z",
    "submission": {
        "requestedName": "pre-upgrade_2026.11",
        "submittedAt": "2026-11-23T11:59:59.500Z",
        "engineTime": "2026-11-23T12:00:00Z",
        "attempts": 2,
    },
    "failure": {"httpStatus": 409, "code": 1005, "reason": "NameInUse", "message": "taken"},
    "engine": {"name": "console", "uid": "u", "url": "https://console", "apiVersion": "26.0"},
    "conditions": [CONDITION, *({**CONDITION, "type": type_} for type_ in ("Finished", "Valid"))],
}
ENGINE_STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "productVersion": "7.5.0",
    "releaseName": "7.5.0 UP13",
    "apiVersion": "26.0",
    "hosts": [
        {"id": 53, "hostname": "console1", "status": "Active", "components": ["magistrate"]},
        {"id": 103, "hostname": "ep2", "status": "Active", "components": ["eventprocessor"]},
    ],
    "runningBackups": 1,
    "lastContactTime": "2026-11-23T12:00:00Z",
    "circuit": "Closed",
    "conditions": [CONDITION],
}

HOST_STATUS: dict[str, Any] = {
    "observedGeneration": 2,
    "engine": {"name": "in-cluster", "uid": "u"},
    "hostId": 7,
    "hostname": "shop-volumes",
    "stagedStatus": "New",
    "deployedStatus": "Active",
    "stagedGeneration": 2,
    "deployedGeneration": 1,
    "conditions": [
        {**CONDITION, "type": "Deployed", "status": "False", "reason": "PendingDeploy"},
        {**CONDITION, "message": "version 1 of the host is in force"},
    ],
}

PARTS = ("spec", "status")


@pytest.fixture
def backups(kubectl: Kubectl, namespace: str) -> str:
    """The samples, in a namespace of their own; the name of that namespace."""
    for name in ("backup-appliance.yaml", "backup-config.yaml", "backup-data.yaml"):
        kubectl("apply", f"--namespace={namespace}", f"--filename={SAMPLES / name}")
    return namespace


@pytest.fixture
def engine(kubectl: Kubectl) -> Iterator[str]:
    manifest = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupEngine",
        "metadata": {"generateName": "test-"},
        "spec": {"url": "https://console", "auth": {"serviceAccount": {}}},
    }
    created = kubectl("create", "--output=name", "--filename=-", input=json.dumps(manifest))
    name = created.stdout.strip()
    yield name
    kubectl("delete", name, "--wait=false")


@pytest.fixture
def host(kubectl: Kubectl) -> Iterator[str]:
    manifest = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupHost",
        "metadata": {"generateName": "test-"},
        "spec": {"type": "Data", "volumes": [{"namespace": "shop", "selector": {}}]},
    }
    created = kubectl("create", "--output=name", "--filename=-", input=json.dumps(manifest))
    name = created.stdout.strip()
    yield name
    kubectl("delete", name, "--wait=false")


def written(kubectl: Kubectl, name: str, status: object, *scope: str) -> dict[str, Any]:
    patch = json.dumps({"status": status})
    kubectl("patch", name, *scope, "--subresource=status", "--type=merge", "-p", patch)
    body: dict[str, Any] = json.loads(kubectl("get", name, *scope, "--output=json").stdout)
    return body


def test_the_status_of_a_backup_comes_back_whole(kubectl: Kubectl, backups: str) -> None:
    body = written(kubectl, "backup/before-upgrade", STATUS, f"--namespace={backups}")

    assert body["status"] == STATUS
    assert STATUS.keys() == {str(field.alias) for field in BackupStatus.model_fields.values()}
    backup = BackupResource.from_body(body)
    assert backup.unreadable_status == ()
    assert backup.status.to_body() == STATUS


def test_the_status_of_an_engine_comes_back_whole(kubectl: Kubectl, engine: str) -> None:
    body = written(kubectl, engine, ENGINE_STATUS)

    assert body["status"] == ENGINE_STATUS
    assert ENGINE_STATUS.keys() == {
        str(field.alias) for field in BackupEngineStatus.model_fields.values()
    }
    assert BackupEngineResource.from_body(body).status.to_body() == ENGINE_STATUS


def test_the_status_of_a_host_comes_back_whole(kubectl: Kubectl, host: str) -> None:
    body = written(kubectl, host, HOST_STATUS)

    assert body["status"] == HOST_STATUS
    assert HOST_STATUS.keys() == {
        str(field.alias) for field in BackupHostStatus.model_fields.values()
    }
    assert BackupHostResource.from_body(body).status.to_body() == HOST_STATUS


def test_spec_and_status_are_written_apart(kubectl: Kubectl, backups: str) -> None:
    both = json.dumps({"spec": {"description": "new"}, "status": {"phase": "Failed"}})
    patch = ("patch", "backup/before-upgrade", f"--namespace={backups}", "--type=merge", "-p", both)

    by_user = json.loads(kubectl(*patch, "--output=json").stdout)
    assert by_user["spec"]["description"] == "new"
    assert "status" not in by_user
    again = both.replace("new", "newer")
    by_operator = json.loads(
        kubectl(*patch[:-1], again, "--subresource=status", "--output=json").stdout
    )
    assert by_operator["spec"]["description"] == "new"
    assert by_operator["status"] == {"phase": "Failed"}
    assert by_operator["metadata"]["generation"] == by_user["metadata"]["generation"]


def test_a_status_that_breaks_a_rule_is_refused(kubectl: Kubectl, backups: str) -> None:
    patch = json.dumps({"status": {"phase": "Done"}})
    answer = kubectl(
        *("patch", "backup/before-upgrade", f"--namespace={backups}", "--subresource=status"),
        *("--type=merge", "-p", patch),
        check=False,
    )
    assert answer.returncode != 0
    assert 'status.phase: Unsupported value: "Done"' in answer.stderr


def test_the_table_shows_what_matters_and_the_wide_one_the_rest(
    kubectl: Kubectl, backups: str
) -> None:
    scope = f"--namespace={backups}"
    written(kubectl, "backup/before-upgrade", STATUS, scope)

    narrow = kubectl("get", "bk", "before-upgrade", scope).stdout.splitlines()
    assert narrow[0].split() == ["NAME", "TYPE", "PHASE", "SIZE", "VALID", "AGE"]
    assert narrow[1].split()[:-1] == ["before-upgrade", "CONFIG", "Succeeded", "734", "MiB", "True"]
    wide = kubectl("get", "bk", "before-upgrade", scope, "--output=wide").stdout.splitlines()
    assert wide[0].split() == [
        *("NAME", "TYPE", "PHASE", "SIZE", "VALID", "ENGINE", "RECORD", "HOST", "STARTED"),
        *("TERMINATED", "DURATION", "MESSAGE", "AGE"),
    ]
    assert "console" in wide[1]
    assert " 118 " in wide[1]
    assert "backup 118 is complete" in wide[1]


def test_the_table_of_engines(kubectl: Kubectl, engine: str) -> None:
    written(kubectl, engine, ENGINE_STATUS)
    name = engine.partition("/")[2]

    narrow = kubectl("get", "bke", name).stdout.splitlines()
    assert narrow[0].split() == [
        *("NAME", "URL", "READY", "REASON", "VERSION", "API", "RUNNING", "AGE")
    ]
    assert narrow[1].split()[1:-1] == [
        *("https://console", "True", "Succeeded", "7.5.0", "26.0", "1")
    ]
    wide = kubectl("get", "bke", name, "--output=wide").stdout.splitlines()
    assert wide[0].split()[7:] == ["CIRCUIT", "CONTACT", "MESSAGE", "AGE"]


def test_the_table_of_hosts(kubectl: Kubectl, host: str) -> None:
    written(kubectl, host, HOST_STATUS)
    name = host.partition("/")[2]

    narrow = kubectl("get", "bkh", name).stdout.splitlines()
    assert narrow[0].split() == [
        "NAME",
        "TYPE",
        "HOST",
        "STATE",
        "DEPLOYED",
        "READY",
        "REASON",
        "AGE",
    ]
    assert narrow[1].split()[1:-1] == ["Data", "7", "Active", "False", "True", "Succeeded"]
    wide = kubectl("get", "bkh", name, "--output=wide").stdout.splitlines()
    assert wide[0].split()[7:] == ["ENGINE", "MESSAGE", "AGE"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("backup", "asks an engine for one backup"),
        ("backup.spec", "What is to be backed up, where, and how patiently."),
        ("backup.spec.backupType", "ENUM: CONFIG DATA"),
        ("backup.spec.engineRef.name", "Name of the BackupEngine."),
        ("backup.status.submission", "stored before the request was sent"),
        ("bke.spec.auth", "Credentials of the operator at the engine: one of three."),
        ("bke.spec.tls.insecureSkipVerify", "for trials only"),
        ("bkh", "only staged until a deploy puts it in force"),
        ("bkh.spec.scope.kinds.include", "`*.apps` all of a group"),
        ("bkh.spec.volumes.selector", "an empty selector chooses all of the namespace"),
    ],
)
def test_kubectl_explains_the_fields(kubectl: Kubectl, path: str, words: str) -> None:
    explained = " ".join(kubectl("explain", path).stdout.split())

    assert words in explained
    assert "<no description>" not in explained


def test_kubectl_explains_every_field_of_the_spec(kubectl: Kubectl) -> None:
    for path in (f"{kind}.{part}" for kind in ("backup", "bke", "bkh") for part in PARTS):
        assert "<no description>" not in kubectl("explain", path, "--recursive=false").stdout


def test_the_plural_means_backups_alone(kubectl: Kubectl, backups: str, engine: str) -> None:
    scope = f"--namespace={backups}"

    assert kubectl("get", "backups", "before-upgrade", scope, "--output=name").stdout.strip() == (
        "backup.backup-operator.io/before-upgrade"
    )
    deleted = kubectl("delete", "backups", "--all", scope, "--dry-run=server").stdout
    assert "pre-upgrade" in deleted
    assert "backupengine" not in deleted, "a category of the same name took the engines along"
    everything = kubectl("get", "backup-operator", scope, "--output=name").stdout
    assert engine in everything
    assert "backup.backup-operator.io/before-upgrade" in everything


def test_backups_are_selected_by_type_engine_and_phase(kubectl: Kubectl, backups: str) -> None:
    scope = f"--namespace={backups}"
    written(kubectl, "backup/weekly-data", STATUS, scope)

    for selector, names in {
        "spec.backupType=DATA": ["weekly-data"],
        "spec.engineRef.name=console": ["pre-upgrade", "weekly-data"],
        "status.phase=Succeeded": ["weekly-data"],
        "status.phase=Failed": [],
    }.items():
        found = kubectl("get", "bk", scope, f"--field-selector={selector}", "--output=name").stdout
        assert found.split() == [f"backup.backup-operator.io/{name}" for name in names]


def test_a_pipeline_can_wait_for_a_condition(kubectl: Kubectl, backups: str) -> None:
    written(kubectl, "backup/before-upgrade", STATUS, f"--namespace={backups}")

    waited = kubectl(
        "wait",
        "--for=condition=Finished",
        "backup/before-upgrade",
        f"--namespace={backups}",
        "--timeout=60s",
    )
    assert "condition met" in waited.stdout
