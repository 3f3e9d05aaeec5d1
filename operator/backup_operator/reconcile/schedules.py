"""Reconciling one BackupSchedule: its Backups created, cancelled and expired, its status told."""

import logging
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from backup_operator.cluster.api import ClusterApi, ClusterError, ConflictError, GoneError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.decisions.schedule import EXPIRE_PAUSE, build_backup, decide_schedule
from backup_operator.decisions.schedule_facts import ScheduleSeen
from backup_operator.decisions.schedule_status import build_schedule_status, invalid_schedule
from backup_operator.decisions.schedule_steps import (
    CancelBackup,
    CreateBackupObject,
    ExpireBackup,
    Rest,
    ScheduleReport,
)
from backup_operator.reconcile.queue import RetryLaterError
from backup_operator.reconcile.stepping import Resting, Stepper
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP, BACKUP_SCHEDULE, EXPIRED_ANNOTATION, Kind
from backup_operator.resources.parts import ObjectMetadata, format_timestamp
from backup_operator.resources.reading import read_status
from backup_operator.resources.schedule import BackupScheduleResource
from backup_operator.resources.schedule_status import BackupScheduleStatus

logger = logging.getLogger(__name__)


class TakenNames:
    """The names of all Backups of a namespace, answered from the cache."""

    def __init__(self, cache: ObjectCache, namespace: str) -> None:
        self._cache = cache
        self._namespace = namespace

    def __contains__(self, name: object) -> bool:
        return self._cache.find(Key(BACKUP.kind, self._namespace, str(name))) is not None


