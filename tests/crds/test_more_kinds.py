"""Schedules, configurations and restores on the real API server, by kubectl."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from backup_operator.crds.build import RESOURCES
from fixtures.cluster import Kubectl

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
TEMPLATE = {"spec": {"backupType": "CONFIG"}}
SCHEDULE = {"schedule": "0 3 * * *", "template": TEMPLATE}
RESTORE = {"backupId": 118, "groups": ["DEPLOYMENT_CONFIG"]}
VOLUME = {"claim": "data", "targetClaim": "copy", "createClaim": True, "size": "10Gi"}
VOLUMES = {"backupId": 118, "volumes": [VOLUME]}
THEN = {"hostname": "shop", "pointInTime": "2026-11-28T03:00:00Z", "volumes": [VOLUME]}
CRON_RULE = "must be five fields of cron"
ZONE_RULE = "must be the name of a time zone as the IANA lists it"
HOSTS = "spec.dataBackupHostConfiguration"


def hosts(*listed: Mapping[str, Any]) -> dict[str, Any]:
    return {"dataBackupHostConfiguration": list(listed)}


# kind, spec, path of the field, words of the rule
BAD: tuple[tuple[str, object, str, str], ...] = (
    ("BackupSchedule", {"template": TEMPLATE}, "spec.schedule", "Required value"),
    ("BackupSchedule", {"schedule": "@daily"}, "spec.template", "Required value"),
    ("BackupSchedule", {**SCHEDULE, "schedule": "0 3 * *"}, "spec.schedule", CRON_RULE),
    ("BackupSchedule", {**SCHEDULE, "schedule": "60 3 * * *"}, "spec.schedule", CRON_RULE),
    ("BackupSchedule", {**SCHEDULE, "schedule": "0 0 3 * * *"}, "spec.schedule", CRON_RULE),
    ("BackupSchedule", {**SCHEDULE, "schedule": "@every 5m"}, "spec.schedule", CRON_RULE),
    ("BackupSchedule", {**SCHEDULE, "schedule": "@reboot"}, "spec.schedule", CRON_RULE),
    ("BackupSchedule", {**SCHEDULE, "timeZone": "Mars/Base"}, "spec.timeZone", ZONE_RULE),
    ("BackupSchedule", {**SCHEDULE, "timeZone": "Local"}, "spec.timeZone", ZONE_RULE),
    ("BackupSchedule", {**SCHEDULE, "timeZone": "+02:00"}, "spec.timeZone", ZONE_RULE),
    ("BackupSchedule", {**SCHEDULE, "jitter": "25h"}, "spec.jitter", "from 0s to 24h"),
    (
        "BackupSchedule",
        {**SCHEDULE, "startingDeadlineSeconds": 0},
        "spec.startingDeadlineSeconds",
        "greater than or equal to 1",
    ),
    (
        "BackupSchedule",
        {**SCHEDULE, "concurrencyPolicy": "Queue"},
        "spec.concurrencyPolicy",
        '"Allow", "Forbid", "Replace"',
    ),
    (
        "BackupSchedule",
        {**SCHEDULE, "retention": {"keepLast": 0}},
        "spec.retention.keepLast",
        "greater than or equal to 1",
    ),
    (
        "BackupSchedule",
        {**SCHEDULE, "retention": {"maxAge": "2w"}},
        "spec.retention.maxAge",
        "must be a number of days or hours",
    ),
    (
        "BackupSchedule",
        {**SCHEDULE, "template": {"spec": {"backupType": "CONFIG", "name": "one"}}},
        "spec.template.spec.name",
        "unknown field",
    ),
    (
        "BackupSchedule",
        {**SCHEDULE, "template": {"spec": {"backupType": "DATA", "hostId": 1, "hostname": "a"}}},
        "spec.template.spec.hostname",
        "either hostId or hostname",
    ),
    (
        "BackupConfiguration",
        {"backupRetentionPeriod": "36h"},
        "spec.backupRetentionPeriod",
        "must be a number of whole days",
    ),
    (
        "BackupConfiguration",
        {"dataBackupTimeLimit": "90s"},
        "spec.dataBackupTimeLimit",
        "must be whole minutes",
    ),
    (
        "BackupConfiguration",
        {"configurationBackupTimeLimit": "25h"},
        "spec.configurationBackupTimeLimit",
        "from 1m to 24h",
    ),
    (
        "BackupConfiguration",
        {"backupDirectoryPath": "store"},
        "spec.backupDirectoryPath",
        "must be an absolute path",
    ),
    ("BackupConfiguration", {"dataBackupPriority": "low"}, "spec.dataBackupPriority", '"LOW"'),
    ("BackupConfiguration", hosts({}), f"{HOSTS}[0]", "exactly one of hostId and hostname"),
    (
        "BackupConfiguration",
        hosts({"hostId": 53}, {"hostId": 54, "hostname": "ep"}),
        f"{HOSTS}[1]",
        "exactly one of hostId and hostname",
    ),
    ("Restore", {"backupId": 1}, "spec.groups", "exactly one of groups"),
    ("Restore", {**RESTORE, **VOLUMES}, "spec.groups", "exactly one of groups"),
    ("Restore", {"volumes": [VOLUME]}, "spec", "exactly one of backupRef and backupId"),
    ("Restore", {**THEN, "backupId": 1}, "spec", "exactly one of backupRef and backupId"),
    ("Restore", {**THEN, "hostId": 2}, "spec.hostname", "either hostId or hostname"),
    ("Restore", {**THEN, "pointInTime": "yesterday"}, "spec.pointInTime", "date-time"),
    (
        "Restore",
        {**VOLUMES, "pointInTime": "2026-11-28T03:00:00Z"},
        "spec.pointInTime",
        "pointInTime only with hostname or hostId",
    ),
    ("Restore", {"hostId": 2, "groups": ["USERS_CONFIG"]}, "spec", "only with volumes"),
    ("Restore", {**RESTORE, "cancel": True}, "spec", "only with volumes"),
    ("Restore", {**VOLUMES, "existing": "Update"}, "spec.volumes", "are about objects"),
    ("Restore", {**VOLUMES, "include": [{"kind": "Job"}]}, "spec.volumes", "are about objects"),
    ("Restore", {**VOLUMES, "volumes": []}, "spec.volumes", "should have at least 1 items"),
    ("Restore", {**VOLUMES, "volumes": [{}]}, "spec.volumes[0].claim", "Required value"),
    (
        "Restore",
        {**VOLUMES, "volumes": [{"claim": "data", "size": "1Gi"}]},
        "spec.volumes[0]",
        "only with createClaim",
    ),
    (
        "Restore",
        {**VOLUMES, "volumes": [{**VOLUME, "size": "1.5Gi"}]},
        "spec.volumes[0].size",
        "whole number of bytes",
    ),
    *(
        (
            "Restore",
            {**VOLUMES, "volumes": [{"claim": "data", "paths": ["fine", path]}]},
            "spec.volumes[0].paths[1]",
            "a path inside the volume",
        )
        for path in ("/etc/passwd", "..", "a/../../b")
    ),
    ("Restore", {**RESTORE, "groups": []}, "spec.groups", "should have at least 1 items"),
    ("Restore", {**RESTORE, "groups": ["ALL"]}, "spec.groups[0]", "supported values"),
    ("Restore", {"groups": ["LICENSE_CONFIG"]}, "spec", "exactly one of backupRef and backupId"),
    (
        "Restore",
        {**RESTORE, "backupRef": {"name": "a"}},
        "spec",
        "exactly one of backupRef and backupId",
    ),
    (
        "Restore",
        {"backupRef": {"name": "a"}, "engineRef": {"name": "b"}, "groups": ["LICENSE_CONFIG"]},
        "spec.engineRef",
        "no engineRef beside backupRef",
    ),
    (
        "Restore",
        {**RESTORE, "groups": ["OFFENSES_DATA"]},
        "spec.groups",
        "DEPLOYMENT_CONFIG has to accompany",
    ),
    ("Restore", {**RESTORE, "include": [{}]}, "spec.include[0]", "at least one of namespace"),
    ("Restore", {**RESTORE, "existing": "Replace"}, "spec.existing", '"Keep"'),
    ("Restore", {**RESTORE, "approvedPlan": "yes, please"}, "spec.approvedPlan", "the digest"),
    ("Restore", {**RESTORE, "namespaceMapping": {"a": "B"}}, "spec.namespaceMapping", "namespace"),
)

GOOD: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("BackupSchedule", {**SCHEDULE, "schedule": "*/5,7 0-23/2 1,L jan,6-9 mon-fri"}),
    ("BackupSchedule", {**SCHEDULE, "schedule": "0  3 * 1-6 5L", "timeZone": "Etc/GMT+5"}),
    (
        "BackupSchedule",
        {**SCHEDULE, "schedule": "0 3 LW * *", "timeZone": "America/Argentina/Ushuaia"},
    ),
    ("BackupSchedule", {**SCHEDULE, "schedule": "0 3 * * MON#1", "retention": {"keepFailed": 0}}),
    ("BackupConfiguration", {}),
    ("BackupConfiguration", hosts()),
    ("Restore", RESTORE),
    ("Restore", {**RESTORE, "include": [{"kind": "deployments.apps"}], "withStatus": ["Job"]}),
    ("Restore", VOLUMES),
    ("Restore", {**THEN, "cancel": True, "autoApprove": True, "mode": "Apply"}),
    ("Restore", {"hostId": 2, "volumes": [{"claim": "data", "paths": ["a..b/..c", "x/y"]}]}),
)


def manifest(kind: str, spec: object) -> str:
    body = {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": {"name": "one"},
        "spec": spec,
    }
    return json.dumps(body)


@pytest.mark.parametrize(("kind", "spec", "path", "words"), BAD)
def test_a_bad_manifest_is_refused_by_field_and_rule(
    kubectl: Kubectl, kind: str, spec: object, path: str, words: str
) -> None:
    answer = kubectl(
        "apply", "--dry-run=server", "--filename=-", input=manifest(kind, spec), check=False
    )
    assert answer.returncode != 0, f"accepted: {answer.stdout}"
    lines = answer.stderr.splitlines()
    assert any(
        (f"{path}:" in line or f'"{path}"' in line or f"{path}." in line or f"{path}[" in line)
        and words in line
        for line in lines
    ), answer.stderr


@pytest.mark.parametrize(("kind", "spec"), GOOD)
def test_a_good_manifest_is_accepted_and_read(
    kubectl: Kubectl, kind: str, spec: Mapping[str, Any]
) -> None:
    answer = kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--output=json", "--filename=-"),
        input=manifest(kind, spec),
    )
    assert answer.stderr == ""
    model = next(one.spec for one in RESOURCES if one.kind.kind == kind)
    stored = json.loads(answer.stdout)["spec"]
    assert model.model_validate(stored) == model.model_validate(spec)


# kind, stored spec, change, field whose rule objects; None: nothing does
CHANGES: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any], str | None], ...] = (
    ("BackupSchedule", SCHEDULE, {"schedule": "@hourly", "suspend": True}, None),
    ("BackupSchedule", SCHEDULE, {"template": {"spec": {"backupType": "DATA"}}}, None),
    ("BackupConfiguration", {}, {"engineRef": {"name": "x"}}, "engineRef"),
    ("BackupConfiguration", {}, {"configurationId": 2}, "configurationId"),
    ("BackupConfiguration", {}, {"deploy": "Manual", "backupRetentionPeriod": "3d"}, None),
    ("Restore", RESTORE, {"mode": "Apply", "approvedPlan": "sha256:0123456789"}, None),
    ("Restore", {**RESTORE, "mode": "Apply"}, {"mode": "Plan"}, "mode"),
    ("Restore", RESTORE, {"backupId": 119}, "backupId"),
    ("Restore", RESTORE, {"groups": ["LICENSE_CONFIG"]}, "groups"),
    ("Restore", RESTORE, {"existing": "Recreate"}, "existing"),
    ("Restore", RESTORE, {"include": [{"kind": "Secret"}]}, "include"),
    ("Restore", RESTORE, {"namespaceMapping": {"a": "b"}}, "namespaceMapping"),
    ("Restore", VOLUMES, {"volumes": [{"claim": "other"}]}, "volumes"),
    ("Restore", VOLUMES, {"cancel": True}, None),
    ("Restore", {**VOLUMES, "cancel": True}, {"cancel": False}, "cancel"),
    ("Restore", THEN, {"pointInTime": "2026-11-27T03:00:00Z"}, "pointInTime"),
    ("Restore", THEN, {"hostname": "other"}, "hostname"),
)


def test_what_cannot_be_changed_is_refused_and_the_rest_is_not(
    kubectl: Kubectl, namespace: str
) -> None:
    scope = f"--namespace={namespace}"
    items = [
        {**json.loads(manifest(kind, spec)), "metadata": {"name": f"{namespace}-{number}"}}
        for number, (kind, spec, _, _) in enumerate(CHANGES)
    ]
    bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("create", scope, "--filename=-", input=bundle)
    answers = []
    for number, (kind, _, change, _) in enumerate(CHANGES):
        patch, name = json.dumps({"spec": change}), f"{namespace}-{number}"
        dry = ("--type=merge", "--dry-run=server", "-p", patch)
        answers.append(kubectl("patch", scope, kind.lower(), name, *dry, check=False))
    kubectl("delete", scope, "--filename=-", "--wait=false", input=bundle)
    for (kind, _, change, field), answer in zip(CHANGES, answers, strict=True):
        if field is None:
            assert answer.returncode == 0, answer.stderr
        else:
            assert f"spec.{field}: Invalid value" in answer.stderr, (kind, change)


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_every_sample_is_accepted_without_a_warning(
    kubectl: Kubectl, namespace: str, file: Path
) -> None:
    answer = kubectl(
        *("apply", "--dry-run=server", "--validate=strict"),
        f"--namespace={namespace}",
        f"--filename={file}",
    )
    assert answer.stderr == ""
    assert answer.stdout.count("created") == len(list(yaml.safe_load_all(file.read_text())))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("bks", "makes Backups by the clock"),
        ("bks.spec.retention", "empty keeps all of them"),
        ("bks.spec.template.spec.backupType", "ENUM: CONFIG DATA"),
        ("bkc.spec.deploy", "whatever others have staged"),
        ("bkc.spec.backupRetentionPeriod", "How long nightly archives are kept"),
        ("rst.spec.approvedPlan", "status.plan.digest"),
        ("rst.status.plan.counts", "Objects by what becomes of them"),
        ("bke.spec.restoreNamespaces", "absent: none"),
    ],
)
def test_kubectl_explains_the_fields(kubectl: Kubectl, path: str, words: str) -> None:
    explained = " ".join(kubectl("explain", path).stdout.split())
    assert words in explained
    assert "<no description>" not in explained


def test_the_columns_of_each_kind(kubectl: Kubectl, namespace: str) -> None:
    columns = {}
    for kind, spec in (("BackupSchedule", SCHEDULE), ("Restore", RESTORE)):
        scope = f"--namespace={namespace}"
        kubectl("create", scope, "--filename=-", input=manifest(kind, spec))
        columns[kind] = kubectl("get", kind.lower(), scope).stdout.splitlines()[0].split("  ")
    narrow = {kind: [one.strip() for one in found if one] for kind, found in columns.items()}

    assert narrow["BackupSchedule"] == [
        *("NAME", "SCHEDULE", "SUSPEND", "ACTIVE", "LAST RUN", "LAST SUCCESS", "NEXT RUN"),
        *("READY", "AGE"),
    ]
    assert narrow["Restore"] == [
        *("NAME", "BACKUP", "MODE", "PHASE", "PROGRESS", "CREATE", "UPDATE", "CONFLICT", "AGE")
    ]
