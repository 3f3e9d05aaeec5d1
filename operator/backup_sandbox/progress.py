"""Talk on stderr: one line per step, with the time it takes."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from backup_sandbox.errors import BinaryError

PLAIN_INTERVAL_S = 10.0  # a log keeps every line, so few of them
TERMINAL_INTERVAL_S = 1.0
POLL_S = 0.1
TAIL_LINES = 20


def say(line: str) -> None:
    """Write one line of talk to stderr."""
    sys.stderr.write(f"backup_sandbox: {line}\n")
    sys.stderr.flush()


class Step:
    """One step that may take minutes; ``tick`` it often, it speaks seldom."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._interval_s = TERMINAL_INTERVAL_S if self._is_terminal else PLAIN_INTERVAL_S
        self._next = self._begun + self._interval_s

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the step began."""
        return time.monotonic() - self._begun

    def tick(self) -> None:
        """Say how long it has taken so far, if the last time is long enough ago."""
        if time.monotonic() < self._next:
            return
        self._next += self._interval_s
        line = f"{self._label} … {self.elapsed_s:.0f} s"
        if self._is_terminal:
            sys.stderr.write(f"\rbackup_sandbox: {line}")
            sys.stderr.flush()
        else:
            say(line)

    def end(self, outcome: str) -> None:
        """Say how the step ended and how long it took."""
        if self._is_terminal:
            sys.stderr.write("\r\033[K")
        say(f"{self._label}: {outcome} in {self.elapsed_s:.1f} s")


@contextmanager
def step(label: str) -> Iterator[Step]:
    """Announce a step and, unless an error ends it, say how long it took."""
    running = Step(label)
    say(f"{label} …")
    try:
        yield running
    except BaseException:
        running.end("failed")
        raise
    running.end("done")


def run_step(
    label: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path
) -> None:
    """Run ``command`` as one step, its output appended to ``log``.

    Raises BinaryError with the end of that output if the command cannot start or fails.
    """
    with step(label) as running, log.open("ab") as output:
        begin = output.tell()
        try:
            child = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        except OSError as problem:
            raise BinaryError(f"{label}: {command[0]} does not start: {problem}") from problem
        with child:
            try:
                while child.poll() is None:
                    running.tick()
                    time.sleep(POLL_S)
            except BaseException:
                child.terminate()
                raise
        if child.returncode != 0:
            raise BinaryError(
                f"{label} failed with exit code {child.returncode}: {' '.join(command)}\n"
                f"{tail(log, begin)}\nThe whole output is in {log}"
            )


def tail(log: Path, begin: int = 0) -> str:
    """Return the last lines that ``log`` holds behind byte ``begin``, indented."""
    with log.open("rb") as output:
        output.seek(begin)
        lines = output.read().decode(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
