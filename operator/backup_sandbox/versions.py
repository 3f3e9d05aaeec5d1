"""What the sandbox is made of: the one place that names versions."""

import platform
import sys
from dataclasses import dataclass

KUBERNETES = "1.36.3"
ETCD = "3.6.8"
KOPIA = "0.23.1"
COREDNS = "1.14.7"
HELM = "4.2.4"
PAUSE = "1"
GO = (1, 26)  # what Kubernetes 1.36 demands of the toolchain

APISERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"
KUBECTL = "kubectl"
ETCD_BINARY = "etcd"
KOPIA_BINARY = "kopia"
HELM_BINARY = "helm"
SCHEDULER = "kube-scheduler"
KUBELET = "kubelet"
PROXY = "kube-proxy"
COREDNS_BINARY = "coredns"
PAUSE_BINARY = "pause"

# The largest first: whatever is built after it reuses its compiled packages.
BINARIES = (APISERVER, ETCD_BINARY, KUBECTL, CONTROLLERS)

TOOLS = (KOPIA_BINARY,)
"""What no sandbox runs, but the engine beside it does: `build` makes them, too."""

NODE_BINARIES = (KUBELET, SCHEDULER, PROXY, COREDNS_BINARY, PAUSE_BINARY)
"""What a sandbox with a node runs beside the others; built only when a node is asked for."""

CHART_TOOLS = (HELM_BINARY,)
"""What only the tests of the chart run; built when they ask for it."""

ALL = (*BINARIES, *NODE_BINARIES, *TOOLS, *CHART_TOOLS)

OWN_VERSIONS = {
    KOPIA_BINARY: KOPIA,
    COREDNS_BINARY: COREDNS,
    PAUSE_BINARY: PAUSE,
    HELM_BINARY: HELM,
}

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and a processor, in Go's words: ``linux`` and ``amd64``."""

    system: str
    architecture: str

    @property
    def folder(self) -> str:
        """Return the name of the cache folder for these versions on this platform."""
        versions = f"kubernetes-{KUBERNETES}-etcd-{ETCD}"
        return f"{versions}-{self.system}-{self.architecture}"

    def folder_of(self, name: str) -> str:
        """Return the name of the cache folder of one binary: some have versions of their own."""
        own = OWN_VERSIONS.get(name)
        return f"{name}-{own}-{self.system}-{self.architecture}" if own else self.folder


def this_platform() -> Platform:
    """Return the platform this program runs on; unknown processors keep their own name."""
    machine = platform.machine().lower()
    return Platform(sys.platform, ARCHITECTURES.get(machine, machine))


def needed_binaries(*, controllers: bool, node: bool = False) -> tuple[str, ...]:
    """Return the binaries that one sandbox runs; kubectl applies its CRDs."""
    if node:
        return (*BINARIES, *NODE_BINARIES)
    return BINARIES if controllers else tuple(name for name in BINARIES if name != CONTROLLERS)
