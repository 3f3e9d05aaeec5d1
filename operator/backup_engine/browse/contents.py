"""What an archive holds, from its manifest and indexes; parts are read for single objects only."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec

from backup_engine.archive.manifest import IndexEntry, Manifest, PartEntry
from backup_engine.archive.reading import ArchiveReader
from backup_engine.restore.archived import ChosenObjects, find_kind_key
from backup_engine.restore.identity import KindKey
from backup_engine.restore.order import NAMESPACES
from backup_engine.restore.selection import ObjectRule, Selection


@dataclass(frozen=True, slots=True)
class KindContents:
    """One kind of an archive, ``raw_bytes`` as captured."""

    api_version: str
    kind: str
    resource: str
    objects: int
    raw_bytes: int


@dataclass(frozen=True, slots=True)
class NamespaceContents:
    """One namespace; ``is_archived``: the Namespace itself is in the archive, too."""

    name: str
    objects: int
    is_archived: bool


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object of an archive; ``line`` is its JSON as the API server gave it."""

    key: KindKey
    entry: IndexEntry
    line: bytes


def list_kinds(manifest: Manifest) -> list[KindContents]:
    """Return the kinds that have objects, in the order of restore."""
    found: dict[tuple[str, str], KindContents] = {}
    for part in manifest.parts:
        at = part.api_version, part.resource
        before = found.get(at)
        found[at] = KindContents(
            part.api_version,
            part.kind,
            part.resource,
            part.objects + (before.objects if before else 0),
            part.raw_bytes + (before.raw_bytes if before else 0),
        )
    return list(found.values())


async def list_namespaces(archive: ArchiveReader) -> list[NamespaceContents]:
    """Return the namespaces that objects are in, by name; reads all indexes."""
    counts: dict[str, int] = {}
    archived: set[str] = set()
    for part in archive.manifest.parts:
        is_namespace = find_kind_key(part) == NAMESPACES
        for entry in await archive.read_index(part):
            if entry.namespace is not None:
                counts[entry.namespace] = counts.get(entry.namespace, 0) + 1
            elif is_namespace:
                archived.add(entry.name)
    return [
        NamespaceContents(name, counts.get(name, 0), name in archived)
        for name in sorted(counts.keys() | archived)
    ]


async def list_entries(
    archive: ArchiveReader, rule: ObjectRule
) -> AsyncGenerator[IndexEntry, None]:
    """Yield what matches ``rule``, labels apart, in the archive's order; reads indexes only."""
    chosen = ChosenObjects(archive, Selection(include=(rule,)))
    for part in chosen.parts:
        for entry in await chosen.read_entries(part):
            yield entry


async def read_objects(
    archive: ArchiveReader, selection: Selection
) -> AsyncGenerator[FoundObject, None]:
    """Yield the chosen objects, labels and all, in the archive's order.

    A part is fetched only if its index names a chosen object; one is in memory at a time.
    """
    chosen = ChosenObjects(archive, selection)
    for part in chosen.parts:
        for one in await chosen.read_objects(part):
            assert one.line is not None
            if _is_chosen(part, one.entry, one.line, selection):
                yield FoundObject(find_kind_key(part), one.entry, one.line)


async def find_object(
    archive: ArchiveReader, kind: str, namespace: str | None, name: str
) -> FoundObject | None:
    """Return one object; ``kind`` as ``kubectl`` takes it: Deployment, deployments.apps.

    None if the archive has none. Reads the indexes of that kind, and one part.
    """
    rule = ObjectRule(kind=kind)
    for part in archive.manifest.parts:
        if not Selection(include=(rule,)).has_kind(find_kind_key(part), part.kind):
            continue
        for entry in await archive.read_index(part):
            if (entry.namespace, entry.name) == (namespace, name):
                content = await archive.read_part(part)
                line = content[entry.offset : entry.offset + entry.length]
                return FoundObject(find_kind_key(part), entry, line)
    return None


class _Labelled(msgspec.Struct):
    class Metadata(msgspec.Struct):
        labels: dict[str, str] | None = None

    metadata: Metadata


_LABELLED = msgspec.json.Decoder(_Labelled)


def _is_chosen(part: PartEntry, entry: IndexEntry, line: bytes, selection: Selection) -> bool:
    if not selection.needs_labels:
        return True
    labels = _LABELLED.decode(line).metadata.labels
    return selection.has_labels(find_kind_key(part), part.kind, entry.namespace, entry.name, labels)
