"""The newest known state of every object of ours, small enough for ten thousand."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from backup_operator.cluster.entries import Entry, Key, build_entry, build_key, version_of
from backup_operator.resources.group import BACKUP, Kind

__all__ = ["Entry", "Key", "ObjectCache", "build_key"]

TOMBSTONES: Final = 10_000


class ObjectCache:
    """Objects by key; an older state never replaces a newer one, nor a deleted one comes back."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[Key, Entry]] = defaultdict(dict)
        self._unfinished: dict[str, set[Key]] = defaultdict(set)
        self._referring: dict[Key, set[Key]] = defaultdict(set)
        self._by_record: dict[tuple[str, int], Key] = {}
        self._unfinished_records: dict[str, set[int]] = {}
        self._unanswered: dict[str, set[Key]] = {}
        self._deleting: dict[str, dict[Key, datetime]] = {}
        self._buried: OrderedDict[str, None] = OrderedDict()
        self._listeners: list[Callable[[Entry], None]] = []

    def subscribe(self, listener: Callable[[Entry], None]) -> None:
        """Have ``listener`` called with each object that is new, changed or gone."""
        self._listeners.append(listener)

    def put(self, kind: Kind, body: dict[str, Any]) -> Entry | None:
        """Take over a state of an object; None: a newer one is known, or it was deleted."""
        key, uid = build_key(kind, body), body["metadata"]["uid"]
        if uid in self._buried:
            return None
        before = self.find(key)
        if before is not None and before.uid == uid and before.version >= version_of(body):
            return None  # asked before anything is built: most of what watches tell is known
        entry = build_entry(kind, body)
        if before is not None:
            if before.uid != uid:
                self._bury(before.uid)
            self._unlink(before)
        self._entries[entry.key.kind][entry.key] = entry
        self._link(entry)
        self._tell(entry)
        return entry

    def remove(self, key: Key, uid: str) -> Entry | None:
        """Forget an object that was deleted; None: it was not known, or another has its name."""
        self._bury(uid)
        before = self.find(key)
        if before is None or before.uid != uid:
            return None
        self._unlink(before)
        del self._entries[key.kind][key]
        self._tell(before)
        return before

    def find(self, key: Key) -> Entry | None:
        """Find the newest state of an object."""
        return self._entries[key.kind].get(key)

    def entries(self, kind: Kind) -> Iterator[Entry]:
        """Iterate over the objects of a kind; they must not change meanwhile."""
        return iter(self._entries[kind.kind].values())

    def unfinished(self, kind: Kind) -> tuple[Entry, ...]:
        """Return the objects of a kind that something waits to be done for."""
        known = self._entries[kind.kind]
        return tuple(known[key] for key in self._unfinished[kind.kind])

    def referring_to(self, key: Key) -> tuple[Entry, ...]:
        """Return the objects that refer to this one, which need not exist."""
        found = (self.find(one) for one in self._referring.get(key, ()))
        return tuple(entry for entry in found if entry is not None)

    def find_by_record(self, engine_uid: str, record_id: int) -> Entry | None:
        """Find the Backup that has this record."""
        key = self._by_record.get((engine_uid, record_id))
        return self.find(key) if key is not None else None

    def unfinished_records(self, engine_uid: str) -> frozenset[int]:
        """Return the ids of the records of one engine whose Backups wait for a change."""
        return frozenset(self._unfinished_records.get(engine_uid, ()))

    def count_unanswered(self, engine_uid: str) -> int:
        """Count the Backups that one engine was asked for, or will be, and has no record of."""
        return len(self._unanswered.get(engine_uid, ()))

    def records(self, engine_uid: str) -> frozenset[int]:
        """Return the ids of all records of one engine that belong to Backups."""
        return frozenset(number for uid, number in self._by_record if uid == engine_uid)

    def deletions(self, engine_uid: str) -> dict[Key, datetime]:
        """Return since when the Backups of one engine that are kept are being deleted."""
        return dict(self._deleting.get(engine_uid, {}))

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def _tell(self, entry: Entry) -> None:
        for listener in self._listeners:
            listener(entry)

    def _bury(self, uid: str) -> None:
        self._buried[uid] = None
        while len(self._buried) > TOMBSTONES:
            self._buried.popitem(last=False)

    def _link(self, entry: Entry) -> None:
        if not entry.is_finished:
            self._unfinished[entry.key.kind].add(entry.key)
        for key in entry.refers_to:
            self._referring[key].add(entry.key)
        if entry.engine_uid is None:
            return
        if entry.record_id is None:
            if entry.key.kind == BACKUP.kind and not entry.is_finished:
                self._unanswered.setdefault(entry.engine_uid, set()).add(entry.key)
            return
        self._by_record[entry.engine_uid, entry.record_id] = entry.key
        if not entry.is_finished:
            self._unfinished_records.setdefault(entry.engine_uid, set()).add(entry.record_id)
        if entry.deleting_since is not None:
            self._deleting.setdefault(entry.engine_uid, {})[entry.key] = entry.deleting_since

    def _unlink(self, entry: Entry) -> None:
        self._unfinished[entry.key.kind].discard(entry.key)
        for key in entry.refers_to:
            referring = self._referring[key]
            referring.discard(entry.key)
            if not referring:
                del self._referring[key]
        if entry.engine_uid is None:
            return
        self._unanswered.get(entry.engine_uid, set()).discard(entry.key)
        if entry.record_id is None:
            return
        if self._by_record.get((entry.engine_uid, entry.record_id)) == entry.key:
            del self._by_record[entry.engine_uid, entry.record_id]
        self._unfinished_records.get(entry.engine_uid, set()).discard(entry.record_id)
        self._deleting.get(entry.engine_uid, {}).pop(entry.key, None)
