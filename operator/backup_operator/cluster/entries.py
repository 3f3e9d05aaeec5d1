"""One object as the cache keeps it: small, with what is looked up across objects laid open."""

import sys
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from backup_operator.decisions.drift import Told
from backup_operator.decisions.schedule_facts import ScheduledBackup, read_scheduled_backup
from backup_operator.resources.backup import DeletionPolicy
from backup_operator.resources.group import (
    BACKUP,
    BACKUP_SCHEDULE,
    DEFAULT_ENGINE_ANNOTATION,
    EXPIRED_ANNOTATION,
    FINALIZER,
    RESTORE,
    SCHEDULE_LABEL,
    Kind,
)
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
class ScheduledSuccess:
    """A good backup of a schedule, as far as figures go."""

    schedule: str
    completed_at: datetime
    size_bytes: int | None
    duration_s: float | None


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
    backup_type: str | None = None
    engine_name: str | None = None
    success: ScheduledSuccess | None = None
    scheduled: ScheduledBackup | None = None  # a Backup that a schedule has made

    def body(self) -> dict[str, Any]:
        """Return the object, a new copy."""
        return msgspec.json.decode(self.content, type=dict[str, Any])


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
        for condition in listing(status.get("conditions"))
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
        version=version_of(body),
        content=msgspec.json.encode(_slim(body)),
        engine_uid=_word(mapping(status.get("engine")).get("uid")),
        is_finished=is_finished,
        is_quiet=is_settled,
        is_default=mapping(metadata.get("annotations")).get(DEFAULT_ENGINE_ANNOTATION) == "true",
        phase=_word(status.get("phase")),
    )
    if kind is RESTORE:
        backup = mapping(mapping(body.get("spec")).get("backupRef")).get("name")
        refers_to = (Key(BACKUP.kind, common.key.namespace, str(backup)),) if backup else ()
        # Its finalizer goes when it is over, and until then something is to be done.
        return replace(common, refers_to=refers_to, is_quiet=is_settled and not is_kept)
    if kind is not BACKUP:
        return common
    record_id = status.get("id")
    wants_keeping = mapping(body.get("spec")).get("deletionPolicy") == DeletionPolicy.DELETE
    unknown = ConditionStatus.UNKNOWN.value
    namespace = common.key.namespace
    annotations = mapping(metadata.get("annotations"))
    schedule = mapping(metadata.get("labels")).get(SCHEDULE_LABEL)
    is_meant = EXPIRED_ANNOTATION in annotations  # and no burst of somebody's mistake
    return replace(
        common,
        refers_to=(Key(BACKUP_SCHEDULE.kind, namespace, schedule),) if schedule else (),
        scheduled=read_scheduled_backup(body, conditions) if schedule else None,
        record_id=record_id if isinstance(record_id, int) else None,
        is_quiet=is_settled and is_kept == wants_keeping,
        deleting_since=(
            datetime.fromisoformat(deleting) if deleting and is_kept and not is_meant else None
        ),
        told=Told(
            status=status.get("status"),
            valid=conditions.get(ConditionType.VALID, unknown),
            compatible=conditions.get(ConditionType.COMPATIBLE, unknown),
        ),
        backup_type=_word(mapping(body.get("spec")).get("backupType")),
        engine_name=_word(mapping(status.get("engine")).get("name")),
        success=_find_success(metadata, status, conditions),
    )


def _find_success(
    metadata: dict[str, Any], status: dict[str, Any], conditions: dict[str, str]
) -> ScheduledSuccess | None:
    schedule = mapping(metadata.get("labels")).get(SCHEDULE_LABEL)
    ended = parse_time(status.get("terminatedAt"))
    if schedule is None or ended is None:
        return None
    if conditions.get(ConditionType.COMPLETE) != ConditionStatus.TRUE:
        return None
    began, size = parse_time(status.get("startedAt")), status.get("sizeOnDisk")
    return ScheduledSuccess(
        schedule=str(schedule),
        completed_at=ended,
        size_bytes=size if isinstance(size, int) else None,
        duration_s=(ended - began).total_seconds() if began is not None else None,
    )


def parse_time(text: object) -> datetime | None:
    """Read RFC 3339; None where it is absent, unreadable or without a time zone."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _word(value: object) -> str | None:
    return sys.intern(value) if isinstance(value, str) else None


def listing(value: object) -> list[Any]:
    """Return ``value`` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


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


def version_of(body: dict[str, Any]) -> int:
    """Return the version of an object as a number, which grows with each write."""
    version = body["metadata"].get("resourceVersion")
    return int(version) if version and version.isdecimal() else 0
