"""The two kinds of state that can be compared: an archive, and what the cluster holds today."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.archive.manifest import IndexEntry, Manifest, PartEntry
from backup_engine.archive.reading import ArchiveReader
from backup_engine.browse.comparing import Identity, KindLabel, UnreadableKindError
from backup_engine.capture.discovery import NAMESPACES, Kind, Target
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import discover
from backup_engine.capture.scope import EVERY_LABEL
from backup_engine.restore.archived import ChosenObjects, find_kind_key
from backup_engine.restore.cleaning import clean
from backup_engine.restore.errors import RestoreError, WriteRefusedError
from backup_engine.restore.identity import KindKey, KubeObject
from backup_engine.restore.live import ListForbiddenError, LiveCluster, Place
from backup_engine.restore.planning import build_content_digest
from backup_engine.restore.selection import Selection
from backup_engine.restore.skipping import find_skip
from backup_engine.selectors import parse_label_selector

READS_ABREAST: Final = 8
EVERY_RESOURCE: Final = "*"


@dataclass(frozen=True, slots=True)
class Listed:
    """What was listed of one kind; None as namespaces: all of them."""

    api_version: str
    namespaces: frozenset[str] | None


class CapturedScope:
    """What a capture took, so that like is compared with like: all else is no difference."""

    def __init__(self, manifest: Manifest) -> None:
        scope = manifest.scope
        self.listed = build_listed(manifest)
        self._namespaces = None if scope.namespaces is None else frozenset(scope.namespaces)
        self._labels = (
            parse_label_selector(scope.object_selector) if scope.object_selector else EVERY_LABEL
        )

    def has(self, kind: Kind, place: Place, labels: Mapping[str, str] | None) -> bool:
        """Tell whether the capture would have taken an object of a kind that it listed."""
        is_namespace = kind.key == NAMESPACES  # those go with their objects, whatever their labels
        namespace = place[1] if is_namespace else place[0]
        namespaces = self._namespaces
        if namespaces is not None and namespace is not None and namespace not in namespaces:
            return False
        return is_namespace or self._labels.matches(labels)


def build_listed(manifest: Manifest) -> Mapping[KindKey, Listed]:
    """Build what the capture listed, by kind; also those of which there was no object."""
    found: dict[KindKey, Listed] = {}
    for entry in manifest.lists:
        before = found.get(entry.key)
        namespaces = None if entry.namespace is None else frozenset({entry.namespace})
        if before is not None and before.namespaces is not None and namespaces is not None:
            namespaces |= before.namespaces
        found[entry.key] = Listed(entry.api_version, namespaces)
    return found


class ArchiveSide:
    """An archive: indexes first, and parts only where objects were touched."""

    def __init__(self, archive: ArchiveReader, selection: Selection) -> None:
        self._archive = archive
        self._chosen = ChosenObjects(archive, selection)
        self._selection = selection
        self.scope = CapturedScope(archive.manifest)
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
            if skip.key in {kind, (kind[0], EVERY_RESOURCE)}:
                return f"not captured ({skip.reason})"
        if manifest.scope.namespaces is not None and kind not in self.scope.listed:
            return "not captured (OutsideScope)"
        return None

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

    def __init__(self, live: LiveCluster, selection: Selection, captured: CapturedScope) -> None:
        self._live = live
        self._selection = selection
        self._captured = captured  # also for the versions to ask for, if served
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
            captured = self._captured.listed.get(kind.key)
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
        captured = self._captured.listed.get(kind.key)
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
        if not self._captured.has(kind, place, labels):
            return False
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
