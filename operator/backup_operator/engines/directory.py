"""The engines that the operator knows, each with its link, poller and records."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from backup_operator.engines.access import SecretSource
from backup_operator.engines.link import EngineLink, RequestWatchFor, watch_nothing
from backup_operator.engines.poller import RecordPoller, WatchedBackups
from backup_operator.engines.records import RecordTable
from backup_operator.resources.engine import BackupEngineResource

REVIVAL_S: Final = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownEngine:
    """One engine and everything that runs for it."""

    link: EngineLink
    table: RecordTable
    poller: RecordPoller
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class EngineListener:
    """Whom the directory tells.

    ``engine_changed(name)``: its status may have news. ``usability_changed(uid)``: Backups that
    wait for it, or that now must. ``record_changed(uid, record_id)``.
    """

    engine_changed: Callable[[str], None]
    usability_changed: Callable[[str], None]
    record_changed: Callable[[str, int], None]


class EngineDirectory:
    """Engines by uid of their BackupEngine; an async context manager that ends their tasks."""

    def __init__(
        self,
        secrets: SecretSource,
        watched: WatchedBackups,
        listener: EngineListener,
        sweep_interval: timedelta,
        request_watch: RequestWatchFor = watch_nothing,
    ) -> None:
        self._secrets = secrets
        self._request_watch = request_watch
        self._watched = watched
        self._listener = listener
        self._sweep_interval = sweep_interval
        self._engines: dict[str, KnownEngine] = {}
        self._usable: dict[str, bool] = {}

    def find(self, uid: str) -> KnownEngine | None:
        """Find an engine by the uid of its BackupEngine."""
        return self._engines.get(uid)

    def ensure(self, resource: BackupEngineResource) -> KnownEngine:
        """Return the engine of this BackupEngine, linked as its newest spec says."""
        uid, name = resource.metadata.uid, resource.metadata.name
        known = self._engines.get(uid)
        if known is not None:
            known.link.change(resource)
            return known
        link = EngineLink(
            resource,
            self._secrets,
            lambda: self._note_change(uid, name),
            self._request_watch,
        )
        table = RecordTable()
        poller = RecordPoller(
            link,
            table,
            self._watched,
            lambda record_id: self._listener.record_changed(uid, record_id),
            self._sweep_interval,
        )
        task = asyncio.create_task(_keep(link, poller, name), name=f"engine {name}")
        known = KnownEngine(link, table, poller, task)
        self._engines[uid] = known
        return known

    async def drop(self, uid: str) -> None:
        """End the link to an engine whose BackupEngine is gone."""
        known = self._engines.pop(uid, None)
        self._usable.pop(uid, None)
        if known is not None:
            await _end(known.task)

    async def close(self) -> None:
        """End all links."""
        for uid in tuple(self._engines):
            await self.drop(uid)

    def _note_change(self, uid: str, name: str) -> None:
        known = self._engines.get(uid)
        if known is None:
            return
        self._listener.engine_changed(name)
        usable = known.link.is_usable
        if self._usable.get(uid) != usable:
            self._usable[uid] = usable
            self._listener.usability_changed(uid)
            if usable:
                known.poller.wake()


async def _keep(link: EngineLink, poller: RecordPoller, name: str) -> None:
    while True:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.run())
                group.create_task(poller.run())
        except Exception:  # a bug met at one engine must not end the others
            logger.exception("BackupEngine %s: unexpected trouble", name)
        await asyncio.sleep(REVIVAL_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
