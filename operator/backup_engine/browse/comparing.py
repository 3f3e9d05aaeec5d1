"""What differs between two states of a cluster: of two archives, or an archive and today.

An object that has the same uid and resourceVersion on both sides is the same and is not looked at.
Others are compared as a restore would: without what a cluster assigns, and without status. What a
restore skips, such as Pods of a Deployment, is left out of the comparison.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from backup_engine.restore.cleaning import without_owner_uids
from backup_engine.restore.difference import FieldChange, list_changes
from backup_engine.restore.identity import KindKey, KubeObject, ObjectKey
from backup_engine.restore.live import Place
from backup_engine.restore.skipping import find_kind_skip


class Change(StrEnum):
    """How an object of the new state relates to the old one."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class KindLabel:
    """A kind as one side names it."""

    key: KindKey
    api_version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that differs; ``fields`` have values of old and new, for CHANGED only."""

    change: Change
    key: ObjectKey
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    change: Change
    label: KindLabel
    place: Place


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that differs, without the fields: those are fetched a page at a time."""

    counts: Mapping[Change, int]
    same: int
    entries: Sequence[_Entry]
    not_compared: tuple[str, ...] = ()  # kinds that one side does not know, and why


class UnreadableKindError(Exception):
    """One kind cannot be read on this side, such as for want of rights."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells that an object was not touched in between."""

    uid: str
    resource_version: str


class Side(Protocol):
    """One of the two states."""

    async def list_kinds(self) -> Mapping[KindKey, KindLabel]:
        """Return the kinds it has."""

    def find_gap(self, kind: KindKey) -> str | None:
        """Return why this side does not know whether objects of ``kind`` exist; None: it does."""

    async def scan(self, kind: KindKey) -> Mapping[Place, Identity]:
        """Return the chosen objects of a kind; raises UnreadableKindError."""

    async def digest(self, kind: KindKey, places: Collection[Place]) -> Mapping[Place, bytes]:
        """Return the digests of cleaned objects; what a restore skips is left out."""

    async def read(self, kind: KindKey, places: Collection[Place]) -> Mapping[Place, KubeObject]:
        """Return cleaned objects; one that is gone meanwhile is left out."""


async def compare(old: Side, new: Side) -> Comparison:
    """Find what differs. Raises ArchiveError, RestoreError. Memory: some 100 bytes per object."""
    before, after = await old.list_kinds(), await new.list_kinds()
    entries: list[_Entry] = []
    not_compared: list[str] = []
    same = 0
    for key in sorted({**before, **after}):
        if find_kind_skip(key) is not None:
            continue
        label = before.get(key) or after[key]
        gap = old.find_gap(key) or new.find_gap(key)
        if gap is not None:
            not_compared.append(f"{label.kind} ({label.api_version}): {gap}")
            continue
        try:
            untouched, found = await _compare_kind(
                key, old if key in before else None, new if key in after else None
            )
        except UnreadableKindError as trouble:
            not_compared.append(f"{label.kind} ({label.api_version}): {trouble}")
            continue
        same += untouched
        entries += [_Entry(change, label, place) for place, change in found]
    counts = {change: sum(entry.change is change for entry in entries) for change in Change}
    return Comparison(counts, same, entries, tuple(not_compared))


async def detail(entries: Iterable[_Entry], old: Side, new: Side) -> list[Difference]:
    """Fetch the fields of a page of entries, in their order."""
    entries = list(entries)
    changed: dict[KindKey, set[Place]] = {}
    for entry in entries:
        if entry.change is Change.CHANGED:
            changed.setdefault(entry.label.key, set()).add(entry.place)
    before = {key: await old.read(key, places) for key, places in changed.items()}
    after = {key: await new.read(key, places) for key, places in changed.items()}
    found = []
    for entry in entries:
        kind, (namespace, name) = entry.label.key, entry.place
        fields: tuple[FieldChange, ...] = ()
        if entry.change is Change.CHANGED:
            one, other = before[kind].get(entry.place), after[kind].get(entry.place)
            if one is not None and other is not None:
                fields = list_changes(
                    without_owner_uids(one), without_owner_uids(other), kind, is_exact=True
                )
        key = ObjectKey(entry.label.api_version, entry.label.kind, namespace, name)
        found.append(Difference(entry.change, key, fields))
    return found


async def _compare_kind(
    key: KindKey, old: Side | None, new: Side | None
) -> tuple[int, list[tuple[Place, Change]]]:
    """Return how many objects are the same, and the others by place."""
    before = await old.scan(key) if old is not None else {}
    after = await new.scan(key) if new is not None else {}
    untouched = {place for place, identity in before.items() if after.get(place) == identity}
    was = await old.digest(key, before.keys() - untouched) if old is not None else {}
    now = await new.digest(key, after.keys() - untouched) if new is not None else {}
    found: list[tuple[Place, Change]] = []
    same = len(untouched)
    for place in sorted(was.keys() | now.keys(), key=lambda at: (at[0] or "", at[1])):
        if place not in was:
            # skipped on one side only, such as a Job that has ended since: not a difference
            if place not in before:
                found.append((place, Change.ADDED))
        elif place not in now:
            if place not in after:
                found.append((place, Change.REMOVED))
        elif was[place] != now[place]:
            found.append((place, Change.CHANGED))
        else:
            same += 1
    return same, found
