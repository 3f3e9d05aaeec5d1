"""Leads every chosen object, wave by wave, to one step: planning it or applying it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from backup_engine.archive.manifest import IndexEntry, PartEntry
from backup_engine.restore.archived import (
    ArchivedObject,
    ChosenObjects,
    Contents,
    find_kind_key,
)
from backup_engine.restore.cleaning import clean
from backup_engine.restore.errors import WriteRefusedError
from backup_engine.restore.flight import work_through
from backup_engine.restore.identity import KindKey, KubeObject, ObjectKey
from backup_engine.restore.live import ListForbiddenError, LiveCluster, LiveObject, Place
from backup_engine.restore.mapping import NAMESPACE_LABEL, map_object, map_place
from backup_engine.restore.order import DEFINITIONS, NAMESPACES, find_wave
from backup_engine.restore.owners import Owners
from backup_engine.restore.planning import Action, PlanItem, Verdict, build_content_digest
from backup_engine.restore.request import RestoreLimits, RestoreOptions
from backup_engine.restore.serving import ServedKind, ServedKinds
from backup_engine.restore.skipping import find_kind_skip, find_skip

LISTS_ABREAST: Final = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """One object on its way: what is wanted, and what of it exists.

    ``captured_as`` is the archive's apiVersion, which need not be served any more; ``status`` is
    what to restore through the status endpoint, None: nothing.
    """

    key: ObjectKey
    served: ServedKind
    wanted: KubeObject
    live: LiveObject | None
    captured_as: str
    status: Any = None

    @property
    def kind(self) -> KindKey:
        """API group and resource."""
        return self.served.kind.key


class Step(Protocol):
    """What is done with each object; ``is_rehearsal``: it only says what it would do."""

    is_rehearsal: bool

    async def settle(self, subject: Subject) -> str | None:
        """Deal with one object; return its uid, or None if it will not exist."""

    def note(self, item: PlanItem) -> None:
        """Take note of an object that needs no dealing with: skipped, unsupported, refused."""

    async def learn_kinds(self, served: ServedKinds) -> ServedKinds:
        """Return what is served once the definitions are settled."""


class Stopped(Exception):  # noqa: N818 - a signal inside of one walk, never an error
    """Somebody asked the restore to stop between two objects."""


@dataclass(slots=True)
class _Wave:
    """What is known of the live objects of one wave."""

    live: dict[KindKey, dict[Place, LiveObject]] = field(default_factory=dict)
    forbidden: dict[KindKey, str] = field(default_factory=dict)


class Walk:
    """One way through an archive; to be walked once."""

    def __init__(
        self,
        options: RestoreOptions,
        limits: RestoreLimits,
        chosen: ChosenObjects,
        contents: Contents,
        live: LiveCluster,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._options = options
        self._limits = limits
        self._chosen = chosen
        self._contents = contents
        self._live = live
        self._is_stopped = is_stopped
        self._owners = Owners(live, contents.uids)
        self._waiting: dict[str, tuple[PartEntry, set[str]]] = {}
        self._served = ServedKinds(())
        self.namespaces: dict[str, dict[str, str]] = {}
        """Labels of every namespace that exists, or will."""
        self._ending: set[str] = set()

    async def walk(self, step: Step) -> bool:
        """Lead all objects to ``step``; False if stopped before the end. Raises RestoreError."""
        self._served = await self._live.fetch_served()
        await self._look_at_namespaces()
        try:
            for number, parts in self._chosen.waves:
                await self._walk_wave(parts, step)
                if number == find_wave(DEFINITIONS):
                    self._served = await step.learn_kinds(self._served)
            await self._walk_waiting(step)
        except Stopped:
            return False
        return True

    async def _look_at_namespaces(self) -> None:
        served = self._served.find("v1", "namespaces")
        if served is None:
            return
        for one in await self._live.list_objects(served.kind, has_status=True):
            metadata = one["metadata"]
            if metadata.get("deletionTimestamp") is not None:
                self._ending.add(metadata["name"])
            else:
                self._know_namespace(metadata["name"], metadata.get("labels"))

    def _know_namespace(self, name: str, labels: dict[str, str] | None) -> None:
        self.namespaces[name] = {**(labels or {}), NAMESPACE_LABEL: name}

    async def _walk_wave(self, parts: list[PartEntry], step: Step) -> None:
        wave = await self._load(parts, step)

        async def work(one: ArchivedObject) -> None:
            await self._meet(one, wave, step)

        await work_through(self._read(parts), work, abreast=self._limits.in_flight)

    async def _load(self, parts: Collection[PartEntry], step: Step) -> _Wave:
        """List what exists of the kinds of these parts."""
        wave = _Wave()
        turn = asyncio.Semaphore(LISTS_ABREAST)
        kinds = {find_kind_key(part): part for part in parts}

        async def load(kind: KindKey, part: PartEntry) -> None:
            served = self._served.find(part.api_version, part.resource)
            if served is None or served.is_coming or find_kind_skip(kind) is not None:
                return
            has_status = self._options.has_status(kind, part.kind)
            async with turn:
                try:
                    found = await self._live.load(
                        served.kind, self._contents.namespaces, has_status=has_status
                    )
                except ListForbiddenError as refusal:
                    wave.forbidden[kind] = refusal.message
                    return
            if step.is_rehearsal and self._ending:  # by then these will be gone
                found = {at: one for at, one in found.items() if at[0] not in self._ending}
            wave.live[kind] = found

        await asyncio.gather(*(load(kind, part) for kind, part in kinds.items()))
        return wave

    async def _read(self, parts: list[PartEntry]) -> AsyncGenerator[Iterator[ArchivedObject], None]:
        for part in parts:
            is_read = (
                find_kind_skip(find_kind_key(part)) is None
                and self._served.find(part.api_version, part.resource) is not None
            )
            # labels can only be judged from inside
            is_read = is_read or self._options.selection.needs_labels
            yield await self._chosen.read_objects(part, is_read=is_read)

    async def _walk_waiting(self, step: Step) -> None:
        """Settle what waited for its owners, round by round, until nothing is left."""
        while self._waiting:
            before = self._owners.settlements
            round_ = list(self._waiting.values())
            self._waiting = {}

            async def read(
                waiting: list[tuple[PartEntry, set[str]]] = round_,
            ) -> AsyncGenerator[Iterator[ArchivedObject], None]:
                for part, uids in waiting:
                    yield await self._chosen.read_objects(part, uids=uids)

            async def work(one: ArchivedObject) -> None:
                await self._meet(one, None, step)

            await work_through(read(), work, abreast=self._limits.in_flight)
            if self._owners.settlements == before:
                self._owners.give_up_all()  # owners that wait for each other, or failed

    async def _meet(self, one: ArchivedObject, wave: _Wave | None, step: Step) -> None:
        """Prepare one object and let ``step`` settle it; ``wave`` None: ask for it by GET."""
        if self._is_stopped():
            raise Stopped
        entry, kind = one.entry, find_kind_key(one.part)
        served = self._served.find(entry.api_version, entry.resource)
        stored: KubeObject | None = msgspec.json.decode(one.line) if one.line is not None else None
        if stored is not None and not self._has_labels(kind, entry, stored):
            self._owners.give_up(entry.uid)
            return
        key = self._build_key(kind, entry, served)
        verdict = self._find_objection(kind, key, stored, served, wave)
        if verdict is not None:
            self._owners.give_up(entry.uid)
            step.note(PlanItem(key, verdict))
            return
        assert stored is not None
        assert served is not None
        has_status = served.has_status and self._options.has_status(kind, served.kind.kind)
        mapped = map_object(stored, kind, self._options.namespace_mapping)
        if mapped["apiVersion"] != key.api_version:
            mapped = {**mapped, "apiVersion": key.api_version}
        wanted = await self._owners.relink(clean(mapped, kind, has_status=has_status), self._served)
        if wanted is None:
            _, uids = self._waiting.setdefault(one.part.path, (one.part, set()))
            uids.add(entry.uid)
            return
        await self._settle(entry, key, wanted, served, wave, step)

    async def _settle(
        self,
        entry: IndexEntry,
        key: ObjectKey,
        wanted: KubeObject,
        served: ServedKind,
        wave: _Wave | None,
        step: Step,
    ) -> None:
        has_status = "status" in wanted
        try:
            if wave is None:
                live = await self._remember(served, key, has_status=has_status)
            else:
                live = wave.live.get(served.kind.key, {}).get((key.namespace, key.name))
            subject = Subject(key, served, wanted, live, entry.api_version, wanted.get("status"))
            uid = await step.settle(subject)
        except WriteRefusedError as refusal:
            uid = None
            verdict = Verdict(Action.CONFLICT, refusal.reason, refusal.message)
            step.note(PlanItem(key, verdict))
        if uid is None:
            self._owners.give_up(entry.uid)
            return
        self._owners.settle(entry.uid, uid)
        if served.kind.key == NAMESPACES:
            self._know_namespace(key.name, wanted["metadata"].get("labels"))

    async def _remember(
        self, served: ServedKind, key: ObjectKey, *, has_status: bool
    ) -> LiveObject | None:
        if served.is_coming:
            return None
        found = await self._live.find(served.kind, key.namespace, key.name)
        if found is None or found["metadata"].get("deletionTimestamp") is not None:
            return None
        cleaned = clean(found, served.kind.key, has_status=has_status)
        metadata = found["metadata"]
        return LiveObject(
            metadata["uid"], metadata["resourceVersion"], build_content_digest(cleaned)
        )

    def _has_labels(self, kind: KindKey, entry: IndexEntry, stored: KubeObject) -> bool:
        selection = self._options.selection
        if not selection.needs_labels:
            return True
        labels = stored["metadata"].get("labels")
        return selection.has_labels(kind, entry.kind, entry.namespace, entry.name, labels)

    def _build_key(self, kind: KindKey, entry: IndexEntry, served: ServedKind | None) -> ObjectKey:
        namespace, name = map_place(
            kind, entry.namespace, entry.name, self._options.namespace_mapping
        )
        api_version = served.kind.api_version if served is not None else entry.api_version
        return ObjectKey(api_version, entry.kind, namespace, name)

    def _find_objection(
        self,
        kind: KindKey,
        key: ObjectKey,
        stored: KubeObject | None,
        served: ServedKind | None,
        wave: _Wave | None,
    ) -> Verdict | None:
        """Return why an object needs no settling, None if it does."""
        skip = find_skip(stored, kind) if stored is not None else find_kind_skip(kind)
        if skip is not None:
            return Verdict(Action.SKIPPED, skip.reason, skip.message)
        if served is None:
            return Verdict(
                Action.UNSUPPORTED,
                "NotServed",
                f"the cluster serves no {kind[1]} of group {kind[0] or 'core'!r}; install what"
                " defines it, or restore its definition as well",
            )
        if wave is not None and kind in wave.forbidden:
            return Verdict(Action.CONFLICT, "Forbidden", wave.forbidden[kind])
        if key.namespace is not None and key.namespace not in self.namespaces:
            return Verdict(
                Action.CONFLICT,
                "NamespaceMissing",
                f"namespace {key.namespace} does not exist; restore it as well, or make it first",
            )
        return None
