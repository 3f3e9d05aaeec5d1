"""kubectl as a user of the cluster calls it, and what a failure of it looks like."""

import json
import logging
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backup_sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NAMESPACE = "backup-system"
ROLLOUT_S = 200
FINISH_S = 150

logger = logging.getLogger(__name__)


class Kubectl:
    """Calls from the root of the repository; each is logged with its time."""

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
        began = time.monotonic()
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
        logger.info("%.1f s: kubectl %.120s", time.monotonic() - began, shlex.join(arguments))
        if check and done.returncode != 0:
            pytest.fail(f"kubectl {shlex.join(arguments)}: {done.stderr}{self._looks()}")
        return done

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o=json").stdout)
        return found

    def apply(self, *resources: object) -> None:
        documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": resources})
        self("apply", "--server-side", "--filename=-", feed=documents)

    def in_engine(self, program: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self(
            *("exec", "-n", NAMESPACE, "deploy/backup-engine", "--", "python3", "-c", program),
            check=check,
        )

    def roll_out(self, *names: str) -> None:
        for name in names or ("backup-engine", "backup-operator"):
            self("rollout", "status", "-n", NAMESPACE, f"deploy/{name}", f"--timeout={ROLLOUT_S}s")

    def wait(
        self, condition: str, resource: str, within_s: int = FINISH_S, namespace: str = "ops"
    ) -> None:
        limit = f"--timeout={within_s}s"
        self("wait", f"--for=condition={condition}", resource, "-n", namespace, limit)

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
                ("get", "pods,pvc,jobs", "-A", "-o", "wide"),
                ("get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp"),
                ("get", "backups,restores,backupengines", "-A", "-o", "wide"),
                ("logs", "-n", NAMESPACE, "deploy/backup-engine", "--tail=20"),
                ("logs", "-n", NAMESPACE, "deploy/backup-operator", "--tail=20"),
            )
        ]
        return "\n".join(["", *seen])


def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.3)
