"""The newest known state of every Backup and BackupEngine, small enough for ten thousand."""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from backup_operator.decisions.drift import Told
from backup_operator.resources.backup import DeletionPolicy
from backup_operator.resources.group import DEFAULT_ENGINE_ANNOTATION, FINALIZER, Kind
from backup_operator.resources.parts import ConditionStatus, ConditionType

TOMBSTONES: Final = 10_000
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


class Key(NamedTuple):
    """Names an object of one kind; ``namespace`` is empty for a cluster-scoped kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(filter(None, (self.namespace, self.name)))}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object, with what is looked up across objects laid open; the body is kept as JSON."""

    key: Key
    uid: str
    version: int
    content: bytes
    engine_uid: str | None  # of the engine that a Backup was submitted to
    record_id: int | None
    is_finished: bool  # and nothing waits to be done for it
    is_quiet: bool  # finished, and its status is about the newest spec
    is_default: bool  # a BackupEngine for Backups that name none
    deleting_since: datetime | None  # None: nobody deletes it, or nothing of ours keeps it
    phase: str | None
    told: Told

    def body(self) -> dict[str, Any]:
        """Return the object, a new copy."""
        body: dict[str, Any] = json.loads(self.content)
        return body


class ObjectCache:
    """Objects by key; an older state never replaces a newer one, nor a deleted one comes back."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._by_record: dict[tuple[str, int], Key] = {}
        self._unfinished: dict[str, set[int]] = {}
        self._deleting: dict[str, dict[Key, datetime]] = {}
        self._buried: OrderedDict[str, None] = OrderedDict()

    def put(self, kind: Kind, body: dict[str, Any]) -> Entry | None:
        """Take over a state of an object; None: a newer one is known, or it was deleted."""
        entry = _build_entry(kind, body)
        if entry.uid in self._buried:
            return None
        before = self._entries.get(entry.key)
        if before is not None and before.uid == entry.uid and before.version >= entry.version:
            return None
        if before is not None:
            if before.uid != entry.uid:
                self._bury(before.uid)
            self._unlink(before)
        self._entries[entry.key] = entry
        self._link(entry)
        return entry

    def remove(self, key: Key, uid: str) -> Entry | None:
        """Forget an object that was deleted; None: it was not known, or another has its name."""
        self._bury(uid)
        before = self._entries.get(key)
        if before is None or before.uid != uid:
            return None
        self._unlink(before)
        return self._entries.pop(key)

    def find(self, key: Key) -> Entry | None:
        """Find the newest state of an object."""
        return self._entries.get(key)

    def find_by_record(self, engine_uid: str, record_id: int) -> Entry | None:
        """Find the Backup that has this record."""
        key = self._by_record.get((engine_uid, record_id))
        return self._entries.get(key) if key is not None else None

    def unfinished_records(self, engine_uid: str) -> frozenset[int]:
        """Return the ids of the records of one engine whose Backups wait for a change."""
        return frozenset(self._unfinished.get(engine_uid, ()))

    def records(self, engine_uid: str) -> frozenset[int]:
        """Return the ids of all records of one engine that belong to Backups."""
        return frozenset(number for uid, number in self._by_record if uid == engine_uid)

    def deletions(self, engine_uid: str) -> dict[Key, datetime]:
        """Return since when the Backups of one engine that are kept are being deleted."""
        return dict(self._deleting.get(engine_uid, {}))

    def entries(self, kind: Kind) -> Iterator[Entry]:
        """Iterate over the objects of a kind; they must not change meanwhile."""
        return (entry for entry in self._entries.values() if entry.key.kind == kind.kind)

    def __len__(self) -> int:
        return len(self._entries)

    def _bury(self, uid: str) -> None:
        self._buried[uid] = None
        while len(self._buried) > TOMBSTONES:
            self._buried.popitem(last=False)

    def _link(self, entry: Entry) -> None:
        if entry.engine_uid is None or entry.record_id is None:
            return
        self._by_record[entry.engine_uid, entry.record_id] = entry.key
        if not entry.is_finished:
            self._unfinished.setdefault(entry.engine_uid, set()).add(entry.record_id)
        if entry.deleting_since is not None:
            self._deleting.setdefault(entry.engine_uid, {})[entry.key] = entry.deleting_since

    def _unlink(self, entry: Entry) -> None:
        if entry.engine_uid is None or entry.record_id is None:
            return
        if self._by_record.get((entry.engine_uid, entry.record_id)) == entry.key:
            del self._by_record[entry.engine_uid, entry.record_id]
        self._unfinished.get(entry.engine_uid, set()).discard(entry.record_id)
        self._deleting.get(entry.engine_uid, {}).pop(entry.key, None)


def build_key(kind: Kind, body: dict[str, Any]) -> Key:
    """Build the key of a raw object."""
    metadata = body["metadata"]
    return Key(kind.kind, metadata.get("namespace") or "", metadata["name"])


def _build_entry(kind: Kind, body: dict[str, Any]) -> Entry:
    metadata = body["metadata"]
    status = _mapping(body.get("status"))
    record_id = status.get("id")
    conditions = {
        str(condition.get("type")): str(condition.get("status"))
        for condition in status.get("conditions") or ()
        if isinstance(condition, dict)
    }
    deleting = metadata.get("deletionTimestamp")
    is_kept = FINALIZER in (metadata.get("finalizers") or ())
    wants_keeping = _mapping(body.get("spec")).get("deletionPolicy") == DeletionPolicy.DELETE
    unknown = ConditionStatus.UNKNOWN.value
    is_finished = (
        conditions.get(ConditionType.FINISHED) == ConditionStatus.TRUE
        and conditions.get(ConditionType.RECONCILING) != ConditionStatus.TRUE
        and deleting is None
    )
    return Entry(
        key=build_key(kind, body),
        uid=metadata["uid"],
        version=_version(metadata.get("resourceVersion")),
        content=json.dumps(_slim(body), separators=(",", ":"), ensure_ascii=False).encode(),
        engine_uid=_mapping(status.get("engine")).get("uid"),
        record_id=record_id if isinstance(record_id, int) else None,
        is_finished=is_finished,
        is_quiet=(
            is_finished
            and status.get("observedGeneration") == metadata.get("generation")
            and is_kept == wants_keeping
        ),
        is_default=_mapping(metadata.get("annotations")).get(DEFAULT_ENGINE_ANNOTATION) == "true",
        deleting_since=datetime.fromisoformat(deleting) if deleting and is_kept else None,
        phase=status.get("phase"),
        told=Told(
            status=status.get("status"),
            valid=conditions.get(ConditionType.VALID, unknown),
            compatible=conditions.get(ConditionType.COMPATIBLE, unknown),
        ),
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _slim(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out what no decision rests on and what makes up half of an object."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and LAST_APPLIED in annotations:
        metadata["annotations"] = {
            name: value for name, value in annotations.items() if name != LAST_APPLIED
        }
    return {**body, "metadata": metadata}


def _version(resource_version: str | None) -> int:
    return int(resource_version) if resource_version and resource_version.isdecimal() else 0
