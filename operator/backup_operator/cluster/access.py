"""How the cluster is reached: one kubeconfig for our own requests and for kopf's watches."""

import asyncio
import os
from pathlib import Path
from typing import Any, Final, cast

import kopf
import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from backup_operator.errors import ExpectedError

IN_CLUSTER_MARK: Final = "KUBERNETES_SERVICE_HOST"
DEFAULT_KUBECONFIG: Final = "~/.kube/config"
NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class NoClusterError(ExpectedError):
    """There is no usable way to a cluster."""


class ClusterAccess:
    """Loads the credentials of one cluster, anew whenever they are asked for again.

    ``kubeconfig`` None: the ServiceAccount of the pod, outside a cluster ``$KUBECONFIG`` or the
    kubeconfig in the home directory.
    """

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig

    async def load(self) -> Configuration:
        """Read the credentials; raises NoClusterError with what was tried."""
        if self._kubeconfig is not None and not await asyncio.to_thread(self._kubeconfig.is_file):
            raise NoClusterError(f"there is no file {self._kubeconfig}; correct --kubeconfig")
        configuration: Any = Configuration()
        try:
            if self._kubeconfig is None and IN_CLUSTER_MARK in os.environ:
                await asyncio.to_thread(load_incluster_config, configuration)
            else:
                path = str(self._kubeconfig) if self._kubeconfig else _default_kubeconfig()
                await cast("Any", load_kube_config)(path, client_configuration=configuration)
        except (ConfigException, OSError, yaml.YAMLError, KeyError, TypeError) as trouble:
            where = self._kubeconfig or "the pod's ServiceAccount or " + _default_kubeconfig()
            raise NoClusterError(
                f"no cluster by {where}: {trouble}; give a readable file with --kubeconfig"
            ) from trouble
        return cast("Configuration", configuration)

    async def log_in(self) -> kopf.ConnectionInfo:
        """Return the same credentials as kopf takes them."""
        configuration = await self.load()
        bearer = await configuration.get_api_key_with_prefix("BearerToken") or ""
        token = bearer.split(" ", 1)[-1].strip() or None
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert or None,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file or None,
            private_key_path=configuration.key_file or None,
            scheme="Bearer" if token else None,
            token=token,
            username=configuration.username or None,
            password=configuration.password or None,
        )


def find_own_namespace() -> str | None:
    """Find the namespace of this pod; None: it is none."""
    named = os.environ.get("POD_NAMESPACE")
    if named:
        return named
    try:
        return NAMESPACE_FILE.read_text().strip() or None
    except OSError:
        return None


def _default_kubeconfig() -> str:
    return os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG
