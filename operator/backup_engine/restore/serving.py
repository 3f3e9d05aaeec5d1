"""Which kinds a cluster serves, at every version: where objects of an archive can go. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.capture.discovery import Kind
from backup_engine.restore.errors import RestoreError
from backup_engine.restore.identity import KindKey, KubeObject, split_api_version

RESTORABLE: Final = frozenset({"create", "get", "list"})
LISTABLE: Final = frozenset({"list"})


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _ResponseKind(msgspec.Struct):
    kind: str = ""


class _Subresource(msgspec.Struct):
    subresource: str = ""


class _Resource(msgspec.Struct, rename="camel"):
    resource: str
    scope: str = "Namespaced"
    response_kind: _ResponseKind | None = None
    verbs: list[str] = []
    subresources: list[_Subresource] = []


class _Version(msgspec.Struct):
    version: str
    resources: list[_Resource] = []


class _Group(msgspec.Struct):
    metadata: _Metadata = _Metadata()
    versions: list[_Version] = []


class _GroupList(msgspec.Struct):
    items: list[_Group] = []


@dataclass(frozen=True, slots=True)
class ServedKind:
    """A kind at one version; ``is_coming``: only once a definition of the archive is restored."""

    kind: Kind
    has_status: bool
    is_coming: bool = False


class ServedKinds:
    """Kinds that a cluster serves, each version in the server's order."""

    def __init__(self, kinds: Iterable[ServedKind]) -> None:
        self._versions: dict[KindKey, list[ServedKind]] = {}
        self._by_name: dict[tuple[str, str], list[ServedKind]] = {}
        self._found: dict[tuple[str, str], ServedKind | None] = {}  # asked once for every object
        for served in kinds:
            self._add(served)

    def describe(self) -> list[str]:
        """Return all kinds and versions, sorted: the same text for the same abilities."""
        return sorted(
            f"{one.kind.api_version}/{one.kind.resource}"
            for served in self._versions.values()
            for one in served
        )

    def find(self, api_version: str, resource: str) -> ServedKind | None:
        """Return the kind at the archive's version, else at the preferred one; None: not served."""
        asked = api_version, resource
        if asked not in self._found:
            group, version = split_api_version(api_version)
            served = self._versions.get((group, resource), [])
            exact = (one for one in served if one.kind.version == version)
            self._found[asked] = next(exact, served[0] if served else None)
        return self._found[asked]

    def find_owner(self, api_version: str, kind: str) -> ServedKind | None:
        """Return the kind that an owner reference names, at any version; None: not served."""
        group, _ = split_api_version(api_version)
        served = self._by_name.get((group, kind))
        return served[0] if served else None

    def with_definition(self, definition: KubeObject) -> "ServedKinds":
        """Return these kinds and those that a CustomResourceDefinition will bring."""
        spec = definition["spec"]
        names = spec["names"]
        known = [one for served in self._versions.values() for one in served]
        present = {(one.kind.key, one.kind.version) for one in known}
        coming = [
            ServedKind(
                Kind(
                    group=spec["group"],
                    version=version["name"],
                    resource=names["plural"],
                    kind=names["kind"],
                    is_namespaced=spec.get("scope") == "Namespaced",
                ),
                has_status="status" in (version.get("subresources") or {}),
                is_coming=True,
            )
            for version in spec["versions"]
            if version.get("served")
        ]
        new = [one for one in coming if (one.kind.key, one.kind.version) not in present]
        return ServedKinds((*known, *new))

    def _add(self, served: ServedKind) -> None:
        self._versions.setdefault(served.kind.key, []).append(served)
        self._by_name.setdefault((served.kind.group, served.kind.kind), []).append(served)


def parse_served(documents: Iterable[bytes], verbs: frozenset[str] = RESTORABLE) -> ServedKinds:
    """Read the aggregated discovery documents of ``/api`` and ``/apis``; raises RestoreError.

    Only kinds that have all of ``verbs`` count.
    """
    return ServedKinds(kind for document in documents for kind in _parse(document, verbs))


def _parse(document: bytes, verbs: frozenset[str]) -> Iterable[ServedKind]:
    try:
        groups = msgspec.json.decode(document, type=_GroupList).items
    except msgspec.DecodeError as trouble:
        raise RestoreError(
            "UnreadableAnswer", f"the server's discovery document cannot be read: {trouble}"
        ) from trouble
    for group in groups:
        for version in group.versions:
            for resource in version.resources:
                answered = resource.response_kind.kind if resource.response_kind else ""
                if answered and frozenset(resource.verbs) >= verbs:
                    yield ServedKind(
                        Kind(
                            group=group.metadata.name,
                            version=version.version,
                            resource=resource.resource,
                            kind=answered,
                            is_namespaced=resource.scope == "Namespaced",
                        ),
                        has_status=any(
                            sub.subresource == "status" for sub in resource.subresources
                        ),
                    )
