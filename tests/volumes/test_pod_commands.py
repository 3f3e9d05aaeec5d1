"""Commands in pods through a real API server, which proxies to a node; nothing of kubectl's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from backup_engine.cluster import ClusterConnection
from backup_engine.host_definition import HookDefinition
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.hooks import HookPod
from backup_engine.volumes.job_calls import JobCalls
from backup_engine.volumes.pod_commands import PodCommands
from fixtures.cluster import Cluster, Kubectl
from fixtures.exec_node import ExecNode

pytestmark = pytest.mark.cluster

LONG_S = 120
MANIFESTS = Path(__file__).parents[2] / "manifests"


@pytest.fixture
async def commands(sandbox: Cluster) -> AsyncIterator[PodCommands]:
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        yield PodCommands(cluster, JobCalls(cluster))


async def test_a_command_ends_with_its_exit_code_and_the_end_of_what_it_complained(
    commands: PodCommands, exec_node: ExecNode, namespace: str
) -> None:
    await exec_node.add_pod(namespace, "db-0")
    pod = HookPod(namespace, "db-0", "second")
    noisy = "head -c 100000 /dev/zero; head -c 9000 /dev/zero >&2; echo password=x7 end >&2; exit 3"

    good = await commands.run(pod, ["echo", "a b", "c"], LONG_S)
    bad = await commands.run(pod, ["sh", "-c", noisy], LONG_S)
    absent = await commands.run(pod, ["/no/such/program"], LONG_S)
    slow = await commands.run(pod, ["sh", "-c", "echo began >&2; sleep 100"], 2)

    assert (good.exit_code, good.stderr, good.message) == (0, "", None)
    assert exec_node.commands[0] == ("db-0", ["echo", "a b", "c"])
    assert bad.exit_code == 3
    assert bad.stderr.endswith("password=*** end")
    assert len(bad.stderr) <= 500
    assert absent.exit_code is None
    assert "exec failed" in str(absent.message)
    assert (slow.exit_code, slow.message) == (None, "not finished within 2 s")


async def test_hooks_need_the_rights_of_their_manifest_and_no_more(
    exec_node: ExecNode, namespace: str, sandbox: Cluster, kubectl: Kubectl, tmp_path: Path
) -> None:
    await exec_node.add_pod(namespace, "db-0")
    pod = HookPod(namespace, "db-0", "first")
    access = kubeconfig_of(sandbox, kubectl, namespace, tmp_path)
    grant(kubectl, namespace, "engine", "backup-engine-read")
    async with ClusterConnection.from_kubeconfig(access) as cluster:
        commands = PodCommands(cluster, JobCalls(cluster))
        with pytest.raises(VolumeError, match="manifests/hooks") as trouble:
            await commands.run(pod, ["true"], LONG_S)
        grant(kubectl, namespace, "hooks", "backup-engine-hooks")
        async with asyncio.timeout(LONG_S):  # until the API server has taken notice
            while True:
                with suppress(VolumeError):
                    end = await commands.run(pod, ["true"], LONG_S)
                    break
                await asyncio.sleep(0.1)
    assert trouble.value.reason == "Forbidden"
    assert end.is_good


def grant(kubectl: Kubectl, namespace: str, manifest: str, role: str) -> None:
    """Bind a role of our manifests in one namespace, as docs/data.md says that it may be."""
    documents = yaml.safe_load_all((MANIFESTS / manifest / "rbac.yaml").read_text())
    (rules,) = (
        each["rules"] for each in documents if "rules" in each and each["metadata"]["name"] == role
    )
    made = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": role, "namespace": namespace},
        "rules": rules,
    }
    kubectl("create", "-f", "-", input=json.dumps(made))
    account = f"--serviceaccount={namespace}:default"
    kubectl("-n", namespace, "create", "rolebinding", role, f"--role={role}", account)


def kubeconfig_of(sandbox: Cluster, kubectl: Kubectl, namespace: str, folder: Path) -> Path:
    """Write a kubeconfig of the namespace's own account."""
    document = yaml.safe_load(sandbox.kubeconfig.read_text())
    token = kubectl("-n", namespace, "create", "token", "default").stdout.strip()
    for user in document["users"]:
        user["user"] = {"token": token}
    path = folder / "account"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_only_pods_that_run_and_have_the_labels_are_chosen(
    commands: PodCommands, exec_node: ExecNode, namespace: str
) -> None:
    default = {"kubectl.kubernetes.io/default-container": "second"}
    await exec_node.add_pod(namespace, "db-1", labels={"app": "db"}, annotations=default)
    await exec_node.add_pod(namespace, "db-0", labels={"app": "db"})
    await exec_node.add_pod(namespace, "web-0", labels={"app": "web"})
    hook = HookDefinition(namespace, ("true",), {"matchLabels": {"app": "db"}})

    chosen = await commands.list_pods(hook)

    assert [(each.name, each.container) for each in chosen] == [
        ("db-0", "first"),
        ("db-1", "second"),
    ]
    with pytest.raises(VolumeError, match="no running pod") as none:
        await commands.list_pods(HookDefinition(namespace, ("true",), {"matchLabels": {"a": "b"}}))
    assert none.value.reason == "NoPod"
    with pytest.raises(VolumeError, match="no such container") as unknown:
        await commands.run(HookPod(namespace, "db-0", "third"), ["true"], LONG_S)
    assert unknown.value.reason == "NoContainer"
    with pytest.raises(VolumeError, match="gone"):
        await commands.run(HookPod(namespace, "db-7", "first"), ["true"], LONG_S)
