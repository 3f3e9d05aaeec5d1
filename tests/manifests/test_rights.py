"""The rights that the manifests grant are those that the programs use: no fewer, no more."""

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fixtures.cluster import run_kubectl
from fixtures.engine import EngineProcess
from fixtures.installation import NAMESPACE, Installation
from fixtures.operator_process import Forge, OperatorProcess
from fixtures.rights import ENGINE, OPERATOR, Use, granted_to, is_used, read_audit

ROOT = Path(__file__).parents[2]
RESTORE = ROOT / "manifests" / "restore"
OVERLAY = ROOT / "manifests" / "overlays" / "cluster"

pytestmark = [pytest.mark.cluster, pytest.mark.process]


WRITTEN_WITHIN_S = 20.0  # an audit line follows its answer

OUR_KINDS = (
    "backups",
    "backupconfigurations",
    "backupengines",
    "backuphosts",
    "backupschedules",
    "restores",
)

# Granted, and not met in this walk, each for a reason.
SPARED: dict[str, dict[Use, str]] = {
    OPERATOR: {
        **{
            Use("backup-operator.io", kind, "get"): "read again after a conflict, or what is gone"
            for kind in OUR_KINDS
        },
        Use("backup-operator.io", "backups", "delete"): "retention of a schedule",
    },
    ENGINE: {
        Use("", "secrets", "patch"): "renewal of a certificate or key",
        Use("*", "*", "patch"): "a restore with existing: Update",
        Use("*", "*", "delete"): "a restore with existing: Recreate",
        Use("*", "*", "bind"): "a restore of bindings, within their create",
        Use("*", "*", "escalate"): "a restore of roles, within their create",
        Use("*", "*/finalizers", "update"): "a restore where admission asks for it",
    },
}


async def test_both_programs_work_with_the_rights_of_their_manifests(
    forge: Forge, installation: Installation, tmp_path: Path
) -> None:
    cluster = installation.cluster
    for folder in (OVERLAY, RESTORE):
        run_kubectl(cluster, "apply", "--server-side", "--force-conflicts", "-k", str(folder))
    async with programs(forge, installation, tmp_path) as engine:
        apply(installation, backup_engine(engine, installation))
        await wait_for(installation, "backupengine/in-cluster", "Ready")

        apply(installation, resource("BackupHost", "console", {"type": "Console"}))
        configuration = {"deploy": "Auto", "backupRetentionPeriod": "3d"}
        apply(installation, resource("BackupConfiguration", "in-cluster", configuration))
        await wait_for(installation, "backupconfiguration/in-cluster", "Ready")

        apply(installation, backup("first", deletionPolicy="Delete"))
        await wait_for(installation, "backup/first", "Complete")
        apply(installation, backup("first", deletionPolicy="Delete", description="told anew"))

        plan = {"backupRef": {"name": "first"}, "groups": ["DEPLOYMENT_CONFIG"], "mode": "Plan"}
        apply(installation, resource("Restore", "look", plan))
        await wait_for(installation, "restore/look", "Planned")
        run_kubectl(cluster, "-n", NAMESPACE, "delete", "restore", "look", "--timeout=60s")

        now = {"backup-operator.io/run-now": "once"}
        rarely = {
            "schedule": "0 0 29 2 *",
            "template": {"spec": {"backupType": "CONFIG"}},
            "retention": {"keepLast": 1},
        }
        apply(installation, resource("BackupSchedule", "rarely", rarely, now))
        await wait_for(installation, "backupschedule/rarely", "Ready")

        run_kubectl(cluster, "-n", NAMESPACE, "delete", "backup", "first", "--timeout=60s")

    kubectl = partial(run_kubectl, cluster)
    for account in (OPERATOR, ENGINE):
        granted = frozenset(granted_to(kubectl, account))
        ends_at = time.monotonic() + WRITTEN_WITHIN_S
        while True:
            audited = read_audit(installation.audit_log, account)
            assert sorted(audited.refused) == [], f"{account} asked for what it may not"
            expected = granted - SPARED[account].keys()
            unused = {right for right in expected if not is_used(right, audited.used)}
            if not unused or time.monotonic() > ends_at:
                break
            await asyncio.sleep(0.2)
        assert list(map(" ".join, sorted(unused))) == [], f"{account} never uses these rights"
        assert SPARED[account].keys() <= granted, "no longer granted, so nothing to spare"


class programs:  # noqa: N801 - a context manager
    """Engine and operator, each with the token of its ServiceAccount."""

    def __init__(self, forge: Forge, installation: Installation, folder: Path) -> None:
        options = (
            *("--tls-secret", f"{NAMESPACE}/backup-engine-tls"),
            *("--signing-secret", f"{NAMESPACE}/backup-engine-signing"),
        )
        self._engine = EngineProcess(
            folder / "engine", installation.kubeconfig_of("backup-engine"), options
        )
        self._operator = OperatorProcess(
            forge,
            installation.kubeconfig_of("backup-operator"),
            folder,
            ("--sweep-interval=1s", "--leader-elect", f"--leader-election-namespace={NAMESPACE}"),
        )

    async def __aenter__(self) -> EngineProcess:
        await asyncio.to_thread(self._engine.start)
        await self._operator.start()
        return self._engine

    async def __aexit__(self, *_: object) -> None:
        try:
            assert await self._operator.stop() == 0
            assert await asyncio.to_thread(self._engine.stop) == 0
        finally:
            self._operator.kill()
            self._engine.kill()


def backup_engine(engine: EngineProcess, installation: Installation) -> dict[str, Any]:
    assert "CERTIFICATE" in installation.secret("backup-engine-tls-ca", "ca.crt")
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupEngine",
        "metadata": {
            "name": "in-cluster",
            "annotations": {"backup-operator.io/is-default-engine": "true"},
        },
        "spec": {
            "url": engine.url,
            "auth": {"serviceAccount": {"audience": "backup-engine"}},
            "tls": {
                "caSecretRef": {
                    "namespace": NAMESPACE,
                    "name": "backup-engine-tls-ca",
                    "key": "ca.crt",
                }
            },
            "restoreNamespaces": {"names": [NAMESPACE]},
            "allowedNamespaces": {
                "selector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
            },
        },
    }


def backup(name: str, **spec: str) -> dict[str, Any]:
    return resource("Backup", name, {"backupType": "CONFIG", **spec})


def resource(
    kind: str, name: str, spec: dict[str, Any], annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "annotations": annotations or {}}
    if kind in {"Backup", "BackupSchedule", "Restore"}:
        metadata["namespace"] = NAMESPACE
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def apply(installation: Installation, body: dict[str, Any]) -> None:
    run_kubectl(
        installation.cluster, "apply", "--server-side", "--filename=-", stdin=json.dumps(body)
    )


async def wait_for(installation: Installation, what: str, condition: str) -> None:
    await asyncio.to_thread(
        run_kubectl,
        installation.cluster,
        *("-n", NAMESPACE, "wait", f"--for=condition={condition}", "--timeout=60s", what),
    )
