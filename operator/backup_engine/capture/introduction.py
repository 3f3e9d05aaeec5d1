"""The first questions to a cluster: who are you, and what can you list."""

from typing import Final

import msgspec

from backup_engine.archive.manifest import ClusterIdentity
from backup_engine.capture.asking import OK, RetryPolicy, ask, parse_status
from backup_engine.capture.discovery import (
    DISCOVERY_ACCEPT,
    DISCOVERY_PATHS,
    NAMESPACE_KIND,
    Discovered,
    Target,
    parse_discovery,
)
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.listing import Page, PageLimits, list_pages
from backup_engine.capture.policy import STRICT, SuccessPolicy
from backup_engine.capture.scope import EVERYTHING, CaptureScope
from backup_engine.capture.split import read_key
from backup_engine.cluster import ClusterConnection

IDENTITY_NAMESPACE: Final = "kube-system"


async def discover(
    cluster: ClusterConnection,
    retries: RetryPolicy,
    scope: CaptureScope = EVERYTHING,
    policy: SuccessPolicy = STRICT,
) -> Discovered:
    """Fetch aggregated discovery and choose the kinds; raises CaptureError."""
    documents = []
    for path in DISCOVERY_PATHS:
        answer = await ask(cluster, path, retries, headers={"Accept": DISCOVERY_ACCEPT})
        if answer.status != OK:
            said = parse_status(answer.body).message
            raise CaptureError("DiscoveryRefused", f"GET {path}: status {answer.status}, {said}")
        documents.append(answer.body)
    return parse_discovery(documents, scope, policy)


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


async def find_namespaces(
    cluster: ClusterConnection, scope: CaptureScope, retries: RetryPolicy
) -> tuple[str, ...] | None:
    """Find the namespaces in scope, sorted; None: all of them. Raises CaptureError.

    Those of a glob or selector are those that exist now: one made during the capture is in none.
    """
    if scope.is_every_namespace:
        return None
    if scope.named_namespaces is not None:
        return scope.named_namespaces
    target = Target(NAMESPACE_KIND, label_selector=scope.namespace_selector.text or None)
    names: set[str] = set()
    async for item in list_pages(cluster, target, PageLimits(), retries):
        if isinstance(item, Page):
            names.update(read_key(one).decode() for one in item.items)
    return tuple(sorted(filter(scope.has_namespace, names)))
