"""The namespaces of a node: what starts them, what joins them to the host, who is in them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from backup_sandbox.errors import StartError
from backup_sandbox.node import reaper
from backup_sandbox.node.addresses import Addresses

# Paths that are fixed in containerd and the kubelet, and would be shared with others on this host.
PRIVATE = (
    Path("/run/containerd"),
    Path("/run/netns"),
    Path("/var/lib/cni"),
    Path("/var/log/containers"),
)
NODE_LINK = "eth0"
PROC = Path("/proc")
COMMAND_TIMEOUT_S = 10


def start_arguments() -> list[str]:
    """Build the command that makes the namespaces and leaves their first process in them."""
    namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    return ["unshare", *namespaces, sys.executable, "-I", "-S", str(Path(reaper.__file__))]


def enter(init: int, command: Sequence[str]) -> list[str]:
    """Build the command that runs ``command`` in the namespaces of process ``init``."""
    return ["nsenter", f"--target={init}", "--mount", "--pid", "--net", "--", *command]


def mount_commands() -> Iterator[list[str]]:
    """Build the commands, to be run inside, that part the node's mounts from the host's."""
    # Shared again inside, else pods with mount propagation are refused by the runtime.
    yield ["mount", "--make-rshared", "/"]
    for path in PRIVATE:
        yield ["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(path)]


def host_link_commands(addresses: Addresses, init: int) -> Iterator[list[str]]:
    """Build the commands for the host: its end of the veth pair, and routes to what is behind."""
    link = addresses.host_link
    yield ["ip", "link", "add", link, "type", "veth", "peer", "name", NODE_LINK, "netns", str(init)]
    yield ["ip", "address", "add", f"{addresses.host}/{addresses.link.prefixlen}", "dev", link]
    yield ["ip", "link", "set", link, "up"]


def node_link_commands(addresses: Addresses) -> Iterator[list[str]]:
    """Build the commands to be run inside: the node's end, and the way out."""
    yield ["ip", "link", "set", "lo", "up"]
    address = f"{addresses.node}/{addresses.link.prefixlen}"
    yield ["ip", "address", "add", address, "dev", NODE_LINK]
    yield ["ip", "link", "set", NODE_LINK, "up"]
    yield ["ip", "route", "add", "default", "via", str(addresses.host)]


def route_commands(addresses: Addresses) -> Iterator[list[str]]:
    """Build the commands that let the host reach pods and Services."""
    for network in (addresses.pods, addresses.services):
        yield ["ip", "route", "add", str(network), "via", str(addresses.node)]


def find_init(parent: int) -> int | None:
    """Return the host's number of the first process in the namespaces that ``parent`` has made.

    None until it is there: ``unshare`` forks it last, and it becomes the reaper after its mounts.
    """
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            is_child = int(fields[1]) == parent
            if is_child and reaper.__file__.encode() in (path.parent / "cmdline").read_bytes():
                return int(path.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return None


def parse_routes(answer: str) -> list[IPv4Network]:
    """Return the networks in the answer of ``ip -json route``; the default route is none."""
    routes: Sequence[Mapping[str, str]] = json.loads(answer or "[]")
    names = [route["dst"] for route in routes if "dst" in route and route["dst"] != "default"]
    return [IPv4Network(name, strict=False) for name in names]


def find_routes() -> list[IPv4Network]:
    """Return the networks this host has routes to; raises StartError if it does not tell."""
    command = ["ip", "-json", "-4", "route", "show", "table", "main"]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT_S
    )
    if answer.returncode != 0:
        raise StartError(f"{' '.join(command)} failed: {answer.stderr.strip()}")
    return parse_routes(answer.stdout)


def remove_host_link(addresses: Addresses) -> None:
    """Remove the host's end of the veth pair if it is there; its routes go with it."""
    subprocess.run(
        ["ip", "link", "delete", addresses.host_link],
        capture_output=True,
        check=False,  # gone already with its namespace: that is what was wanted
        timeout=COMMAND_TIMEOUT_S,
    )
