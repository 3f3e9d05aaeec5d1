"""The addresses of a node: three small networks under one number, which no other sandbox has."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from backup_sandbox.errors import StartError

NUMBERS = 256
LINKS = (10, 221)
PODS = (10, 222)
SERVICES = (10, 223)
DNS_HOST = 10


@dataclass(frozen=True, slots=True)
class Addresses:
    """The networks of node ``number``: the link to the host, its pods, its Services."""

    number: int

    @property
    def link(self) -> IPv4Network:
        """Return the network of the veth pair."""
        return IPv4Network(f"{LINKS[0]}.{LINKS[1]}.{self.number}.0/30")

    @property
    def host(self) -> IPv4Address:
        """Return the host's address: the API server listens there, pods reach the host by it."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        """Return the node's own address."""
        return self.link[2]

    @property
    def pods(self) -> IPv4Network:
        """Return the network the pods' addresses are from."""
        return IPv4Network(f"{PODS[0]}.{PODS[1]}.{self.number}.0/24")

    @property
    def services(self) -> IPv4Network:
        """Return the network the ClusterIPs are from."""
        return IPv4Network(f"{SERVICES[0]}.{SERVICES[1]}.{self.number}.0/24")

    @property
    def api_service(self) -> IPv4Address:
        """Return the ClusterIP of Service kubernetes, which the API server takes for itself."""
        return self.services[1]

    @property
    def dns(self) -> IPv4Address:
        """Return the ClusterIP of Service kube-dns."""
        return self.services[DNS_HOST]

    @property
    def host_link(self) -> str:
        """Return the name of the veth's end on the host."""
        return f"sandbox{self.number}"

    @property
    def cgroup(self) -> str:
        """Return the name of the control group that all pods are in."""
        return f"backup-sandbox-{self.number}"

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """Return all three."""
        return self.link, self.pods, self.services


def choose_addresses(folder: str, routed: Iterable[IPv4Network]) -> Addresses:
    """Choose addresses for the sandbox in ``folder`` that overlap with nothing the host routes to.

    The first choice follows from the folder, so that two sandboxes that start at once seldom meet.
    Raises StartError if all are taken.
    """
    taken = list(routed)
    first = hashlib.sha256(folder.encode()).digest()[0]
    for step in range(NUMBERS):
        chosen = Addresses((first + step) % NUMBERS)
        if not any(mine.overlaps(other) for mine in chosen.networks for other in taken):
            return chosen
    raise StartError(
        "no addresses are left for a node: the host has routes to all of 10.221.0.0/16, "
        "10.222.0.0/16 or 10.223.0.0/16. Stop other sandboxes, or remove these routes"
    )
