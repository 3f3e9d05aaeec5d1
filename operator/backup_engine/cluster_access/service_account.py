"""The ServiceAccount of the pod this runs in, as kubelet mounts it."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Final

from backup_engine.cluster_access.access import (
    ClusterAccess,
    ClusterSettingsError,
    build_context,
    token_file,
)

MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
OWN_NAMESPACE: Final = MOUNTED / "namespace"


async def load_service_account(mounted: Path = MOUNTED) -> ClusterAccess:
    """Read the account of this pod; raises ClusterSettingsError outside of a pod."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
    try:
        if not host or not port:
            raise FileNotFoundError("$KUBERNETES_SERVICE_HOST and _PORT are not set")
        authority = await asyncio.to_thread((mounted / "ca.crt").read_bytes)
        tls = await asyncio.to_thread(build_context, authority)
    except (OSError, ssl.SSLError) as trouble:
        raise ClusterSettingsError(
            f"not inside a pod with a ServiceAccount: {trouble}; name a kubeconfig instead"
        ) from trouble
    bracketed = f"[{host}]" if ":" in host else host
    url = f"https://{bracketed}:{port}"
    return ClusterAccess(url=url, tls=tls, read_token=token_file(mounted / "token"))
