"""The image, the manifests and the README on a real kubelet, from install to uninstall.

One story, told in the order of the tests: each goes on where the one before it stopped.
"""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from backup_sandbox import Sandbox, running_sandbox
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.state import State

ROOT = Path(__file__).parents[2]
OVERLAY = "manifests/overlays/cluster"
NAMESPACE = "backup-system"
OURS = "backups,backupschedules,restores,backupengines,backupconfigurations,backuphosts"
ROLLOUT_S = 150
FINISH_S = 60

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


class Kubectl:
    """kubectl as a user of the cluster calls it, from the root of the repository."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        path = f"{sandbox.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(sandbox.kubeconfig)}

    def __call__(
        self,
        *arguments: str,
        feed: str | None = None,
        check: bool = True,
        folder: Path = ROOT,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["kubectl", *arguments],
            input=feed,
            capture_output=True,
            text=True,
            check=False,
            timeout=ROLLOUT_S + 30,
            cwd=folder,
            env=self._environment,
        )
        if check and done.returncode != 0:
            pytest.fail(f"kubectl {shlex.join(arguments)}: {done.stderr}{self._looks()}")
        return done

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o=json").stdout)
        return found

    def apply(self, *resources: object) -> None:
        for resource in resources:
            self("apply", "--server-side", "--filename=-", feed=json.dumps(resource))

    def in_engine(self, program: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self(
            *("exec", "-n", NAMESPACE, "deploy/backup-engine", "--", "python3", "-c", program),
            check=check,
        )

    def _looks(self) -> str:
        """Tell what the cluster looks like, for whoever reads a failure."""
        seen = [
            subprocess.run(
                ["kubectl", *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
                env=self._environment,
            ).stdout
            for arguments in (
                ("get", "pods,pvc", "-A", "-o", "wide"),
                ("get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp"),
                ("get", "backups,restores,backupengines", "-A", "-o", "wide"),
                ("logs", "-n", NAMESPACE, "deploy/backup-engine", "--tail=20"),
                ("logs", "-n", NAMESPACE, "deploy/backup-operator", "--tail=20"),
            )
        ]
        return "\n".join(["", *seen])


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A cluster with one node that has nothing but our image; nothing of it may stay."""
    root = tmp_path_factory.mktemp("e2e") / "sandbox"
    image = Path(os.environ["BACKUP_E2E_IMAGE"])
    with running_sandbox(root, node=True, images=[image]) as sandbox:
        state = State.find(root / "state.json")
        assert state is not None
        assert state.node_number is not None
        yield Kubectl(sandbox)
    addresses = Addresses(state.node_number)
    assert not Path("/sys/class/net", addresses.host_link).exists()
    assert list(Path("/sys/fs/cgroup").glob(f"**/{addresses.cgroup}")) == []
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
    assert [process for process in state.processes if process.is_alive()] == []


def readme_block(heading: str, language: str) -> str:
    """Return the first block of ``language`` behind ``heading`` in the README."""
    text = (ROOT / "README.md").read_text()
    _, found, rest = text.partition(heading)
    assert found, f"the README has no {heading!r}"
    block = re.search(rf"```{language}\n(.*?)```", rest, re.DOTALL)
    assert block is not None
    return block[1]


def commands_of(block: str, program: str) -> Iterator[list[str]]:
    for line in block.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words and words[0] == program:
            yield words[1:]


def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.3)


def roll_out(kubectl: Kubectl) -> None:
    for name in ("backup-engine", "backup-operator"):
        kubectl("rollout", "status", "-n", NAMESPACE, f"deploy/{name}", f"--timeout={ROLLOUT_S}s")


def archives(kubectl: Kubectl) -> set[str]:
    program = (
        "import pathlib; [print(p.name) for p in "
        "pathlib.Path('/var/lib/backup-engine').rglob('*.tar')]"
    )
    return set(kubectl.in_engine(program).stdout.split())


def a_backup(name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "Backup",
        "metadata": {"name": name, "namespace": "ops"},
        "spec": {"backupType": "CONFIG", **spec},
    }


def wait(kubectl: Kubectl, condition: str, resource: str) -> None:
    kubectl("wait", f"--for=condition={condition}", resource, "-n", "ops", f"--timeout={FINISH_S}s")


def test_the_commands_of_the_readme_install_both_programs(kubectl: Kubectl) -> None:
    commands = list(commands_of(readme_block("## In your cluster", "console"), "kubectl"))

    assert len(commands) == 2
    for command in commands:
        kubectl(*command)

    roll_out(kubectl)
    kubectl("wait", "--for=condition=Ready", "backupengine/in-cluster", f"--timeout={FINISH_S}s")
    claim = kubectl.get("pvc", "-n", NAMESPACE, "backup-engine")
    assert claim["status"]["phase"] == "Bound"


