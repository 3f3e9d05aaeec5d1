"""What the sandbox is made of: the one place that names versions."""

import platform
import sys
from dataclasses import dataclass

KUBERNETES = "1.36.3"
ETCD = "3.6.8"
KOPIA = "0.23.1"
GO = (1, 26)  # what Kubernetes 1.36 demands of the toolchain

APISERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"
KUBECTL = "kubectl"
ETCD_BINARY = "etcd"
KOPIA_BINARY = "kopia"

# The largest first: whatever is built after it reuses its compiled packages.
BINARIES = (APISERVER, ETCD_BINARY, KUBECTL, CONTROLLERS)

TOOLS = (KOPIA_BINARY,)
"""What no sandbox runs, but the engine beside it does: `build` makes them, too."""

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
        """Return the name of the cache folder of one binary: tools have their own versions."""
        if name == KOPIA_BINARY:
            return f"{KOPIA_BINARY}-{KOPIA}-{self.system}-{self.architecture}"
        return self.folder


def this_platform() -> Platform:
    """Return the platform this program runs on; unknown processors keep their own name."""
    machine = platform.machine().lower()
    return Platform(sys.platform, ARCHITECTURES.get(machine, machine))


def needed_binaries(*, controllers: bool) -> tuple[str, ...]:
    """Return the binaries that one sandbox runs; kubectl applies its CRDs."""
    return BINARIES if controllers else tuple(name for name in BINARIES if name != CONTROLLERS)
