"""The README, the image and backups of API objects on a real kubelet, from nothing."""

import json
from pathlib import Path

import pytest
import yaml

from e2e.installation import Installation, commands_of, list_archives, list_left, readme_block
from e2e.kubectl import FINISH_S, NAMESPACE, Kubectl, until
from e2e.resources import Resource, a_backup, ours

pytestmark = pytest.mark.cluster


def test_the_commands_of_the_readme_install_both_programs(
    kubectl: Kubectl, installation: Installation
) -> None:
    commands = list(commands_of(readme_block("## In your cluster", "console"), "kubectl"))
    assert list_left(installation.kubectl) == []

    assert len(commands) == 2
    for command in commands:
        kubectl(*command)

    kubectl.roll_out()
    kubectl("wait", "--for=condition=Ready", "backupengine/in-cluster", f"--timeout={FINISH_S}s")
    claim = kubectl.get("pvc", "-n", NAMESPACE, "backup-engine")
    assert claim["status"]["phase"] == "Bound"


def test_the_first_backup_of_the_readme_succeeds(kubectl: Kubectl, tmp_path: Path) -> None:
    text = readme_block("# backup-operator", "yaml")
    (tmp_path / "backup.yaml").write_text(text)
    assert yaml.safe_load(text)["metadata"]["namespace"] == "ops"

    said = [
        kubectl(*command, folder=tmp_path).stdout
        for command in commands_of(readme_block("# backup-operator", "console"), "kubectl")
    ]

    assert "Succeeded" in said[-1]
    status = kubectl.get("backup", "-n", "ops", "pre-upgrade")["status"]
    assert status["isValid"] is True
    assert Path(status["contentFilePath"]).name in list_archives(kubectl)


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


def test_no_start_compiles_what_it_imports(kubectl: Kubectl) -> None:
    program = (
        "import pathlib, sysconfig\n"
        "roots = {sysconfig.get_path('stdlib'), '/opt/backup/lib'}\n"
        "files = [each for root in roots for each in pathlib.Path(root).rglob('*.pyc')]\n"
        "flags = lambda each: each.open('rb').read(8)[4:]\n"
        "print(len(files), sum(flags(each) != bytes([1, 0, 0, 0]) for each in files))"
    )

    compiled, stale = map(int, kubectl.in_engine(program).stdout.split())

    assert compiled > 1000
    assert stale == 0, "these go by the time of their source, which the build sets anew"


def test_the_logs_are_those_of_the_program(kubectl: Kubectl) -> None:
    said = kubectl("logs", "-n", NAMESPACE, "deploy/backup-engine").stdout

    assert "backup_engine: serving on https://0.0.0.0:8443" in said


def test_a_namespace_that_was_lost_comes_back_with_the_rights_it_grants(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-k", "manifests/restore")
    kubectl("create", "namespace", "shop")
    kubectl("create", "configmap", "-n", "shop", "prices", "--from-literal=apple=3")
    # of more than the engine may itself: it needs `escalate` and `bind` to bring these back
    kubectl("create", "role", "-n", "shop", "owner", "--verb=*", "--resource=pods")
    kubectl(
        *("create", "rolebinding", "-n", "shop", "owner", "--role=owner"),
        "--serviceaccount=shop:default",
    )
    ops = {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}
    allowed = {"restoreNamespaces": {"names": ["ops"]}, "allowedNamespaces": {"selector": ops}}
    change = json.dumps({"spec": allowed})
    kubectl("patch", "backupengine", "in-cluster", "--type=merge", f"--patch={change}")
    kubectl.apply(a_backup("shop"))
    kubectl.wait("Complete", "backup/shop")
    kubectl("delete", "namespace", "shop", "--timeout=60s")

    kubectl.apply(restore_of_the_shop("shop", existing="Keep"))

    kubectl.wait("Complete", "restore/shop")
    assert kubectl.get("configmap", "-n", "shop", "prices")["data"] == {"apple": "3"}
    assert kubectl.get("rolebinding", "-n", "shop", "owner")["roleRef"]["name"] == "owner"


def test_what_was_changed_is_as_it_was_in_the_backup(kubectl: Kubectl) -> None:
    dearer = '{"data": {"apple": "4"}}'
    kubectl("patch", "configmap", "prices", "-n", "shop", "--type=merge", f"--patch={dearer}")

    kubectl.apply(restore_of_the_shop("prices", existing="Update"))

    kubectl.wait("Complete", "restore/prices")
    assert kubectl.get("configmap", "-n", "shop", "prices")["data"] == {"apple": "3"}


def restore_of_the_shop(name: str, existing: str) -> Resource:
    spec: Resource = {
        "backupRef": {"name": "shop"},
        "groups": ["DEPLOYMENT_CONFIG", "USERS_CONFIG"],
        "include": [{"namespace": "shop"}],
        "existing": existing,
        "mode": "Apply",
        "autoApprove": True,
    }
    return ours("Restore", name, spec, "ops")


def test_a_schedule_makes_backups_and_expires_them(kubectl: Kubectl) -> None:
    spec: dict[str, object] = {
        "schedule": "0 0 29 2 *",
        "template": {"spec": {"backupType": "CONFIG"}},
        "retention": {"keepLast": 1},
    }
    kubectl.apply(ours("BackupSchedule", "rarely", spec, "ops"))
    now = ("annotate", "bks", "rarely", "-n", "ops", "--overwrite")
    of_it = ("backups", "-n", "ops", "-l", "backup-operator.io/schedule=rarely")

    made: set[str] = set()
    for attempt in ("first", "second"):
        kubectl(*now, f"backup-operator.io/run-now={attempt}")
        until(lambda: len(names_of(kubectl, of_it) - made) == 1, FINISH_S, "a run at once")
        (new,) = names_of(kubectl, of_it) - made
        kubectl.wait("Complete", f"backup/{new}")
        made.add(new)

    until(lambda: names_of(kubectl, of_it) == {new}, FINISH_S, "the first one expires")


def names_of(kubectl: Kubectl, listed: tuple[str, ...]) -> set[str]:
    return {each["metadata"]["name"] for each in kubectl.get(*listed)["items"]}
