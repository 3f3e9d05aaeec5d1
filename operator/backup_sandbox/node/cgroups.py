"""The control group that all pods of a node are in.

Without one of its own, a kubelet would share /kubepods with every other cluster on this host, and
clean away the pods it does not know.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from backup_sandbox.errors import StartError

ROOT = Path("/sys/fs/cgroup")
UNIFIED = "cgroup.controllers"  # in the root of version 2 only
HIERARCHY = "cgroup.procs"  # in the root of each hierarchy of version 1, and of a hybrid's 2
INHERITED = (
    "cpuset.cpus",
    "cpuset.mems",
)  # empty in a new group of version 1: no process may enter
WANTED = ("cpu", "cpuset", "memory", "pids")
REMOVAL_TIMEOUT_S = 5.0
POLL_S = 0.05


def ensure_cgroup(name: str, root: Path = ROOT) -> None:
    """Make control group ``name`` in every hierarchy; raises StartError if the host refuses."""
    try:
        if (root / UNIFIED).exists():
            _delegate(root)
            (root / name).mkdir(exist_ok=True)
            _delegate(root / name)
            return
        for folder in _folders(name, root):
            folder.mkdir(exist_ok=True)
            for setting in INHERITED:
                if (folder / setting).exists():
                    (folder / setting).write_text((folder.parent / setting).read_text())
    except OSError as problem:
        raise StartError(f"the control group {name} cannot be made: {problem}") from problem


def remove_cgroup(name: str, root: Path = ROOT) -> None:
    """Remove control group ``name`` with all below; raises StartError if processes stay in it."""
    deadline = time.monotonic() + REMOVAL_TIMEOUT_S
    for folder in [*_folders(name, root), root / name]:
        while folder.exists() and (left := _remove_tree(folder)) is not None:
            if time.monotonic() > deadline:  # ended processes leave their group a little later
                raise StartError(f"the control group {folder} cannot be removed: {left}")
            time.sleep(POLL_S)


def _folders(name: str, root: Path) -> Iterator[Path]:
    for parent in sorted(root.iterdir()):
        if not parent.is_symlink() and (parent / HIERARCHY).exists():  # cpu may be a link
            yield parent / name


def _delegate(folder: Path) -> None:
    offered = (folder / UNIFIED).read_text().split()
    for controller in WANTED:
        if controller in offered:
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_tree(folder: Path) -> OSError | None:
    try:
        for child in sorted(folder.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
            if child.is_dir():
                child.rmdir()
        folder.rmdir()
    except FileNotFoundError:
        return None
    except OSError as problem:
        return problem
    return None
