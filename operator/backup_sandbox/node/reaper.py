"""The first process of a node: it holds the namespaces and reaps what is left to it.

Run as a script of its own, so it must import nothing but the standard library.
"""

import os
import signal


def reap_forever() -> None:
    """Collect every child that ends; the kernel ends all of them with this process."""
    # Blocked first, or a child that ends before the wait would not be noticed.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass  # none at all, for now
        signal.sigwait({signal.SIGCHLD})


if __name__ == "__main__":
    reap_forever()
