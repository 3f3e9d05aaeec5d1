"""The two kinds of state that can be compared: an archive, and what the cluster holds today."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.archive.manifest import IndexEntry, PartEntry
from backup_engine.archive.reading import ArchiveReader
from backup_engine.browse.comparing import Identity, KindLabel, UnreadableKindError
from backup_engine.capture.discovery import Kind, Target
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import discover
from backup_engine.restore.archived import ChosenObjects, find_kind_key
from backup_engine.restore.cleaning import clean
from backup_engine.restore.errors import RestoreError, WriteRefusedError
from backup_engine.restore.identity import KindKey, KubeObject, split_api_version
from backup_engine.restore.live import ListForbiddenError, LiveCluster, Place
from backup_engine.restore.planning import build_content_digest
from backup_engine.restore.selection import Selection
from backup_engine.restore.skipping import find_skip

READS_ABREAST: Final = 8
EVERY_RESOURCE: Final = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """What was listed of one kind; None as namespaces: all of them."""

    api_version: str
    namespaces: frozenset[str] | None


class ArchiveSide:
    """An archive: indexes first, and parts only where objects were touched."""

    def __init__(self, archive: ArchiveReader, selection: Selection) -> None:
        self._archive = archive
        self._chosen = ChosenObjects(archive, selection)
        self._selection = selection
        self._parts: dict[KindKey, list[PartEntry]] = {}
        for part in self._chosen.parts:
            self._parts.setdefault(find_kind_key(part), []).append(part)

    async def list_kinds(self) -> Mapping[KindKey, KindLabel]:
        """Return the kinds that have objects."""
        return {
            key: KindLabel(key, parts[0].api_version, parts[0].kind)
            for key, parts in self._parts.items()
        }

    def find_gap(self, kind: KindKey) -> str | None:
        """Return why the archive cannot tell whether there were objects of ``kind``."""
        manifest = self._archive.manifest
        for skip in manifest.skipped:
            group, _ = split_api_version(skip.api_version)
            if group == kind[0] and skip.resource in {kind[1], EVERY_RESOURCE}:
                return f"not captured ({skip.reason})"
        if manifest.scope.namespaces is not None and kind not in self.scopes:
            return "not captured (OutsideScope)"
        return None

    @property
    def scopes(self) -> Mapping[KindKey, Scope]:
        """What the capture listed, by kind; also those of which there was no object."""
        found: dict[KindKey, Scope] = {}
        for entry in self._archive.manifest.lists:
            key = split_api_version(entry.api_version)[0], entry.resource
            before = found.get(key)
            namespaces = None if entry.namespace is None else frozenset({entry.namespace})
            if before is not None and before.namespaces is not None and namespaces is not None:
                namespaces |= before.namespaces
            found[key] = Scope(entry.api_version, namespaces)
        return found

    async def scan(self, kind: KindKey) -> Mapping[Place, Identity]:
        """Read the indexes of a kind; the parts as well where labels choose."""
        found: dict[Place, Identity] = {}
        for part in self._parts[kind]:
            for entry in await self._list_chosen(part):
                found[_place(entry)] = Identity(entry.uid, entry.resource_version)
        return found

    async def digest(self, kind: KindKey, places: Collection[Place]) -> Mapping[Place, bytes]:
        """Read the objects at ``places``."""
        digests: dict[Place, bytes] = {}
        for part in self._parts[kind]:
            lines = await self._read_lines(part, places)
            digests |= await asyncio.to_thread(_digest_lines, lines, kind)
        return digests

    async def read(self, kind: KindKey, places: Collection[Place]) -> Mapping[Place, KubeObject]:
        """Read the objects at ``places``."""
        found: dict[Place, KubeObject] = {}
        for part in self._parts.get(kind, ()):
            for place, line in await self._read_lines(part, places):
                found[place] = clean(msgspec.json.decode(line), kind)
        return found

    async def _list_chosen(self, part: PartEntry) -> Sequence[IndexEntry]:
        if not self._selection.needs_labels:
            return await self._chosen.read_entries(part)
        kind = find_kind_key(part)
        chosen = []
        for one in await self._chosen.read_objects(part):
            assert one.line is not None
            labels = msgspec.json.decode(one.line)["metadata"].get("labels")
            at = one.entry.namespace, one.entry.name
            if self._selection.has_labels(kind, part.kind, *at, labels):
                chosen.append(one.entry)
        return chosen

    async def _read_lines(
        self, part: PartEntry, places: Collection[Place]
    ) -> list[tuple[Place, bytes]]:
        entries = [each for each in await self._chosen.read_entries(part) if _place(each) in places]
        if not entries:
            return []
        content = await self._archive.read_part(part)
        return [
            (_place(entry), content[entry.offset : entry.offset + entry.length])
            for entry in entries
        ]


class LiveSide:
    """What the cluster holds now, of the kinds that a capture would list."""

    def __init__(
        self, live: LiveCluster, selection: Selection, captured: Mapping[KindKey, Scope]
    ) -> None:
        self._live = live
        self._selection = selection
        self._captured = captured  # to compare like with like: namespaces, and versions if served
        self._kinds: dict[KindKey, Kind] = {}
        self._digests: dict[KindKey, dict[Place, bytes]] = {}

    async def list_kinds(self) -> Mapping[KindKey, KindLabel]:
        """Ask what is served; raises RestoreError."""
        try:
            discovered = await discover(self._live.connection, self._live.retries)
        except CaptureError as trouble:
            raise RestoreError(trouble.reason, trouble.message) from trouble
        served = await self._live.fetch_served()
        for kind in discovered.kinds:
            if not self._selection.has_kind(kind.key, kind.kind):
                continue
            captured = self._captured.get(kind.key)
            version = captured.api_version if captured is not None else kind.api_version
            exact = served.find(version, kind.resource)
            self._kinds[kind.key] = exact.kind if exact is not None else kind
        return {
            key: KindLabel(key, kind.api_version, kind.kind) for key, kind in self._kinds.items()
        }

    async def scan(self, kind: KindKey) -> Mapping[Place, Identity]:
        """List the kind, and remember the digests; raises UnreadableKindError, RestoreError."""
        served = self._kinds[kind]
        found: dict[Place, Identity] = {}
        digests: dict[Place, bytes] = {}
        try:
            for target in self._list_targets(served):
                async with aclosing(self._live.list_pages(target)) as pages:
                    async for items in pages:
                        new = await asyncio.to_thread(self._digest_items, items, served)
                        found |= new[0]
                        digests |= new[1]
        except ListForbiddenError as refusal:
            raise UnreadableKindError(refusal.message) from refusal
        self._digests[kind] = digests
        return found

    async def digest(self, kind: KindKey, places: Collection[Place]) -> Mapping[Place, bytes]:
        """Return what the scan of this kind has found, and forget it."""
        digests = self._digests.pop(kind)
        return {place: digests[place] for place in places if place in digests}

    async def read(self, kind: KindKey, places: Collection[Place]) -> Mapping[Place, KubeObject]:
        """GET the objects at ``places``, some at a time."""
        served = self._kinds[kind]
        turn = asyncio.Semaphore(READS_ABREAST)
        found: dict[Place, KubeObject] = {}

        async def read(place: Place) -> None:
            async with turn:
                try:
                    one = await self._live.find(served, *place)
                except WriteRefusedError:
                    return
            if one is not None:
                found[place] = clean(one, kind)

        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(read(place))
        return found

    def find_gap(self, kind: KindKey) -> str | None:  # noqa: ARG002 - of the protocol
        """Return None: what is not served does not exist."""
        return None

    def _list_targets(self, kind: Kind) -> list[Target]:
        if not kind.is_namespaced:
            return [Target(kind)]
        captured = self._captured.get(kind.key)
        scopes = [self._selection.list_namespaces(), captured.namespaces if captured else None]
        known = [scope for scope in scopes if scope is not None]
        if not known:
            return [Target(kind)]
        return [Target(kind, name) for name in sorted(frozenset.intersection(*known))]

    def _digest_items(
        self, items: Iterable[msgspec.Raw], kind: Kind
    ) -> tuple[dict[Place, Identity], dict[Place, bytes]]:
        """Decode one page of a LIST. CPU only."""
        found: dict[Place, Identity] = {}
        digests: dict[Place, bytes] = {}
        for item in items:
            one = {"apiVersion": kind.api_version, "kind": kind.kind} | msgspec.json.decode(item)
            metadata = one["metadata"]
            place = (metadata.get("namespace"), metadata["name"])
            if not self._has(kind, place, metadata.get("labels")):
                continue
            found[place] = Identity(metadata["uid"], metadata["resourceVersion"])
            if find_skip(one, kind.key) is None:
                digests[place] = build_content_digest(clean(one, kind.key))
        return found, digests

    def _has(self, kind: Kind, place: Place, labels: dict[str, str] | None) -> bool:
        selection = self._selection
        if not selection.has_rules:
            return True
        return selection.has_place(kind.key, kind.kind, *place) and selection.has_labels(
            kind.key, kind.kind, *place, labels
        )


def _place(entry: IndexEntry) -> Place:
    return entry.namespace, entry.name


def _digest_lines(lines: Iterable[tuple[Place, bytes]], kind: KindKey) -> dict[Place, bytes]:
    """Digest objects of one part, those apart that a restore would skip. CPU only."""
    digests = {}
    for place, line in lines:
        one = msgspec.json.decode(line)
        if find_skip(one, kind) is None:
            digests[place] = build_content_digest(clean(one, kind))
    return digests
