"""The demo's long-running programs: started, remembered in a file, found again and stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

READY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 10.0


class DemoError(Exception):
    """Trouble that its message explains; the demo ends with exit code 3."""


class Programs:
    """The programs of one demo; ``folder`` keeps their logs and who they are.

    A program is known by its process id and its start time together, for ids are used again.
    """

    def __init__(self, folder: Path) -> None:
        self._logs = folder / "logs"
        self._list = folder / "programs.json"

    def start(
        self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> str:
        """Start ``python -m module`` and return the line in which it says that it is ready."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            program = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C ends the demo, which then stops its programs
            )
        known = self._known()
        known[name] = {"pid": program.pid, "started": _start_time(program.pid)}
        self._list.write_text(json.dumps(known))
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith((f"{module}: serving on", f"{module}: ready")):
                    return line
            if program.poll() is not None:
                break
            time.sleep(0.05)
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise DemoError(f"{module} did not become ready; the end of {log}:\n{tail}")

    def stop_all(self) -> list[str]:
        """Stop every program that still runs, the last one first; returns their names."""
        stopped = []
        for name, identity in reversed(self._known().items()):
            pid = int(identity["pid"])
            if _start_time(pid) != identity["started"]:
                continue  # gone, or its id belongs to a stranger now
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOPPED_WITHIN_S
            while _start_time(pid) == identity["started"] and time.monotonic() < deadline:
                _reap(pid)
                time.sleep(0.05)
            if _start_time(pid) == identity["started"]:
                os.kill(pid, signal.SIGKILL)
                _reap(pid)
            stopped.append(name)
        self._list.unlink(missing_ok=True)
        return stopped

    def _known(self) -> dict[str, dict[str, str | int]]:
        if not self._list.exists():
            return {}
        known: dict[str, dict[str, str | int]] = json.loads(self._list.read_text())
        return known


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # started by an earlier demo, so not ours to wait for


def _start_time(pid: int) -> str:
    """Start time of a process, empty if there is none."""
    listing = subprocess.run(
        ["ps", "-o", "lstart=,stat=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    *started, state = listing.stdout.split() or [""]
    return "" if state.startswith("Z") else " ".join(started)