class ScheduleReconciler:
    """Makes Backups by the clock; whatever it knows can be read from the objects again.

    ``announce`` takes the Backups that it writes, as a watch does: they have to be looked at.
    """

    def __init__(
        self,
        cluster: ClusterApi,
        cache: ObjectCache,
        announce: Callable[[Kind, dict[str, Any]], None],
        writer: StatusWriter,
        clock: Clock,
    ) -> None:
        self._stepper = Stepper(BACKUP_SCHEDULE, cache, writer, clock)
        self._cluster = cluster
        self._cache = cache
        self._announce = announce
        self._writer = writer
        self._clock = clock

    async def reconcile(self, key: Key) -> timedelta | None:
        """Take steps until nothing is due; returns when to come back. Raises RetryLaterError."""
        refused: list[str] = []
        again = await self._stepper.run(
            key,
            lambda entry, body: self._take_step(entry, body, refused),
            self._report_invalid,
        )
        if refused:
            raise RetryLaterError(refused[-1])
        return again

    async def _take_step(
        self, entry: Entry, body: dict[str, Any], refused: list[str]
    ) -> Resting | None:
        resource = BackupScheduleResource.from_body(body)
        seen = self._see(entry, resource, refused[-1] if refused else None)
        decision = decide_schedule(resource.spec, seen, self._clock())
        logger.debug("%s: %s", entry.key, decision)
        match decision:
            case Rest():
                return Resting()
            case ScheduleReport():
                await self._report(body, resource, seen, decision)
                if decision.expire is None:
                    return Resting(decision.until)
                await self._expire(body, entry.key, decision.expire)
                return Resting(self._clock() + EXPIRE_PAUSE)
            case CreateBackupObject():
                refusal = await self._create(body, resource, seen, decision)
                refused.extend([refusal] if refusal is not None else ())
            case CancelBackup():
                await self._cancel(body, entry.key.namespace, decision)
        return None

    def _see(
        self, entry: Entry, resource: BackupScheduleResource, refusal: str | None
    ) -> ScheduleSeen:
        backups = (other.scheduled for other in self._cache.referring_to(entry.key))
        return ScheduleSeen(
            metadata=resource.metadata,
            status=resource.status,
            backups=tuple(one for one in backups if one is not None),
            taken=TakenNames(self._cache, entry.key.namespace),
            refusal=refusal,
        )

    async def _create(
        self,
        body: dict[str, Any],
        resource: BackupScheduleResource,
        seen: ScheduleSeen,
        step: CreateBackupObject,
    ) -> str | None:
        """Create a Backup; returns why the cluster does not take it."""
        try:
            created = await self._cluster.create_object(
                BACKUP, build_backup(resource.spec, seen, step)
            )
        except ConflictError:  # made by an earlier attempt, or it is somebody else's
            await self._refresh(BACKUP, resource.metadata.namespace, step.name)
            return None
        except GoneError:
            raise RetryLaterError("the namespace is gone") from None
        except ClusterError as trouble:
            if trouble.status not in _FINAL:
                raise
            return f"The cluster does not take Backup {step.name}: {trouble}"
        self._announce(BACKUP, created)
        when = f"scheduled for {format_timestamp(step.at)}" if step.at else "asked for by hand"
        self._writer.tell(
            BACKUP_SCHEDULE, body, "BackupCreated", f"Created Backup {step.name}, {when}."
        )
        return None

    async def _cancel(self, body: dict[str, Any], namespace: str, step: CancelBackup) -> None:
        if await self._change(namespace, step.name, {"spec": {"cancel": True}}):
            note = f"Cancelled Backup {step.name}, which {step.successor} replaces."
            self._writer.tell(BACKUP_SCHEDULE, body, "BackupReplaced", note)

    async def _report(
        self,
        body: dict[str, Any],
        resource: BackupScheduleResource,
        seen: ScheduleSeen,
        report: ScheduleReport,
    ) -> None:
        standing = report.standing
        status = build_schedule_status(
            resource.metadata.generation, resource.status, seen.backups, standing, self._clock()
        )
        if not await self._writer.write_status(BACKUP_SCHEDULE, body, status):
            return
        missed = standing.last_missed_time
        if missed is not None and missed != resource.status.last_missed_time:
            note = (
                f"The run scheduled for {format_timestamp(missed)} could not be started within"
                f" {resource.spec.starting_deadline_seconds} seconds and is left out."
            )
            self._writer.tell(BACKUP_SCHEDULE, body, "RunMissed", note, warn=True)

    async def _expire(self, body: dict[str, Any], key: Key, step: ExpireBackup) -> None:
        mark = {"metadata": {"annotations": {EXPIRED_ANNOTATION: key.name}}}
        if not await self._change(key.namespace, step.name, mark):
            return
        entry = self._cache.find(Key(BACKUP.kind, key.namespace, step.name))
        if entry is None:
            return
        try:
            await self._cluster.delete_object(BACKUP, entry.body())
        except ConflictError:
            return  # it is looked at again
        except GoneError:
            pass
        await self._refresh(BACKUP, key.namespace, step.name)
        note = f"Deleted Backup {step.name}, which spec.retention does not keep."
        self._writer.tell(BACKUP_SCHEDULE, body, "BackupExpired", note)

    async def _change(self, namespace: str, name: str, change: dict[str, Any]) -> bool:
        """Patch a Backup; False: it has changed or gone meanwhile, so decide anew."""
        entry = self._cache.find(Key(BACKUP.kind, namespace, name))
        if entry is None:
            return False
        try:
            self._announce(BACKUP, await self._cluster.patch(BACKUP, entry.body(), change))
        except (ConflictError, GoneError):
            await self._refresh(BACKUP, namespace, name)
            return False
        return True

    async def _refresh(self, kind: Kind, namespace: str | None, name: str) -> None:
        key = Key(kind.kind, namespace or "", name)
        try:
            self._announce(kind, await self._cluster.get_object(kind, namespace, name))
        except GoneError:
            entry = self._cache.find(key)
            if entry is not None:
                self._cache.remove(key, entry.uid)

    async def _report_invalid(self, body: dict[str, Any], problem: InvalidSpecError) -> None:
        stored, _ = read_status(BackupScheduleStatus, body)
        generation = ObjectMetadata.from_body(body).generation
        status = invalid_schedule(generation, stored, str(problem), self._clock())
        await self._writer.write_status(BACKUP_SCHEDULE, body, status)


_FINAL: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}
)
