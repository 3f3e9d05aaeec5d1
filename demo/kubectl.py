"""kubectl as the demo uses it: each command is shown before it runs."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from programs import DemoError

TIMEOUT_S = 120


def show(command: str) -> None:
    """Print a command the way a reader would type it."""
    sys.stdout.write(f"\n$ {command}\n")
    sys.stdout.flush()


class Kubectl:
    """Runs one kubectl against one cluster."""

    def __init__(self, binary: Path, kubeconfig: Path) -> None:
        self.binary = binary
        self.kubeconfig = kubeconfig

    def shown(self, *arguments: str) -> None:
        """Show a command, run it and let it print; raises DemoError if it fails."""
        show(shlex.join(["kubectl", *arguments]))
        done = subprocess.run([*self._base(), *arguments], check=False, timeout=TIMEOUT_S)
        if done.returncode:
            raise DemoError(f"kubectl {shlex.join(arguments)} failed; its message stands above")

    def quiet(self, *arguments: str, feed: str | None = None) -> str:
        """Run a command and return what it prints; raises DemoError with its words if it fails."""
        done = subprocess.run(
            [*self._base(), *arguments],
            input=feed,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            raise DemoError(f"kubectl {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *resources: object) -> None:
        """Apply resources as one list, without a word."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": resources}
        self.quiet("apply", "--server-side", "-f", "-", feed=json.dumps(bundle))

    def watch(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Show a command that follows changes and leave it running; the caller ends it."""
        show(shlex.join(["kubectl", *arguments]))
        return subprocess.Popen([*self._base(), *arguments])

    def _base(self) -> list[str]:
        return [str(self.binary), "--kubeconfig", str(self.kubeconfig)]
