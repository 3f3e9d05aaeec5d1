"""The operator was uninstalled before its objects: they can still be let go."""

import asyncio
import json
import subprocess
import sys

import pytest

from backup_operator.resources.group import FINALIZER
from fixtures.cluster import Cluster, Kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.process]

OTHER = "example.org/keep"


def a_backup(namespace: str, name: str, finalizers: list[str]) -> str:
    return json.dumps(
        {
            "apiVersion": "backup-operator.io/v1",
            "kind": "Backup",
            "metadata": {"name": name, "namespace": namespace, "finalizers": finalizers},
            "spec": {"backupType": "CONFIG", "deletionPolicy": "Delete"},
        }
    )


def release(sandbox: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backup_operator", "release"]
    return subprocess.run(
        [*command, f"--kubeconfig={sandbox.kubeconfig}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def finalizers(kubectl: Kubectl, namespace: str, name: str) -> list[str]:
    answer = kubectl("get", "backup", name, f"--namespace={namespace}", "--output=json")
    found: list[str] = json.loads(answer.stdout)["metadata"].get("finalizers", [])
    return found


async def test_a_namespace_of_a_removed_operator_goes_once_it_is_released(
    sandbox: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "--filename=-", input=a_backup(namespace, "kept", [FINALIZER]))
    kubectl("apply", "--filename=-", input=a_backup(namespace, "shared", [FINALIZER, OTHER]))
    kubectl("delete", "namespace", namespace, "--wait=false")

    rehearsed = await asyncio.to_thread(release, sandbox, f"--namespace={namespace}", "--dry-run")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert f"Backup {namespace}/kept (rehearsal)" in rehearsed.stdout
    assert finalizers(kubectl, namespace, "kept") == [FINALIZER]

    released = await asyncio.to_thread(release, sandbox, f"--namespace={namespace}")
    assert released.returncode == 0, released.stderr
    assert "2 objects" in released.stderr
    assert finalizers(kubectl, namespace, "shared") == [OTHER]  # that of others stays
    kubectl(
        *("patch", "backup", "shared", f"--namespace={namespace}", "--type=merge"),
        '--patch={"metadata":{"finalizers":null}}',
    )
    gone = kubectl("wait", "--for=delete", "--timeout=60s", f"namespace/{namespace}", check=False)
    assert gone.returncode == 0, gone.stderr


def test_the_one_liner_of_the_documentation_does_the_same(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "--filename=-", input=a_backup(namespace, "kept", [FINALIZER]))
    kubectl("delete", "backup", "kept", f"--namespace={namespace}", "--wait=false")
    kubectl(
        *("patch", "backup", "kept", f"--namespace={namespace}", "--type=merge"),
        '--patch={"metadata":{"finalizers":null}}',
    )
    gone = kubectl(
        *("wait", "--for=delete", "--timeout=60s", f"--namespace={namespace}", "backup/kept"),
        check=False,
    )
    assert gone.returncode == 0, gone.stderr
