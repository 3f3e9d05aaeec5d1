"""Where a node keeps its files, below the folder of its sandbox."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The paths below ``root``, the node's part of a sandbox folder."""

    root: Path

    @property
    def configuration(self) -> Path:
        """The folder of configuration files, written anew at each start."""
        return self.root / "configuration"

    @property
    def containerd(self) -> Path:
        """The configuration of containerd."""
        return self.configuration / "containerd.toml"

    @property
    def cni(self) -> Path:
        """The folder of CNI configuration."""
        return self.configuration / "cni"

    @property
    def resolver(self) -> Path:
        """The resolv.conf of pods that do not use the cluster's DNS."""
        return self.configuration / "resolv.conf"

    @property
    def resources(self) -> Path:
        """The objects applied once the API server serves."""
        return self.configuration / "resources.yaml"

    @property
    def runtime(self) -> Path:
        """What containerd keeps: images and the layers unpacked from them."""
        return self.root / "containerd"

    @property
    def plugins(self) -> Path:
        """A folder that containerd wants and nobody fills."""
        return self.root / "plugins"

    @property
    def kubelet(self) -> Path:
        """The kubelet's folder, with the pods' emptyDirs; it ends with the run."""
        return self.root / "kubelet"

    @property
    def volume_plugins(self) -> Path:
        """A folder that the kubelet wants and nobody fills."""
        return self.root / "volume-plugins"

    @property
    def pod_logs(self) -> Path:
        """What containers have written, of this run."""
        return self.root / "pod-logs"

    @property
    def addresses(self) -> Path:
        """Which pod has which address, of this run."""
        return self.root / "addresses"

    @property
    def volumes(self) -> Path:
        """The folder of provisioned volumes, one folder each."""
        return self.root / "volumes"

    @property
    def pause_image(self) -> Path:
        """The archive of the pause image."""
        return self.root / "pause.tar"

    @property
    def passing(self) -> tuple[Path, ...]:
        """What is of one run only."""
        return self.kubelet, self.pod_logs, self.addresses, self.configuration

    @property
    def folders(self) -> tuple[Path, ...]:
        """All that must be there before the start."""
        kept = (self.runtime, self.plugins, self.volume_plugins, self.volumes)
        return (*self.passing, *kept, self.cni)
