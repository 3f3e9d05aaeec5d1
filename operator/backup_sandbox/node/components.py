"""The command line of each component of a node. Pure: paths and addresses in, arguments out."""

from pathlib import Path

from backup_sandbox.node.addresses import Addresses
from backup_sandbox.node.configuration import NODE_NAME
from backup_sandbox.node.places import Places

CONTAINERD = "containerd"


def containerd_arguments(places: Places) -> list[str]:
    """Build containerd's command line."""
    return [CONTAINERD, f"--config={places.containerd}", "--log-level=warn"]


def kubelet_arguments(
    binary: Path, places: Places, addresses: Addresses, configuration: Path, kubeconfig: Path
) -> list[str]:
    """Build the kubelet's command line."""
    return [
        str(binary),
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={addresses.node}",
        f"--root-dir={places.kubelet}",
        f"--cert-dir={places.configuration}",
    ]


def proxy_arguments(binary: Path, configuration: Path) -> list[str]:
    """Build kube-proxy's command line."""
    return [str(binary), f"--config={configuration}"]


def dns_arguments(binary: Path, configuration: Path) -> list[str]:
    """Build CoreDNS's command line."""
    return [str(binary), f"-conf={configuration}"]


def scheduler_arguments(binary: Path, kubeconfig: Path) -> list[str]:
    """Build the scheduler's command line; it serves no port of its own."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--profiling=false",
    ]
