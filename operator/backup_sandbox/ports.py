"""The ports of a sandbox, and the choice of free ones."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from backup_sandbox.errors import StartError


@dataclass(frozen=True, slots=True)
class Ports:
    """The three ports of a sandbox, all on 127.0.0.1."""

    apiserver: int
    etcd: int
    etcd_peer: int

    @property
    def server(self) -> str:
        """Return the URL of the kube-apiserver."""
        return f"https://127.0.0.1:{self.apiserver}"


def choose_ports(wanted: int | None, before: Ports | None) -> Ports:
    """Return three ports that are free now: the wanted one, else those of before, else any.

    Raises StartError if ``wanted`` is taken.
    """
    preferred = [
        wanted or (before.apiserver if before else 0),
        before.etcd if before else 0,
        before.etcd_peer if before else 0,
    ]
    with ExitStack() as held:  # all at once, or the same one could be chosen twice
        chosen = [held.enter_context(_listen(port)).getsockname()[1] for port in preferred]
    if wanted and chosen[0] != wanted:
        raise StartError(f"port {wanted} on 127.0.0.1 is taken by another program: choose another")
    return Ports(*chosen)


def _listen(port: int) -> socket.socket:
    """Return a socket bound to ``port`` if that is free, else to any."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    return listener
