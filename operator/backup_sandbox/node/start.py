"""Starting a node beside a control plane, and clearing away what a node leaves behind."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backup_sandbox import certificates, probe
from backup_sandbox.children import Children
from backup_sandbox.errors import StartError
from backup_sandbox.layout import Layout
from backup_sandbox.node import components, configuration, images, namespaces, volumes
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.node.cgroups import ensure_cgroup, remove_cgroup
from backup_sandbox.node.places import Places
from backup_sandbox.node.volumes import Order
from backup_sandbox.state import Process, wait_until_gone
from backup_sandbox.versions import COREDNS_BINARY, KUBELET, PAUSE_BINARY, PROXY, SCHEDULER

INIT = "node"  # the process whose end is the end of the node
PROVISIONER = "provisioner"
INIT_TIMEOUT_S = 10.0
RUNTIME_TIMEOUT_S = 30.0
IMPORT_TIMEOUT_S = 180.0
READY_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0  # the kernel ends all processes of the namespaces with their first
LONGEST_SOCKET = 107  # bytes of a path, less the zero that ends it
NODE_READY = f"/api/v1/nodes/{configuration.NODE_NAME}"
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What the supervisor is told of the node."""

    number: int  # of its addresses
    cni: str  # the folder of plugins
    images: list[str]  # archives to import

    @property
    def addresses(self) -> Addresses:
        """Return the addresses that the number stands for."""
        return Addresses(self.number)


