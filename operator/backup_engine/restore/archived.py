"""Reads from an archive only the objects that a restore has chosen, part by part."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from backup_engine.archive.manifest import IndexEntry, PartEntry
from backup_engine.archive.reading import ArchiveReader
from backup_engine.restore.identity import KindKey, split_api_version
from backup_engine.restore.mapping import NamespaceMapping, map_place
from backup_engine.restore.order import NAMESPACES, find_wave
from backup_engine.restore.selection import Selection


@dataclass(frozen=True, slots=True)
class ArchivedObject:
    """One object as stored; ``line`` is its JSON, None where nobody has to look inside."""

    part: PartEntry
    entry: IndexEntry
    line: bytes | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a first look at the indexes tells of the chosen objects.

    ``namespaces`` are those of objects, under their new names; ``sources`` all under their old.
    """

    objects: int
    uids: frozenset[str]
    namespaces: tuple[str, ...]
    sources: frozenset[str]


def find_kind_key(part: PartEntry) -> KindKey:
    """Return group and resource of a part's objects."""
    return split_api_version(part.api_version)[0], part.resource


class ChosenObjects:
    """The chosen objects of one archive."""

    def __init__(self, archive: ArchiveReader, selection: Selection) -> None:
        self._archive = archive
        self._selection = selection
        self.parts = tuple(
            part
            for part in archive.manifest.parts
            if selection.has_kind(find_kind_key(part), part.kind)
        )

    @property
    def waves(self) -> list[tuple[int, list[PartEntry]]]:
        """The parts in the order of restore; see ``find_wave``."""
        waves: dict[int, list[PartEntry]] = {}
        for part in self.parts:
            waves.setdefault(find_wave(find_kind_key(part)), []).append(part)
        return sorted(waves.items())

    async def survey(self, mapping: NamespaceMapping) -> Contents:
        """Read the indexes once; labels are not looked at yet, so the count may be too high."""
        uids: set[str] = set()
        targets: set[str] = set()
        sources: set[str] = set()
        objects = 0
        for part in self.parts:
            kind = find_kind_key(part)
            for entry in await self.read_entries(part):
                objects += 1
                uids.add(entry.uid)
                namespace, _ = map_place(kind, entry.namespace, entry.name, mapping)
                if namespace is not None:
                    targets.add(namespace)
                source = entry.name if kind == NAMESPACES else entry.namespace
                if source is not None:
                    sources.add(source)
        return Contents(objects, frozenset(uids), tuple(sorted(targets)), frozenset(sources))

    async def read_entries(self, part: PartEntry) -> list[IndexEntry]:
        """Return the index entries of a part's chosen objects."""
        kind = find_kind_key(part)
        entries = await self._archive.read_index(part)
        if not self._selection.has_rules:
            return entries
        return [
            entry
            for entry in entries
            if self._selection.has_place(kind, part.kind, entry.namespace, entry.name)
        ]

    async def read_objects(
        self, part: PartEntry, *, uids: Collection[str] | None = None, is_read: bool = True
    ) -> Iterator[ArchivedObject]:
        """Return the chosen objects of one part, of those only ``uids`` unless None.

        ``is_read`` False leaves the part itself in the store and gives the index alone.
        """
        entries = await self.read_entries(part)
        if uids is not None:
            entries = [entry for entry in entries if entry.uid in uids]
        content = await self._archive.read_part(part) if is_read and entries else None
        return _cut(part, entries, content)


def _cut(
    part: PartEntry, entries: Iterable[IndexEntry], content: bytes | None
) -> Iterator[ArchivedObject]:
    for entry in entries:
        line = None
        if content is not None:
            line = content[entry.offset : entry.offset + entry.length]
        yield ArchivedObject(part, entry, line)
