"""Storing what was decided: statuses and finalizers, only where they differ, then the events."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from backup_operator.cluster.api import ClusterApi
from backup_operator.cluster.cache import ObjectCache, build_key
from backup_operator.cluster.events import EventPoster, ObjectEvent
from backup_operator.decisions.merge_patch import build_merge_patch
from backup_operator.resources.group import FINALIZER, Kind
from backup_operator.resources.parts import (
    Condition,
    ConditionStatus,
    ConditionType,
    ResourcePart,
)

Body = dict[str, Any]
Clock = Callable[[], datetime]

UNTOLD = frozenset({"Submitting", "Initializing", "InProgress", "Connecting", "Found"})
"""Reasons that are a normal next step, of which an event would tell nothing new."""

ALARMING = frozenset({"EngineUnreachable", "UnexpectedAnswer", "EngineUnwell", "StagedChanges"})
"""Reasons that people should hear of although the operator may get past them by itself."""


class StatusWriter:
    """Writes to the cluster with preconditions and puts every answer into the cache."""

    def __init__(self, cluster: ClusterApi, cache: ObjectCache, events: EventPoster) -> None:
        self._cluster = cluster
        self._cache = cache
        self._events = events

    async def write_status(self, kind: Kind, body: Body, status: ResourcePart) -> bool:
        """Store ``status`` where it differs from the one in ``body``; True if it did.

        Raises ConflictError if ``body`` is no longer the newest, and another ClusterError if the
        cluster refuses or is silent.
        """
        known = {field.alias for field in type(status).model_fields.values()}
        raw = body.get("status")
        stored = raw if isinstance(raw, dict) else {}
        ours = {name: value for name, value in stored.items() if name in known}
        change = build_merge_patch(ours, status.to_body())
        if not change:
            return False
        answer = await self._cluster.patch(kind, body, {"status": change}, subresource="status")
        self._cache.put(kind, answer)
        self._tell(kind, answer, ours.get("conditions"))
        return True

    async def write_finalizers(self, kind: Kind, body: Body, *, wanted: bool) -> None:
        """Add or remove our finalizer; those of others stay."""
        present = list(body["metadata"].get("finalizers") or ())
        others = [name for name in present if name != FINALIZER]
        finalizers = [*others, FINALIZER] if wanted else others
        answer = await self._cluster.patch(kind, body, {"metadata": {"finalizers": finalizers}})
        if not finalizers and "deletionTimestamp" in answer["metadata"]:
            # It was the last one, and the answer is as old as what is known: it is gone now.
            self._cache.remove(build_key(kind, answer), answer["metadata"]["uid"])
        else:
            self._cache.put(kind, answer)

    async def refresh(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Read an object anew; raises GoneError."""
        self._cache.put(kind, await self._cluster.get_object(kind, namespace, name))

    def tell(self, kind: Kind, body: Body, reason: str, note: str, *, warn: bool = False) -> None:
        """Have an event posted about something that is stored already."""
        self._events.post(ObjectEvent(kind.kind, body["metadata"], reason, note, warn))

    def _tell(self, kind: Kind, body: Body, before: object) -> None:
        ready = _find_ready(body["status"].get("conditions"))
        if ready is None or ready.reason in UNTOLD:
            return
        earlier = _find_ready(before)
        if earlier is None or earlier.reason != ready.reason:
            stalled = _find(body["status"].get("conditions"), ConditionType.STALLED)
            is_stalled = stalled is not None and stalled.status is ConditionStatus.TRUE
            warn = is_stalled or ready.reason in ALARMING
            self.tell(kind, body, ready.reason, ready.message or ready.reason, warn=warn)


def _find_ready(conditions: object) -> Condition | None:
    return _find(conditions, ConditionType.READY)


def _find(conditions: object, type_: ConditionType) -> Condition | None:
    """Find a condition in what is stored, which may have been written past the schema."""
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, dict) and one.get("type") == type_:
            with contextlib.suppress(ValidationError):
                return Condition.model_validate(one)
    return None
