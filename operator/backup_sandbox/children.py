"""The processes of one supervisor: started, watched, waited for and ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backup_sandbox import tether
from backup_sandbox.errors import StartError
from backup_sandbox.layout import Layout
from backup_sandbox.progress import tail
from backup_sandbox.state import Process, wait_until_gone

RUN_TIMEOUT_S = 120.0
PORT_TAKEN = "address already in use"


class PortTakenError(StartError):
    """Another program took a port between our choosing it and the component's listening."""


class Children:
    """Each child has a log of its own and dies with this process.

    ``pause`` lets a little time pass, and raises what shall end the waiting; ``changed`` is told
    of each child, so that it can be found again whatever happens to this process.
    """

    def __init__(
        self, layout: Layout, pause: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        self._layout = layout
        self._pause = pause
        self._changed = changed
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._log_begins: dict[str, int] = {}

    def spawn(self, name: str, command: Sequence[str]) -> None:
        """Start a child that shall run until it is ended."""
        tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *command]
        with self._layout.log(name).open("ab") as log:
            self._log_begins[name] = log.tell()
            self._children[name] = subprocess.Popen(
                tied,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._layout.root,
                process_group=0,
            )
        self._changed()

    def run(self, name: str, command: Sequence[str], timeout_s: float = RUN_TIMEOUT_S) -> None:
        """Run a command to its end, its words in the log ``name``; raises StartError with them."""
        log = self._layout.log(name)
        with log.open("ab") as output:
            begin = output.tell()
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            self.wait_until(
                lambda: child.poll() is not None,
                timeout_s,
                lambda: f"no end of {' '.join(command)} after {timeout_s:.0f} s",
            )
        finally:
            child.kill()
            child.wait()
        if child.returncode != 0:
            raise StartError(f"{' '.join(command)} failed:\n{tail(log, begin)}")

    def wait_until(
        self, condition: Callable[[], bool], timeout_s: float, complaint: Callable[[], str]
    ) -> None:
        """Wait for ``condition``; raises StartError with the ``complaint`` if it takes too long."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise StartError(complaint())
            self._pause()

    def require_running(self) -> None:
        """Raise StartError, or PortTakenError, if a child has ended by itself."""
        for name, child in self._children.items():
            if (code := child.poll()) is not None:
                end = self.tail(name)
                kind = PortTakenError if PORT_TAKEN in end else StartError
                raise kind(f"{name} ended by itself with exit code {code}:\n{end}")

    def end(self, stages: Sequence[tuple[Callable[[str], bool], float]]) -> None:
        """End all children, stage by stage: those whose name is in it, and their time to end in."""
        children = self.identified
        for is_in, grace_s in stages:
            processes = [process for name, process in children.items() if is_in(name)]
            for process in processes:
                process.send(signal.SIGTERM)
            for process in wait_until_gone(processes, grace_s):
                process.send(signal.SIGKILL)
        for child in self._children.values():
            child.wait()
        self._children = {}
        self._changed()

    @property
    def identified(self) -> dict[str, Process]:
        """Return all children by name."""
        return {name: Process.identify(child.pid) for name, child in self._children.items()}

    def pid(self, name: str) -> int:
        """Return the number of a child."""
        return self._children[name].pid

    def tail(self, name: str) -> str:
        """Return the last lines a child has written."""
        return tail(self._layout.log(name), self._log_begins[name])
