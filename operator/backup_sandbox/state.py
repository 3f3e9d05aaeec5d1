"""What a sandbox folder remembers of its processes, and how a process is told from a namesake."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from backup_sandbox.cache import write_atomically
from backup_sandbox.errors import SandboxError
from backup_sandbox.ports import Ports

POLL_S = 0.02
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
START_TIME_FIELD = 19  # field 22 of /proc/PID/stat, counted behind the name in parentheses


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is told from a later one of the same number by its start time."""

    pid: int
    started: str

    @classmethod
    def identify(cls, pid: int) -> Self:
        """Return the running process ``pid``; its start time is empty if it has ended."""
        return cls(pid, find_start_time(pid) or "")

    def is_alive(self) -> bool:
        """Tell whether this very process still runs; a zombie does not."""
        return self.started != "" and find_start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its group, if it is alive."""
        if not self.is_alive():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # it ended meanwhile, which is what most signals are for


@dataclass(frozen=True, slots=True)
class State:
    """What runs in a sandbox folder; kept after the end, so that a restart gets its port back."""

    supervisor: Process
    ports: Ports
    has_controllers: bool
    has_audit: bool
    kubectl: str
    is_ready: bool = False
    children: dict[str, Process] = field(default_factory=dict)
    node_number: int | None = None  # of the node's addresses; None if there is no node
    node_init: Process | None = None  # whose end is the end of all that runs on the node

    @property
    def processes(self) -> list[Process]:
        """Return every process, the supervisor first."""
        init = [] if self.node_init is None else [self.node_init]
        return [self.supervisor, *init, *self.children.values()]

    def is_running(self) -> bool:
        """Tell whether the sandbox came up and nothing of it has died since."""
        return self.is_ready and all(process.is_alive() for process in self.processes)

    def store(self, path: Path) -> None:
        """Write the state to ``path`` in one step."""
        write_atomically(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """Return the state stored at ``path``, None if there is none; raises SandboxError."""
        try:
            stored = json.loads(path.read_text())
            return cls(
                supervisor=Process(**stored["supervisor"]),
                ports=Ports(**stored["ports"]),
                has_controllers=stored["has_controllers"],
                has_audit=stored.get("has_audit", False),
                kubectl=stored["kubectl"],
                is_ready=stored["is_ready"],
                children={name: Process(**child) for name, child in stored["children"].items()},
                node_number=stored.get("node_number"),
                node_init=Process(**init) if (init := stored.get("node_init")) else None,
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise SandboxError(f"the state of the sandbox cannot be read: {problem}") from problem
        except (ValueError, KeyError, TypeError) as problem:
            raise SandboxError(
                f"{path} is not the state of a sandbox of this version ({problem!r}). End its "
                "processes by hand, if there are any, and remove the file"
            ) from problem


def find_start_time(pid: int) -> str | None:
    """Return a text that no other process with this number has; None if ``pid`` has ended."""
    if sys.platform != "linux":
        return _find_start_time_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return f"{BOOT_ID.read_text().strip()}:{fields[START_TIME_FIELD]}"


def _find_start_time_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    status, _, started = answer.stdout.strip().partition(" ")
    return None if status == "" or status.startswith("Z") else started.strip()


def wait_until_gone(processes: Iterable[Process], timeout_s: float) -> list[Process]:
    """Wait for processes to end; return those that are still alive after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    alive = [process for process in processes if process.is_alive()]
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_S)
        alive = [process for process in alive if process.is_alive()]
    return alive
