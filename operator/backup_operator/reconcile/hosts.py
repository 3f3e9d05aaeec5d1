"""Reconciling one BackupHost: it only tells what the engine makes of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from backup_api.exceptions import RefusedError
from backup_api.extensions.hosts import EngineHostRecord
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.decisions.facts import EngineSeen
from backup_operator.decisions.host import (
    SOON,
    HostSeen,
    HostStanding,
    build_host_status,
    judge_host,
)
from backup_operator.engines.directory import KnownEngine
from backup_operator.reconcile.engine_finding import EngineFinder
from backup_operator.reconcile.stepping import Resting, Stepper
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP_HOST
from backup_operator.resources.host import BackupHostResource
from backup_operator.resources.host_status import BackupHostStatus
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.reading import read_status

LONGEST_INTERVAL: Final = timedelta(seconds=30)
SHARED_FOR: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class HostList:
    """The hosts of an engine at a moment; None: it is an appliance."""

    at: datetime
    hosts: tuple[EngineHostRecord, ...] | None


class HostReconciler:
    """Keeps the statuses of BackupHosts true; one list of hosts serves all of an engine."""

    def __init__(
        self,
        cache: ObjectCache,
        finder: EngineFinder,
        writer: StatusWriter,
        interval: timedelta,
        clock: Clock,
    ) -> None:
        self._finder = finder
        self._writer = writer
        self._clock = clock
        self._interval = min(interval, LONGEST_INTERVAL)
        self._stepper = Stepper(BACKUP_HOST, cache, writer, clock)
        self._lists: dict[str, HostList] = {}

    async def reconcile(self, key: Key) -> timedelta | None:
        """Tell what the engine says; returns when to look again. Raises RetryLaterError."""
        return await self._stepper.run(key, self._tell, self._tell_invalid)

    async def _tell(self, _: Entry, body: dict[str, Any]) -> Resting | None:
        resource = BackupHostResource.from_body(body)
        if resource.metadata.is_deleting:
            return Resting()
        engine, engine_seen = await self._finder.find(resource.spec.engine_ref, None, None)
        if engine_seen.is_connecting:
            return Resting()
        hosts = None
        if engine is not None and engine_seen.is_usable:
            hosts = await self._list_hosts(engine)
        seen = HostSeen(resource.metadata, resource.status, engine_seen, hosts)
        standing = judge_host(resource.spec, seen)
        now = self._clock()
        await self._writer.write_status(BACKUP_HOST, body, build_host_status(seen, standing, now))
        pause = min(SOON, self._interval) if standing.is_moving else self._interval
        return Resting(now + pause)

    async def _list_hosts(self, engine: KnownEngine) -> tuple[EngineHostRecord, ...] | None:
        now = self._clock()
        known = self._lists.get(engine.link.uid)
        if known is not None and timedelta(0) <= now - known.at < SHARED_FOR:
            return known.hosts
        async with engine.link.client() as client:
            try:
                hosts: tuple[EngineHostRecord, ...] | None = await client.list_engine_hosts()
            except RefusedError as refusal:
                if refusal.http_status != HTTPStatus.NOT_FOUND:
                    raise
                hosts = None
        self._lists[engine.link.uid] = HostList(now, hosts)
        return hosts

    async def _tell_invalid(self, body: dict[str, Any], problem: InvalidSpecError) -> None:
        stored, _ = read_status(BackupHostStatus, body)
        seen = HostSeen(ObjectMetadata.from_body(body), stored, EngineSeen(None))
        standing = HostStanding("InvalidSpec", str(problem), is_stalled=True)
        await self._writer.write_status(
            BACKUP_HOST, body, build_host_status(seen, standing, self._clock())
        )
