"""One term of leading: everything that acts, made anew each time this replica takes the lease."""

import asyncio
from datetime import timedelta
from typing import Final

from backup_operator.cluster.api import ClusterApi
from backup_operator.cluster.cache import Key, ObjectCache
from backup_operator.cluster.events import EventPoster
from backup_operator.cluster.secrets import ClusterSecrets
from backup_operator.engines.directory import EngineDirectory, EngineListener
from backup_operator.engines.link import RequestWatchFor
from backup_operator.reconcile.applying import EngineSteps
from backup_operator.reconcile.backups import BackupReconciler
from backup_operator.reconcile.configurations import ConfigurationReconciler
from backup_operator.reconcile.dispatch import Dispatcher, Reconciler
from backup_operator.reconcile.engine_finding import EngineFinder
from backup_operator.reconcile.engines import EngineReconciler
from backup_operator.reconcile.hosts import HostReconciler
from backup_operator.reconcile.memory import Memories
from backup_operator.reconcile.observing import Observer
from backup_operator.reconcile.queue import Account, WorkQueue
from backup_operator.reconcile.restores import RestoreReconciler
from backup_operator.reconcile.schedules import ScheduleReconciler
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.group import (
    BACKUP,
    BACKUP_CONFIGURATION,
    BACKUP_ENGINE,
    BACKUP_HOST,
    BACKUP_SCHEDULE,
    RESTORE,
)
from backup_operator.settings import OperatorSettings

EVENTS_END_WITHIN_S: Final = 1.0


class Term:
    """Queue, engines and reconcilers over the cache that outlives them."""

    def __init__(
        self,
        settings: OperatorSettings,
        cluster: ClusterApi,
        cache: ObjectCache,
        dispatcher: Dispatcher,
        request_watch: RequestWatchFor,
        account: Account[Key],
        clock: Clock,
    ) -> None:
        self._dispatcher = dispatcher
        self._events = EventPoster(cluster, settings.instance)
        self.queue: WorkQueue[Key] = WorkQueue(self._reconcile, settings.workers, account)
        self.engines = EngineDirectory(
            ClusterSecrets(cluster),
            cache,
            EngineListener(
                dispatcher.engine_changed,
                dispatcher.usability_changed,
                dispatcher.record_changed,
            ),
            settings.sweep_interval,
            request_watch,
        )
        memories = Memories()
        writer = StatusWriter(cluster, cache, self._events)
        finder = EngineFinder(cluster, cache, self.engines)
        observer = Observer(cache, self.engines, finder, memories)
        steps = EngineSteps(memories, clock)
        self._reconciler = Reconciler(
            {
                BACKUP: BackupReconciler(cache, observer, steps, writer, memories, clock),
                BACKUP_ENGINE: EngineReconciler(cache, self.engines, writer, clock),
                BACKUP_CONFIGURATION: ConfigurationReconciler(
                    cache, finder, writer, settings.sweep_interval, clock
                ),
                BACKUP_HOST: HostReconciler(cache, finder, writer, settings.sweep_interval, clock),
                RESTORE: RestoreReconciler(cache, finder, writer, clock),
                BACKUP_SCHEDULE: ScheduleReconciler(cluster, cache, dispatcher.saw, writer, clock),
            }
        )

    async def run(self) -> None:
        """Act until cancelled."""
        self._dispatcher.open(self.queue)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run())
            group.create_task(self._events.run())

    async def end(self, running: asyncio.Task[None], grace_s: float) -> None:
        """End in the order of dependence: work, its engines, and last its events.

        ``grace_s``: what work that has begun may take, so that a POST is answered and its id
        stored; 0 where another replica is about to act.
        """
        self._dispatcher.close()
        await self.queue.stop(grace_s)
        running.cancel()
        await asyncio.wait({running})
        await self.engines.close()
        if grace_s:
            await self._events.flush(EVENTS_END_WITHIN_S)

    async def _reconcile(self, key: Key) -> timedelta | None:
        return await self._reconciler.reconcile(key)
