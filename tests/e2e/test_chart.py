"""The README's line with Helm, on a real kubelet."""

import os
import re
import shlex
import subprocess

import pytest

from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.versions import HELM_BINARY
from e2e.installation import Installation
from e2e.kubectl import FINISH_S, NAMESPACE, ROOT, Kubectl
from e2e.resources import a_backup

REGISTRY = "your-registry/"

pytestmark = pytest.mark.cluster


def test_the_line_of_the_readme_installs_both_programs(
    kubectl: Kubectl, installation: Installation
) -> None:
    (line,) = re.findall(r"`helm (install [^`]+)`", (ROOT / "README.md").read_text())
    assert REGISTRY in line

    notes = run_helm(kubectl, *shlex.split(line.replace(REGISTRY, "")))

    (engine,) = re.findall(r"^  apiVersion: .+\n(?:  .+\n)+", notes, re.MULTILINE)
    kubectl("apply", "--filename=-", feed=engine)
    kubectl.roll_out()
    kubectl("wait", "--for=condition=Ready", "backupengine/in-cluster", f"--timeout={FINISH_S}s")
    kubectl.apply(a_backup("by-the-chart"))
    kubectl.wait("Complete", "backup/by-the-chart")
    installation.stop()
    run_helm(kubectl, "uninstall", "backup-operator", "-n", NAMESPACE)
    assert kubectl.get("pvc", "-n", NAMESPACE, "backup-engine")["metadata"]["name"]
    installation.uninstall("manifests/crds", "manifests/system")  # kept, with all archives


def run_helm(kubectl: Kubectl, *arguments: str) -> str:
    """Run helm from the root of the repository; returns what it says."""
    helm = ensure_binaries([HELM_BINARY], os.environ)[HELM_BINARY]
    access = f"--kubeconfig={kubectl.sandbox.kubeconfig}"
    done = subprocess.run(
        [str(helm), *arguments, access],
        capture_output=True,
        text=True,
        check=False,
        timeout=FINISH_S,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
