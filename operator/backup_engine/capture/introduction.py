"""The first questions to a cluster: who are you, and what can you list."""

from typing import Final

import msgspec

from backup_engine.archive.manifest import ClusterIdentity
from backup_engine.capture.asking import OK, RetryPolicy, ask, parse_status
from backup_engine.capture.discovery import (
    DISCOVERY_ACCEPT,
    DISCOVERY_PATHS,
    Discovered,
    parse_discovery,
)
from backup_engine.capture.errors import CaptureError
from backup_engine.cluster import ClusterConnection

IDENTITY_NAMESPACE: Final = "kube-system"


async def discover(cluster: ClusterConnection, retries: RetryPolicy) -> Discovered:
    """Fetch aggregated discovery and choose the kinds; raises CaptureError."""
    documents = []
    for path in DISCOVERY_PATHS:
        answer = await ask(cluster, path, retries, headers={"Accept": DISCOVERY_ACCEPT})
        if answer.status != OK:
            said = parse_status(answer.body).message
            raise CaptureError("DiscoveryRefused", f"GET {path}: status {answer.status}, {said}")
        documents.append(answer.body)
    return parse_discovery(documents)


class _NamespaceObject(msgspec.Struct):
    class Metadata(msgspec.Struct):
        uid: str

    metadata: Metadata


class _ServerVersion(msgspec.Struct, rename="camel"):
    git_version: str


async def fetch_identity(cluster: ClusterConnection, retries: RetryPolicy) -> ClusterIdentity:
    """Ask which cluster this is; raises CaptureError if it does not tell its version."""
    namespace = await ask(cluster, f"/api/v1/namespaces/{IDENTITY_NAMESPACE}", retries)
    version = await ask(cluster, "/version", retries)
    try:
        uid = (
            msgspec.json.decode(namespace.body, type=_NamespaceObject).metadata.uid
            if namespace.status == OK
            else None  # not allowed, or a cluster without it: the archive says so
        )
        told = msgspec.json.decode(version.body, type=_ServerVersion)
    except msgspec.DecodeError as trouble:
        raise CaptureError(
            "UnreadableAnswer", f"{cluster.url} does not answer like an API server: {trouble}"
        ) from trouble
    return ClusterIdentity(uid=uid, kubernetes_version=told.git_version)
