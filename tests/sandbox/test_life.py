"""Starting, stopping and killing real control planes."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import backup_sandbox
from backup_sandbox import Sandbox, SandboxError, running_sandbox
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.layout import Layout
from backup_sandbox.state import Process, State, wait_until_gone
from backup_sandbox.versions import ETCD_BINARY

pytestmark = pytest.mark.cluster

SOURCE = str(Path(backup_sandbox.__file__).parents[1])
ENVIRONMENT = {**os.environ, "PYTHONPATH": SOURCE}
COMMAND = [sys.executable, "-m", "backup_sandbox"]
GONE_WITHIN_S = 60.0

HOLD_A_SANDBOX = """
import sys, time
from pathlib import Path
from backup_sandbox import running_sandbox

with running_sandbox(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.test}
spec:
  group: example.test
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
"""


def backup_sandbox_command(
    *arguments: str, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=200,
    )


def up(root: Path, *options: str) -> dict[str, str]:
    """Start a sandbox; return what it printed, in order."""
    answer = backup_sandbox_command("up", "--dir", str(root), *options)
    assert answer.returncode == 0, answer.stderr
    return dict(line.split(": ", 1) for line in answer.stdout.splitlines())


def down(root: Path, *options: str) -> None:
    answer = backup_sandbox_command("down", "--dir", str(root), *options)
    assert answer.returncode == 0, answer.stderr


def up_with_etcd(script: str, root: Path, assets: Path) -> subprocess.CompletedProcess[str]:
    """Start a sandbox with a shell script in the place of etcd."""
    assets.mkdir()
    (assets / "etcd").write_text(f"#!/bin/sh\n{script}")
    (assets / "etcd").chmod(0o755)
    environment = {**ENVIRONMENT, "KUBEBUILDER_ASSETS": str(assets)}
    return backup_sandbox_command("up", "--dir", str(root), environment=environment)


def state_of(root: Path) -> State:
    state = State.find(Layout(root).state)
    assert state is not None
    return state


def processes_of(root: Path) -> list[Process]:
    """Return the processes of a running sandbox, each of them alive."""
    processes = state_of(root).processes
    assert len(processes) >= 3
    assert all(process.is_alive() for process in processes)
    return processes


def kubectl(access: dict[str, str], *arguments: str) -> str:
    answer = subprocess.run(
        [access["kubectl"], f"--kubeconfig={access['kubeconfig']}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def until(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition has not come true in time"
        time.sleep(0.1)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder whose sandbox is stopped at the end, whatever the test has left of it."""
    yield tmp_path / "sandbox"
    down(tmp_path / "sandbox", "--purge")


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox for tests that leave it as it is."""
    with running_sandbox(tmp_path_factory.mktemp("standing")) as sandbox:
        yield sandbox


def test_up_and_down_may_be_repeated_and_objects_survive(root: Path) -> None:
    access = up(root)
    assert list(access) == ["server", "kubectl", "kubeconfig"]
    assert access["kubeconfig"] == str(root / "kubeconfig")
    assert (root / "kubeconfig").stat().st_mode & 0o777 == 0o600
    first = processes_of(root)
    kubectl(access, "create", "configmap", "kept", "--from-literal=a=b")

    assert up(root) == access
    assert processes_of(root) == first

    down(root)
    assert wait_until_gone(first, timeout_s=0) == []
    down(root)

    assert up(root) == access
    assert kubectl(access, "get", "configmap", "kept", "--output=jsonpath={.data.a}") == "b"
    second = processes_of(root)
    down(root, "--purge")
    assert wait_until_gone(second, timeout_s=0) == []
    assert not root.exists()


def test_a_running_sandbox_is_not_changed_by_other_options(standing: Sandbox) -> None:
    root = standing.root
    controllers = backup_sandbox_command("up", "--dir", str(root), "--controllers")
    port = backup_sandbox_command("up", "--dir", str(root), "--port", "1")

    assert (controllers.returncode, controllers.stdout) == (3, "")
    assert "runs without controllers: stop it first" in controllers.stderr
    assert (port.returncode, port.stdout) == (3, "")
    assert "runs on port" in port.stderr
    with pytest.raises(SandboxError, match="has a running sandbox"), running_sandbox(root):
        pass
    assert {process.pid for process in processes_of(root)} == set(standing.pids.values())


def test_two_sandboxes_stand_side_by_side(root: Path, standing: Sandbox) -> None:
    access = up(root)
    other = {"kubectl": str(standing.kubectl), "kubeconfig": str(standing.kubeconfig)}
    kubectl(access, "create", "namespace", "mine")

    assert access["server"] != standing.server
    assert "namespace/default" in kubectl(other, "get", "namespaces", "--output=name")
    assert "namespace/mine" not in kubectl(other, "get", "namespaces", "--output=name")
    down(root)
    assert processes_of(standing.root)


def test_kill_9_of_the_parent_leaves_no_process(root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_SANDBOX, str(root)], stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        processes = processes_of(root)
        parent.kill()

        assert wait_until_gone(processes, GONE_WITHIN_S) == []


def test_kill_9_of_a_starting_command_leaves_no_process(root: Path) -> None:
    with subprocess.Popen([*COMMAND, "up", "--dir", str(root)], env=ENVIRONMENT) as command:
        until(lambda: Layout(root).state.exists() and len(state_of(root).children) > 1, 60)
        assert not state_of(root).is_ready
        processes = processes_of(root)
        command.kill()

        assert wait_until_gone(processes, GONE_WITHIN_S) == []


def test_kill_9_of_the_supervisor_leaves_no_process_and_up_starts_anew(root: Path) -> None:
    access = up(root)
    kubectl(access, "create", "configmap", "kept")
    before = processes_of(root)
    os.kill(state_of(root).supervisor.pid, signal.SIGKILL)
    assert wait_until_gone(before, GONE_WITHIN_S) == []

    assert up(root) == access
    assert kubectl(access, "get", "configmap", "kept", "--output=name") == "configmap/kept\n"


def test_a_dead_component_ends_the_others_and_is_told(root: Path) -> None:
    with (  # noqa: PT012 - the block is what fails
        pytest.raises(SandboxError, match="etcd ended by itself with exit code -9"),
        running_sandbox(root) as sandbox,
    ):
        processes = processes_of(root)
        os.kill(sandbox.pids["etcd"], signal.SIGKILL)
        assert wait_until_gone(processes, GONE_WITHIN_S) == []
    assert "etcd ended by itself" in Layout(root).log("supervisor").read_text()


def test_sigterm_ends_a_sandbox_in_the_foreground(root: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "up", "--dir", str(root), "--foreground"],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as command:
        assert command.stdout is not None
        assert any(line.startswith(b"kubeconfig: ") for line in iter(command.stdout.readline, b""))
        processes = processes_of(root)
        command.terminate()

        assert command.wait(GONE_WITHIN_S) == 0
        assert wait_until_gone(processes, timeout_s=0) == []


def test_a_component_that_does_not_start_is_quoted(root: Path, tmp_path: Path) -> None:
    answer = up_with_etcd("echo this etcd is broken >&2\nexit 5\n", root, tmp_path / "assets")

    assert answer.returncode == 3
    assert "etcd ended by itself with exit code 5" in answer.stderr
    assert "this etcd is broken" in answer.stderr
    assert answer.stdout == ""


def test_ports_that_another_program_takes_first_are_given_up(root: Path, tmp_path: Path) -> None:
    etcd = ensure_binaries([ETCD_BINARY], os.environ)[ETCD_BINARY]
    once = tmp_path / "once"
    script = f"""
        [ -e {once} ] && exec {etcd} "$@"
        touch {once}
        echo "listen tcp 127.0.0.1:1: bind: address already in use" >&2
        exit 1
    """

    answer = up_with_etcd(script, root, tmp_path / "assets")

    assert answer.returncode == 0, answer.stderr
    assert "attempt 1 of" in Layout(root).log("supervisor").read_text()
    assert processes_of(root)


def test_etcd_is_closed_to_those_without_its_certificate(standing: Sandbox) -> None:
    etcd = f"https://127.0.0.1:{state_of(standing.root).ports.etcd}/health"
    stranger = ssl.create_default_context(cafile=standing.ca_certificate)
    trusted = ssl.create_default_context(cafile=standing.ca_certificate)
    trusted.load_cert_chain(standing.client_certificate, standing.client_key)

    with pytest.raises((URLError, OSError)) as refusal:
        urlopen(etcd, context=stranger, timeout=60)
    with urlopen(etcd, context=trusted, timeout=60) as answer:
        assert json.load(answer)["health"] == "true"

    assert "certificate required" in str(refusal.value).lower() or "reset" in str(refusal.value)


def test_children_of_a_custom_resource_are_collected_at_once(root: Path, tmp_path: Path) -> None:
    (tmp_path / "widgets.yaml").write_text(WIDGETS)
    access = up(root, "--controllers", "--crds", str(tmp_path / "widgets.yaml"))
    widget = {"apiVersion": "example.test/v1", "kind": "Widget", "metadata": {"name": "owner"}}
    (tmp_path / "widget.json").write_text(json.dumps(widget))
    kubectl(access, "create", "--filename", str(tmp_path / "widget.json"))
    uid = kubectl(access, "get", "widget", "owner", "--output=jsonpath={.metadata.uid}")
    owner = {"apiVersion": "example.test/v1", "kind": "Widget", "name": "owner", "uid": uid}
    owned = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "owned", "ownerReferences": [owner]},
    }
    (tmp_path / "owned.json").write_text(json.dumps(owned))
    kubectl(access, "create", "--filename", str(tmp_path / "owned.json"))

    kubectl(access, "delete", "widget", "owner")

    # Controllers that had started before the CRD would notice it after 30 seconds only.
    kubectl(access, "wait", "--for=delete", "--timeout=25s", "configmap/owned")


def test_a_bad_crd_is_quoted_and_nothing_stays(root: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(WIDGETS.replace("Namespaced", "Everywhere"))

    answer = backup_sandbox_command("up", "--dir", str(root), "--crds", str(tmp_path / "bad.yaml"))

    assert answer.returncode == 3
    assert "Everywhere" in answer.stderr
    assert wait_until_gone(state_of(root).processes, timeout_s=0) == []
