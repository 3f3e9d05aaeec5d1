"""The way out for objects whose operator is gone: take its finalizer off all of them."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from backup_operator.cluster.access import ClusterAccess
from backup_operator.cluster.api import ClusterApi, ClusterError, ConflictError, GoneError
from backup_operator.errors import ExpectedError
from backup_operator.resources.group import API_VERSION, FINALIZER, Kind

Say = Callable[[str], object]


async def release_objects(
    access: ClusterAccess, namespaces: Sequence[str], *, is_rehearsal: bool, say: Say
) -> int:
    """Remove our finalizer from every object of our group, and return from how many.

    ``namespaces`` empty: all, and cluster-scoped kinds as well. Backups at engines stay as they
    are. What a running operator keeps it would keep again, so it must be gone. Raises
    ExpectedError if the cluster does not go along.
    """
    released = 0
    async with ClusterApi(await access.load()) as cluster:
        try:
            for kind in await _list_kinds(cluster):
                async for body in _list_kept(cluster, kind, namespaces):
                    metadata = body["metadata"]
                    name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
                    if is_rehearsal or await _release(cluster, kind, body):
                        released += 1
                        say(f"{kind.kind} {name}{' (rehearsal)' if is_rehearsal else ''}\n")
        except ClusterError as trouble:
            raise ExpectedError(f"the finalizers could not all be removed: {trouble}") from trouble
    return released


async def _list_kinds(cluster: ClusterApi) -> list[Kind]:
    """Ask the cluster, which may hold kinds of another version of the operator."""
    try:
        found = await cluster.get(f"/apis/{API_VERSION}")
    except GoneError:
        return []
    return [
        Kind(one["kind"], one["name"], one["singularName"], "", bool(one["namespaced"]))
        for one in found.get("resources", ())
        if "/" not in one["name"]
    ]


async def _list_kept(
    cluster: ClusterApi, kind: Kind, namespaces: Sequence[str]
) -> AsyncIterator[dict[str, Any]]:
    if not kind.is_namespaced and namespaces:
        return
    for namespace in namespaces or (None,):
        async for item in cluster.list_metadata(kind, namespace):
            if FINALIZER in (item["metadata"].get("finalizers") or ()):
                yield item


async def _release(cluster: ClusterApi, kind: Kind, body: dict[str, Any]) -> bool:
    while True:
        metadata = body["metadata"]
        others = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
        try:
            await cluster.patch(kind, body, {"metadata": {"finalizers": others}})
        except ConflictError:
            body = await cluster.get_object(kind, metadata.get("namespace"), metadata["name"])
        except GoneError:
            return False
        else:
            return True