def test_the_first_backup_of_the_readme_succeeds(kubectl: Kubectl, tmp_path: Path) -> None:
    text = readme_block("# backup-operator", "yaml")
    (tmp_path / "backup.yaml").write_text(text)
    kubectl("create", "namespace", yaml.safe_load(text)["metadata"]["namespace"])

    said = [
        kubectl(*command, folder=tmp_path).stdout
        for command in commands_of(readme_block("# backup-operator", "console"), "kubectl")
    ]

    assert "Succeeded" in said[-1]
    status = kubectl.get("backup", "-n", "ops", "pre-upgrade")["status"]
    assert status["isValid"] is True
    assert Path(status["contentFilePath"]).name in archives(kubectl)


def test_the_image_has_no_shell_runs_as_nobody_and_writes_nowhere(kubectl: Kubectl) -> None:
    shell = kubectl(
        "exec", "-n", NAMESPACE, "deploy/backup-engine", "--", "sh", "-c", "true", check=False
    )
    user = kubectl.in_engine("import os; print(os.getuid())").stdout.strip()
    written = kubectl.in_engine("open('/opt/backup/x', 'w')", check=False)

    assert "executable file not found" in shell.stderr
    assert user == "65532"
    assert "Read-only file system" in written.stderr
    kubectl("exec", "-n", NAMESPACE, "deploy/backup-engine", "--", "kopia", "--version")
    kubectl.in_engine("import runpy; runpy.run_path('/opt/backup/healthcheck.py')")


def test_logs_and_forwarded_ports_are_those_of_the_programs(kubectl: Kubectl) -> None:
    said = kubectl("logs", "-n", NAMESPACE, "deploy/backup-engine").stdout

    assert "backup_engine: serving on https://0.0.0.0:8443" in said


def test_a_namespace_that_was_lost_comes_back(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-k", "manifests/restore")
    kubectl("create", "namespace", "shop")
    kubectl("create", "configmap", "-n", "shop", "prices", "--from-literal=apple=3")
    engine = {"spec": {"restoreNamespaces": {"names": ["ops"]}}}
    kubectl("patch", "backupengine", "in-cluster", "--type=merge", f"--patch={json.dumps(engine)}")
    kubectl.apply(a_backup("shop"))
    wait(kubectl, "Complete", "backup/shop")
    kubectl("delete", "namespace", "shop", "--timeout=60s")

    kubectl.apply(
        {
            "apiVersion": "backup-operator.io/v1",
            "kind": "Restore",
            "metadata": {"name": "shop", "namespace": "ops"},
            "spec": {
                "backupRef": {"name": "shop"},
                "groups": ["DEPLOYMENT_CONFIG"],
                "include": [{"namespace": "shop"}],
                "mode": "Apply",
                "autoApprove": True,
            },
        }
    )

    wait(kubectl, "Complete", "restore/shop")
    assert kubectl.get("configmap", "-n", "shop", "prices")["data"] == {"apple": "3"}


def test_killed_pods_cost_no_backup_and_make_none_double(kubectl: Kubectl) -> None:
    before = archives(kubectl)
    names = [f"killed-{number}" for number in range(5)]
    kubectl.apply(*(a_backup(name) for name in names))

    kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force")

    roll_out(kubectl)
    for name in names:
        wait(kubectl, "Complete", f"backup/{name}")
    assert len(archives(kubectl) - before) == len(names)


def test_everything_comes_back_when_the_node_is_drained(kubectl: Kubectl) -> None:
    # not by eviction: with one node the budget would hold the last operator for ever
    kubectl("drain", "sandbox", "--delete-emptydir-data", "--disable-eviction", "--timeout=90s")
    kubectl("uncordon", "sandbox")

    roll_out(kubectl)
    kubectl.apply(a_backup("after-the-drain"))
    wait(kubectl, "Complete", "backup/after-the-drain")


def test_what_is_uninstalled_leaves_nothing(kubectl: Kubectl) -> None:
    kubectl("delete", OURS, "--all", "--all-namespaces", "--timeout=60s")
    kubectl("delete", "-k", "manifests/restore", "--timeout=60s")
    kubectl("delete", "-k", OVERLAY, "--timeout=120s")

    kinds = "crds,clusterroles,clusterrolebindings,priorityclasses,namespaces"
    left = kubectl("get", kinds, "-o=name").stdout.split()
    assert [name for name in left if "/backup-" in name and "backup-sandbox" not in name] == []
    assert [name for name in left if "backup-operator" in name] == []
    until(
        lambda: kubectl.get("pv")["items"] == [],
        FINISH_S,
        "the engine's volume goes with its claim",
    )
