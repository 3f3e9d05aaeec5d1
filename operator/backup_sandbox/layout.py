"""Where a sandbox keeps its files."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one sandbox folder, which must be absolute."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig, mode 0600."""
        return self.root / "kubeconfig"

    @property
    def state(self) -> Path:
        """Which processes run, and with what (state.py)."""
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        """Held while one process starts or stops the sandbox."""
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        """The folder of logs, one file per component."""
        return self.root / "logs"

    @property
    def audit_policy(self) -> Path:
        """What the API server writes to its audit log."""
        return self.root / "audit-policy.json"

    @property
    def audit_log(self) -> Path:
        """One JSON line per request, if the sandbox was asked to keep an audit log."""
        return self.logs / "audit.log"

    @property
    def certificates(self) -> Path:
        """The folder of keys and certificates."""
        return self.root / "certificates"

    @property
    def etcd(self) -> Path:
        """The folder with etcd's data."""
        return self.root / "etcd"

    @property
    def node(self) -> Path:
        """The folder of the node, if there is one (node/places.py)."""
        return self.root / "node"

    @property
    def kubectl_cache(self) -> Path:
        """The folder of API discovery that our own kubectl calls fill."""
        return self.root / "kubectl-cache"

    @property
    def entries(self) -> tuple[Path, ...]:
        """Everything a sandbox writes; the folder may hold a user's files beside it."""
        return (
            self.kubeconfig,
            self.logs,
            self.audit_policy,
            self.certificates,
            self.etcd,
            self.node,
            self.kubectl_cache,
            self.state,
            self.lock,
        )

    def certificate(self, name: str) -> Path:
        """Return the path of the certificate called ``name``."""
        return self.certificates / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the path of the private key called ``name``."""
        return self.certificates / f"{name}.key"

    def log(self, name: str) -> Path:
        """Return the path of the log of component ``name``."""
        return self.logs / f"{name}.log"
