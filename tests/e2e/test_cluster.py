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
from fixtures.rights import ENGINE, OPERATOR, read_audit, rules_of
from fixtures.s3_server import S3Server, find_weed, running_server

ROOT = Path(__file__).parents[2]
OVERLAY = "manifests/overlays/cluster"
VOLUMES_OVERLAY = "manifests/overlays/volumes"
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
    images = [Path(os.environ[name]) for name in ("BACKUP_E2E_IMAGE", "BACKUP_E2E_APPLICATION")]
    with running_sandbox(root, node=True, audit=True, images=images) as sandbox:
        state = State.find(root / "state.json")
        assert state is not None
        yield Kubectl(sandbox)
    addresses = addresses_of(state)
    assert not Path("/sys/class/net", addresses.host_link).exists()
    assert list(Path("/sys/fs/cgroup").glob(f"**/{addresses.cgroup}")) == []
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
    assert [process for process in state.processes if process.is_alive()] == []


@pytest.fixture(scope="module")
def bucket(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that pods reach, with the bucket that the overlay names."""
    weed = find_weed()
    state = State.find(kubectl.sandbox.root / "state.json")
    assert weed is not None
    assert state is not None
    folder = tmp_path_factory.mktemp("s3")
    with running_server(weed, folder, str(addresses_of(state).host)) as server:
        server.make_bucket("backups")
        yield server


def addresses_of(state: State) -> Addresses:
    assert state.node_number is not None
    return Addresses(state.node_number)


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


def a_database(claim: str) -> dict[str, object]:
    """PostgreSQL with its files in ``claim``, and the name of that."""
    labels = {"app": claim}
    probe = {"exec": {"command": ["psql", "-U", "postgres", "-c", "SELECT 1"]}, "periodSeconds": 1}
    container = {
        "name": "database",
        "image": "localhost/database:1",
        "readinessProbe": probe,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": claim, "namespace": "orders"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "volumes": [volume]},
            },
        },
    }


def start_database(kubectl: Kubectl, claim: str) -> Callable[[str], str]:
    """Start PostgreSQL on a claim; returns how to ask it."""
    kubectl.apply(a_database(claim))
    kubectl("rollout", "status", "-n", "orders", f"deploy/{claim}", f"--timeout={ROLLOUT_S}s")

    def ask(sql: str) -> str:
        psql = ("psql", "--username=postgres", "--tuples-only", "--no-align", "--command", sql)
        return kubectl("exec", "-n", "orders", f"deploy/{claim}", "--", *psql).stdout

    return ask


def wait(kubectl: Kubectl, condition: str, resource: str, within_s: int = FINISH_S) -> None:
    kubectl("wait", f"--for=condition={condition}", resource, "-n", "ops", f"--timeout={within_s}s")


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


def test_the_logs_are_those_of_the_program(kubectl: Kubectl) -> None:
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


@pytest.mark.timeout(900)
def test_the_rows_of_a_database_come_back_from_a_backup_of_its_volume(
    kubectl: Kubectl, bucket: S3Server
) -> None:
    literals = (f"--from-literal={name}={value}" for name, value in bucket.environment.items())
    kubectl("create", "secret", "generic", "-n", NAMESPACE, "backup-engine-bucket", *literals)
    kubectl("apply", "--server-side", "-k", VOLUMES_OVERLAY)
    kubectl("create", "namespace", "orders")
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "orders"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )
    ask = start_database(kubectl, "data")
    ask("CREATE TABLE orders AS SELECT n, md5(n::text) AS note FROM generate_series(1, 20000) n")
    ask("CHECKPOINT")
    every_row = "SELECT count(*), md5(string_agg(n || note, ',' ORDER BY n)) FROM orders"
    before = ask(every_row)
    roll_out(kubectl)
    kubectl.apply(
        cluster_wide(
            "BackupHost",
            "orders",
            {"type": "Data", "volumes": [{"namespace": "orders", "claimNames": ["data"]}]},
        ),
        cluster_wide(
            "BackupConfiguration",
            "in-cluster",
            {"dataBackupPriority": "HIGH", "dataBackupHostConfiguration": [{"hostname": "orders"}]},
        ),
    )
    settled = ("wait", "--for=condition=Ready", f"--timeout={ROLLOUT_S}s")
    kubectl(*settled, "backuphost/orders", "backupconfiguration/in-cluster")
    kubectl.apply(a_backup("rows", backupType="DATA", hostname="orders"))
    wait(kubectl, "Complete", "backup/rows", ROLLOUT_S)

    ask("DROP TABLE orders")
    backup_id = kubectl.get("backup", "-n", "ops", "rows")["status"]["id"]
    assert restore_volume(kubectl, backup_id, "restored") == "SUCCESS"

    assert before.startswith("20000|")
    assert start_database(kubectl, "restored")(every_row) == before
    left = kubectl("get", "jobs,secrets", "-n", "orders", "-o=name").stdout
    assert left == "", "movers left something behind"
    kubectl("delete", "namespace", "orders", "--timeout=60s")


def cluster_wide(kind: str, name: str, spec: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def restore_volume(kubectl: Kubectl, backup_id: int, target: str) -> str:
    """Restore claim ``data`` to a new one by the engine's own call; returns how it ended."""
    token = kubectl(
        *("create", "token", "backup-operator", "-n", NAMESPACE, "--audience=backup-engine")
    ).stdout.strip()
    volume = {"namespace": "orders", "claim": "data", "target_claim": target, "create_claim": True}
    body = {"backup_id": backup_id, "volumes": [volume]}
    call = (
        "import json, ssl, urllib.request as u\n"
        "def call(path, body=None):\n"
        f"    headers = {{'Authorization': 'Bearer {token}', 'Content-Type': 'application/json'}}\n"
        f"    url = 'https://backup-engine.{NAMESPACE}.svc:8443/api/backup_engine/' + path\n"
        "    context = ssl._create_unverified_context()\n"
        "    request = u.Request(url, body and json.dumps(body).encode(), headers)\n"
        "    print(json.dumps(json.load(u.urlopen(request, context=context))))\n"
    )
    said = kubectl.in_engine(f"{call}call('volume_restores', {body!r})").stdout
    number, restore = json.loads(said)["id"], {}

    def is_over() -> bool:
        restore.update(
            json.loads(kubectl.in_engine(f"{call}call('volume_restores/{number}')").stdout)
        )
        return restore["status"] in {"SUCCESS", "FAILED"}

    until(is_over, ROLLOUT_S, "the restore of the volume ends")
    return str(restore["status"])


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


def test_the_pods_are_refused_nothing_and_movers_need_all_that_they_are_granted(
    kubectl: Kubectl,
) -> None:
    log = kubectl.sandbox.logs / "audit.log"

    asked = {account: read_audit(log, account) for account in (OPERATOR, ENGINE)}

    assert {account: sorted(seen.refused) for account, seen in asked.items()} == {
        OPERATOR: [],
        ENGINE: [],
    }
    movers = {"kind": "ClusterRole", "name": "backup-engine-movers"}
    assert set(rules_of(kubectl, movers)) <= asked[ENGINE].used


def test_what_is_uninstalled_leaves_nothing(kubectl: Kubectl) -> None:
    kubectl("delete", OURS, "--all", "--all-namespaces", "--timeout=60s")
    kubectl("delete", "-k", "manifests/restore", "--timeout=60s")
    kubectl("delete", "-k", VOLUMES_OVERLAY, "--timeout=120s")

    kinds = "crds,clusterroles,clusterrolebindings,priorityclasses,namespaces"
    left = kubectl("get", kinds, "-o=name").stdout.split()
    assert [name for name in left if "/backup-" in name and "backup-sandbox" not in name] == []
    assert [name for name in left if "backup-operator" in name] == []
    until(
        lambda: kubectl.get("pv")["items"] == [],
        FINISH_S,
        "the engine's volume goes with its claim",
    )
