"""The ports of a sandbox, and the choice of free ones."""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from backup_sandbox.errors import StartError

LOOPBACK = "127.0.0.1"
PORTS = range(22_000, 30_000)
"""Below those that a system gives to whoever connects or asks for any, and below NodePorts: nobody
else comes by one between its choice and its use, or while a sandbox is stopped for a moment."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The three ports of a sandbox, on 127.0.0.1; the API server's on ``address``."""

    apiserver: int
    etcd: int
    etcd_peer: int
    address: str = LOOPBACK

    @property
    def server(self) -> str:
        """Return the URL of the kube-apiserver."""
        return f"https://{self.address}:{self.apiserver}"


def choose_ports(wanted: int | None, before: Ports | None, address: str = LOOPBACK) -> Ports:
    """Return three ports that are free now: the wanted one, else those of before, else any.

    ``address`` is that of the API server, which is the host's own.

    Raises StartError if ``wanted`` is taken.
    """
    preferred = [
        (address, wanted or (before.apiserver if before else 0)),
        (LOOPBACK, before.etcd if before else 0),
        (LOOPBACK, before.etcd_peer if before else 0),
    ]
    with ExitStack() as held:  # all at once, or the same one could be chosen twice
        chosen = [held.enter_context(_listen(*place)).getsockname()[1] for place in preferred]
    if wanted and chosen[0] != wanted:
        raise StartError(f"port {wanted} on {address} is taken by another program: choose another")
    apiserver, etcd, etcd_peer = chosen
    return Ports(apiserver, etcd, etcd_peer, address)


def _listen(address: str, port: int) -> socket.socket:
    """Return a socket bound to ``port`` if that is free, else to any."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for candidate in _candidates(port):
        with suppress(OSError):
            listener.bind((address, candidate))
            break
    return listener


def _candidates(port: int) -> Iterator[int]:
    if port:
        yield port
    yield from random.sample(PORTS, len(PORTS))
    yield 0
