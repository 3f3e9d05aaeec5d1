"""What a machine must have to carry a node, and the message that names what is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backup_sandbox.errors import NodeUnavailableError

# Debian's package of each command; others call them alike.
PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
}
CNI_PACKAGE = "containernetworking-plugins"
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("ptp", "host-local", "portmap", "loopback")
CGROUPS = Path("/sys/fs/cgroup")
NAMESPACES = ("unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "true")
TRIAL_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found of a machine; ``refusal`` is what it said to new namespaces, empty if fine."""

    platform: str
    is_root: bool
    commands: frozenset[str]
    cni_folder: Path | None
    refusal: str = ""


def list_obstacles(machine: Machine) -> list[str]:
    """List in plain words what keeps a node from running on ``machine``; empty if nothing does."""
    if machine.platform != "linux":
        return [f"a node runs on Linux only, and this is {machine.platform}"]
    obstacles = []
    if not machine.is_root:
        obstacles.append("a node needs root, for its namespaces and control groups")
    if missing := [name for name in PACKAGES if name not in machine.commands]:
        obstacles.append(f"these commands are missing: {', '.join(missing)}")
    if machine.cni_folder is None:
        places = " or ".join(map(str, CNI_FOLDERS))
        obstacles.append(f"the CNI plugins {', '.join(CNI_PLUGINS)} are not in {places}")
    if packages := list_packages(machine):
        obstacles.append(f"on Debian and Ubuntu: apt-get install {' '.join(packages)}")
    if machine.refusal:
        obstacles.append(f"this machine lets no one make namespaces: {machine.refusal}")
    return obstacles


def list_packages(machine: Machine) -> list[str]:
    """List the Debian packages that ``machine`` lacks."""
    packages = {PACKAGES[name] for name in PACKAGES if name not in machine.commands}
    return sorted(packages | ({CNI_PACKAGE} if machine.cni_folder is None else set()))


def require_node_machine() -> Path:
    """Return the folder of CNI plugins; raises NodeUnavailableError if this machine has no node."""
    machine = find_machine()
    if obstacles := list_obstacles(machine):
        raise NodeUnavailableError("--node is not possible here: " + "; ".join(obstacles))
    assert machine.cni_folder is not None
    return machine.cni_folder


def find_machine() -> Machine:
    """Look at this machine; new namespaces are tried only where they could succeed."""
    is_root = sys.platform == "linux" and os.geteuid() == 0
    commands = frozenset(name for name in PACKAGES if shutil.which(name))
    return Machine(
        platform=sys.platform,
        is_root=is_root,
        commands=commands,
        cni_folder=_find_cni(CNI_FOLDERS),
        refusal=_try_namespaces() if is_root and "unshare" in commands else "",
    )


def _find_cni(folders: Iterable[Path]) -> Path | None:
    has_all = (f for f in folders if all((f / plugin).is_file() for plugin in CNI_PLUGINS))
    return next(has_all, None)


def _try_namespaces() -> str:
    if not os.access(CGROUPS, os.W_OK):
        return f"{CGROUPS} is read-only"
    answer = subprocess.run(
        NAMESPACES, capture_output=True, text=True, check=False, timeout=TRIAL_TIMEOUT_S
    )
    return answer.stderr.strip() if answer.returncode else ""
