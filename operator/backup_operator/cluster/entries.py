"""One object as the cache keeps it: small, with what is looked up across objects laid open."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from backup_operator.decisions.drift import Told
from backup_operator.resources.backup import DeletionPolicy
from backup_operator.resources.group import BACKUP, DEFAULT_ENGINE_ANNOTATION, FINALIZER, Kind
from backup_operator.resources.parts import ConditionStatus, ConditionType

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
NOTHING_TOLD: Final = Told(None, ConditionStatus.UNKNOWN.value, ConditionStatus.UNKNOWN.value)


class Key(NamedTuple):
    """Names an object of one kind; ``namespace`` is empty for a cluster-scoped kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(filter(None, (self.namespace, self.name)))}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object; the body is kept as JSON.

    ``refers_to`` names the objects whose reconciliation rests on this one or the other way round.
    """

    key: Key
    uid: str
    version: int
    content: bytes
    engine_uid: str | None  # of the engine that the object is bound to
    is_finished: bool  # and nothing waits to be done for it
    is_quiet: bool  # finished, and its status is about the newest spec
    is_default: bool  # a BackupEngine for objects that name none
    phase: str | None
    refers_to: tuple[Key, ...] = ()
    record_id: int | None = None  # of a Backup
    deleting_since: datetime | None = None  # None: nobody deletes it, or nothing of ours keeps it
    told: Told = NOTHING_TOLD

    def body(self) -> dict[str, Any]:
        """Return the object, a new copy."""
        body: dict[str, Any] = json.loads(self.content)
        return body


def build_key(kind: Kind, body: dict[str, Any]) -> Key:
    """Build the key of a raw object."""
    metadata = body["metadata"]
    return Key(kind.kind, metadata.get("namespace") or "", metadata["name"])


def build_entry(kind: Kind, body: dict[str, Any]) -> Entry:
    """Build the entry of a raw object, whatever state its spec and status are in."""
    metadata = body["metadata"]
    status = mapping(body.get("status"))
    conditions = {
        str(condition.get("type")): str(condition.get("status"))
        for condition in status.get("conditions") or ()
        if isinstance(condition, dict)
    }
    deleting = metadata.get("deletionTimestamp")
    is_kept = FINALIZER in (metadata.get("finalizers") or ())
    is_finished = (
        conditions.get(ConditionType.FINISHED) == ConditionStatus.TRUE
        and conditions.get(ConditionType.RECONCILING) != ConditionStatus.TRUE
        and deleting is None
    )
    is_settled = is_finished and status.get("observedGeneration") == metadata.get("generation")
    common = Entry(
        key=build_key(kind, body),
        uid=metadata["uid"],
        version=_version(metadata.get("resourceVersion")),
        content=json.dumps(_slim(body), separators=(",", ":"), ensure_ascii=False).encode(),
        engine_uid=mapping(status.get("engine")).get("uid"),
        is_finished=is_finished,
        is_quiet=is_settled,
        is_default=mapping(metadata.get("annotations")).get(DEFAULT_ENGINE_ANNOTATION) == "true",
        phase=status.get("phase"),
    )
    if kind is not BACKUP:
        return common
    record_id = status.get("id")
    wants_keeping = mapping(body.get("spec")).get("deletionPolicy") == DeletionPolicy.DELETE
    unknown = ConditionStatus.UNKNOWN.value
    return replace(
        common,
        record_id=record_id if isinstance(record_id, int) else None,
        is_quiet=is_settled and is_kept == wants_keeping,
        deleting_since=datetime.fromisoformat(deleting) if deleting and is_kept else None,
        told=Told(
            status=status.get("status"),
            valid=conditions.get(ConditionType.VALID, unknown),
            compatible=conditions.get(ConditionType.COMPATIBLE, unknown),
        ),
    )


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
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
