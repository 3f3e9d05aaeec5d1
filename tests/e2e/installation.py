"""What is installed, by whose words, and what the pods asked for meanwhile."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.kubectl import FINISH_S, NAMESPACE, ROOT, Kubectl, until
from fixtures.rights import ENGINE, OPERATOR, Use, read_audit

OURS = "backups,backupschedules,restores,backupengines,backupconfigurations,backuphosts"
VOLUMES_OVERLAY = "manifests/overlays/volumes"
KINDS = "crds,clusterroles,clusterrolebindings,priorityclasses,namespaces"
SANDBOXS_OWN = "backup-sandbox"


@dataclass
class Installation:
    """The manifests on the one node; what is uninstalled has been looked at in the audit log.

    While the rights themselves are being deleted, pods that are still there are refused; so the
    log is read up to then, and read on from when nothing is left.
    """

    kubectl: Kubectl
    _read_to: int = 0
    _used: dict[str, set[Use]] = field(default_factory=lambda: {ENGINE: set(), OPERATOR: set()})

    def used(self) -> dict[str, set[Use]]:
        """Return what each account has asked for so far; it was refused nothing."""
        log = self.kubectl.sandbox.logs / "audit.log"
        for account in self._used:
            seen = read_audit(log, account, self._read_to)
            assert sorted(seen.refused) == [], f"{account} asked for what it may not"
            self._used[account] |= seen.used
        return self._used

    def stop(self) -> None:
        """Delete our resources and then the programs; none of these was refused anything."""
        self.used()
        self.kubectl("delete", OURS, "--all", "--all-namespaces", "--timeout=60s")
        # else the namespace's controller, which finds pods in it, naps for half their grace period
        self.kubectl("delete", "deployments", "--all", "-n", NAMESPACE, "--cascade=foreground")

    def uninstall(self, *folders: str) -> None:
        """Delete our resources and the manifests, and see that nothing is left."""
        self.stop()
        for folder in folders:
            self.kubectl("delete", "-k", folder, "--timeout=120s", "--ignore-not-found")
        self._read_to = (self.kubectl.sandbox.logs / "audit.log").stat().st_size
        assert list_left(self.kubectl) == []
        until(
            lambda: self.kubectl.get("pv")["items"] == [],
            FINISH_S,
            "the engine's volume goes with its claim",
        )


def list_left(kubectl: Kubectl) -> Sequence[str]:
    """List what of ours the cluster has, whatever its namespace."""
    found = kubectl("get", KINDS, "-o=name").stdout.split()
    return [
        name
        for name in found
        if SANDBOXS_OWN not in name and ("/backup-" in name or "backup-operator" in name)
    ]


def readme_block(heading: str, language: str, page: str = "README.md") -> str:
    """Return the first block of ``language`` behind ``heading`` in the README, or another page."""
    text = (ROOT / page).read_text()
    _, found, rest = text.partition(heading)
    assert found, f"{page} has no {heading!r}"
    block = re.search(rf"```{language}\n(.*?)```", rest, re.DOTALL)
    assert block is not None
    return block[1]


def commands_of(block: str, program: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of a program in a block of the README."""
    for line in block.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words and words[0] == program:
            yield words[1:]


def list_archives(kubectl: Kubectl) -> set[str]:
    """List the archives on the engine's volume, as its pod sees them."""
    program = (
        "import pathlib; [print(p.name) for p in "
        "pathlib.Path('/var/lib/backup-engine').rglob('*.tar')]"
    )
    return {Path(name).name for name in kubectl.in_engine(program).stdout.split()}
