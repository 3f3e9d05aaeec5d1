"""Run a command that dies with its parent: ``tether.py PARENT_PID COMMAND [ARGUMENT]…``.

Started as a script of its own between fork and exec, because code that runs in the child of a
Python fork may deadlock. It must therefore import nothing but the standard library.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
POLL_S = 0.1


def run_tied(parent: int, command: Sequence[str]) -> int:
    """Become ``command``, to be killed by the kernel when ``parent`` dies (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == parent:  # else it died too early for the signal
        os.execvp(command[0], list(command))  # noqa: S606 - a fixed argument list, no shell
    return 1


def run_watched(parent: int, command: Sequence[str]) -> int:
    """Run ``command`` as a child and kill it once ``parent`` is gone; return its exit code."""
    child = os.posix_spawnp(command[0], list(command), os.environ)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if os.getppid() != parent:
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL_S)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code counts only if the command could not take over."""
    run = {"linux": run_tied}.get(sys.platform, run_watched)
    return run(int(arguments[0]), arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