class Node:
    """One node: first its namespaces, then what runs in them, then what the cluster knows of it."""

    def __init__(
        self, plan: NodePlan, layout: Layout, binaries: Mapping[str, str], children: Children
    ) -> None:
        self._plan = plan
        self._layout = layout
        self._places = Places(layout.node)
        self._binaries = binaries
        self._children = children
        self._init: int | None = None

    @property
    def init(self) -> Process | None:
        """Return the first process in the namespaces; None before it runs."""
        return None if self._init is None else Process.identify(self._init)

    def wait_for_end(self) -> None:
        """Wait for the last process in the namespaces; raises StartError if one survives."""
        if self._init is not None and wait_until_gone(
            [Process.identify(self._init)], END_TIMEOUT_S
        ):
            raise StartError(f"process {self._init}, the node's first, survives SIGKILL")

    def start_namespaces(self) -> None:
        """Make namespaces, link and control group: the API server listens on that link."""
        addresses = self._plan.addresses
        clear_away(self._layout, self._plan.number)
        require_short(self._places)
        for folder in self._places.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path in namespaces.PRIVATE:
            path.mkdir(parents=True, exist_ok=True)
        ensure_cgroup(addresses.cgroup)
        self._children.spawn(INIT, namespaces.start_arguments())
        init = self._wait_for_init()
        self._run_inside(init, namespaces.mount_commands())
        for command in namespaces.host_link_commands(addresses, init):
            self._children.run(INIT, command)
        self._run_inside(init, namespaces.node_link_commands(addresses))
        for command in namespaces.route_commands(addresses):
            self._children.run(INIT, command)

    def start_runtime(self) -> None:
        """Start containerd and import the images while the API server is starting."""
        places, addresses = self._places, self._plan.addresses
        snapshotter = "native" if is_on_overlay(places.runtime) else "overlayfs"
        text = configuration.build_containerd(places, Path(self._plan.cni), snapshotter)
        places.containerd.write_text(text)
        (places.cni / "sandbox.conflist").write_text(configuration.build_cni(places, addresses))
        places.resolver.write_text(f"nameserver {addresses.dns}\n")
        self._spawn_inside(components.CONTAINERD, components.containerd_arguments(places))
        pause = Path(self._binaries[PAUSE_BINARY])
        images.write_image(places.pause_image, configuration.PAUSE_IMAGE, pause)
        socket = Path(f"/proc/{self._require_init()}/root") / str(configuration.RUNTIME_SOCKET)[1:]
        self._children.wait_until(
            socket.is_socket,
            RUNTIME_TIMEOUT_S,
            lambda: f"containerd does not answer\n{self._children.tail(components.CONTAINERD)}",
        )
        for archive in (places.pause_image, *map(Path, self._plan.images)):
            command = namespaces.enter(self._require_init(), images.import_arguments(archive))
            self._children.run("ctr", command, IMPORT_TIMEOUT_S)

    def describe(self) -> Path:
        """Write the objects that tell the cluster of its node; return the file."""
        text = configuration.build_resources(
            self._plan.addresses, volumes.PROVISIONER, volumes.USER, volumes.STORAGE_CLASS
        )
        self._places.resources.write_text(text)
        return self._places.resources

    def start_components(self, write_kubeconfig: Callable[[Path, str], None]) -> None:
        """Start what makes pods run; each retries until the others are there."""
        places, addresses = self._places, self._plan.addresses
        layout = self._layout

        def kubeconfig(user: str) -> Path:
            path = places.configuration / f"{user}.kubeconfig"
            write_kubeconfig(path, user)
            return path

        def file(name: str, text: str) -> Path:
            path = places.configuration / name
            path.write_text(text)
            return path

        authority = layout.certificate(certificates.AUTHORITY)
        serving = certificates.KUBELET_SERVER
        kubelet = configuration.build_kubelet(
            places, addresses, authority, layout.certificate(serving), layout.key(serving)
        )
        self._spawn_inside(
            KUBELET,
            components.kubelet_arguments(
                Path(self._binaries[KUBELET]),
                places,
                addresses,
                file("kubelet.json", kubelet),
                kubeconfig(certificates.KUBELET),
            ),
        )
        proxy = configuration.build_proxy(addresses, kubeconfig(certificates.PROXY))
        binary = Path(self._binaries[PROXY])
        command = components.proxy_arguments(binary, file("kube-proxy.json", proxy))
        self._spawn_inside(PROXY, command)
        dns = configuration.build_dns(addresses, kubeconfig(certificates.DNS))
        binary = Path(self._binaries[COREDNS_BINARY])
        self._spawn_inside(COREDNS_BINARY, components.dns_arguments(binary, file("Corefile", dns)))
        binary = Path(self._binaries[SCHEDULER])
        arguments = components.scheduler_arguments(binary, kubeconfig(certificates.SCHEDULER))
        self._children.spawn(SCHEDULER, arguments)

    def start_provisioner(self, server: str) -> None:
        """Start what makes volumes, once it has been given its rights."""
        layout, user = self._layout, certificates.PROVISIONER
        order = Order(
            server=server,
            authority=str(layout.certificate(certificates.AUTHORITY)),
            certificate=str(layout.certificate(user)),
            key=str(layout.key(user)),
            folder=str(self._places.volumes),
        )
        program = [sys.executable, "-m", "backup_sandbox.node.provisioner", order.to_json()]
        self._children.spawn(PROVISIONER, program)

    def wait_until_ready(self, address: str, port: int) -> None:
        """Wait for the node to call itself Ready; raises StartError if it does not."""
        context = probe.admin_context(self._layout)

        def is_ready() -> bool:
            found = probe.find(address, port, context, NODE_READY)
            conditions = json.loads(found)["status"].get("conditions", []) if found else []
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        self._children.wait_until(
            is_ready,
            READY_TIMEOUT_S,
            lambda: (
                f"the node was not ready after {READY_TIMEOUT_S:.0f} s\n"
                f"{self._children.tail(KUBELET)}"
            ),
        )

    def _wait_for_init(self) -> int:
        parent = self._children.pid(INIT)

        def has_begun() -> bool:
            self._init = namespaces.find_init(parent)
            return self._init is not None

        self._children.wait_until(
            has_begun,
            INIT_TIMEOUT_S,
            lambda: f"the namespaces did not come up\n{self._children.tail(INIT)}",
        )
        return self._require_init()

    def _require_init(self) -> int:
        if self._init is None:
            raise StartError("the node has no namespaces yet")
        return self._init

    def _run_inside(self, init: int, commands: Iterator[list[str]]) -> None:
        for command in commands:
            self._children.run(INIT, namespaces.enter(init, command))

    def _spawn_inside(self, name: str, command: list[str]) -> None:
        self._children.spawn(name, namespaces.enter(self._require_init(), command))


def clear_away(layout: Layout, number: int) -> None:
    """Remove what a node that has ended leaves behind; images and volumes stay.

    Raises StartError if its control group still has processes.
    """
    addresses = Addresses(number)
    namespaces.remove_host_link(addresses)
    remove_cgroup(addresses.cgroup)
    for folder in Places(layout.node).passing:
        if folder.exists():
            shutil.rmtree(folder)


def require_short(places: Places) -> None:
    """Raise StartError if the sandbox's folder makes the kubelet's sockets impossible."""
    socket = places.kubelet / "pod-resources" / "kubelet.sock"
    if (length := len(os.fsencode(socket))) > LONGEST_SOCKET:
        raise StartError(
            f"{socket} would have {length} bytes, and a socket may have {LONGEST_SOCKET}: "
            "choose a folder with a shorter path"
        )


def is_on_overlay(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Tell whether ``folder`` lies on an overlay, on which no other overlay can be put."""
    best, kind = "", ""
    for line in mounts.read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4]
        is_below = folder == Path(point) or Path(point) in folder.parents
        if is_below and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind == "overlay"
