"""The composition root: reads settings, opens clients, hands them on, and ends them in order."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from backup_operator.cluster.access import ClusterAccess
from backup_operator.cluster.api import ClusterApi, ClusterError, GoneError
from backup_operator.cluster.cache import Key, ObjectCache
from backup_operator.cluster.events import EventPoster
from backup_operator.cluster.secrets import ClusterSecrets
from backup_operator.engines.directory import EngineDirectory, EngineListener
from backup_operator.errors import ExpectedError
from backup_operator.handlers.watching import build_registry, watch
from backup_operator.metrics import Figures, build_application, count_phases
from backup_operator.reconcile.applying import EngineSteps
from backup_operator.reconcile.backups import BackupReconciler
from backup_operator.reconcile.dispatch import Dispatcher, Inventory, Reconciler
from backup_operator.reconcile.engine_finding import EngineFinder
from backup_operator.reconcile.engines import EngineReconciler
from backup_operator.reconcile.memory import Memories
from backup_operator.reconcile.observing import Observer
from backup_operator.reconcile.queue import WorkQueue
from backup_operator.reconcile.writing import StatusWriter
from backup_operator.resources.group import API_VERSION, BACKUP, BACKUP_ENGINE, KINDS
from backup_operator.settings import OperatorSettings

WORK_ENDS_WITHIN_S: Final = 5.0  # long enough for a POST to be answered and its id stored
EVENTS_END_WITHIN_S: Final = 1.0
WATCH_ENDS_WITHIN_S: Final = 3.0

logger = logging.getLogger(__name__)


class NotInstalledError(ExpectedError):
    """The cluster does not know our resources."""


class ClusterUnreachableError(ExpectedError):
    """The API server does not answer, or not as one."""


class Operator:
    """The whole program, wired; ``run`` ends on SIGTERM, SIGINT, or when the watches die."""

    def __init__(
        self, settings: OperatorSettings, access: ClusterAccess, cluster: ClusterApi
    ) -> None:
        self._settings = settings
        self._cache = ObjectCache()
        self._memories = Memories()
        self._events = EventPoster(cluster, os.environ.get("POD_NAME") or socket.gethostname())
        self._queue: WorkQueue[Key] = WorkQueue(self._reconcile, settings.workers)
        self._dispatcher = Dispatcher(self._cache, self._queue)
        self._inventory = Inventory(cluster, self._cache, settings.namespaces)
        self._engines = EngineDirectory(
            ClusterSecrets(cluster),
            self._cache,
            EngineListener(
                self._dispatcher.engine_changed,
                self._dispatcher.usability_changed,
                self._dispatcher.record_changed,
            ),
            settings.sweep_interval,
        )
        self._registry = build_registry(self._dispatcher, access.log_in)
        self._reconciler = self._build_reconciler(cluster)

    def _build_reconciler(self, cluster: ClusterApi) -> Reconciler:
        writer = StatusWriter(cluster, self._cache, self._events)
        finder = EngineFinder(cluster, self._cache, self._engines)
        observer = Observer(self._cache, self._engines, finder, self._memories)
        steps = EngineSteps(self._memories, utc_now)
        backups = BackupReconciler(self._cache, observer, steps, writer, self._memories, utc_now)
        return Reconciler(
            {
                BACKUP: backups,
                BACKUP_ENGINE: EngineReconciler(self._cache, self._engines, writer, utc_now),
            }
        )

    async def run(self) -> None:
        """Work until told to stop."""
        stop, kopf_ready, kopf_stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with self._served_figures():
            watching = asyncio.create_task(
                watch(self._registry, self._settings.namespaces, kopf_ready, kopf_stop)
            )
            working = asyncio.create_task(self._work(kopf_ready, stop))
            stopping = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait(
                    {watching, working, stopping}, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                await self._end(working, stopping)
                kopf_stop.set()
                await _end_task(watching, WATCH_ENDS_WITHIN_S)
        for task in done - {stopping}:
            if not task.cancelled():
                task.result()  # raises what went wrong

    async def _work(self, kopf_ready: asyncio.Event, stop: asyncio.Event) -> None:
        await kopf_ready.wait()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):  # kopf's handlers would stop it first
            loop.add_signal_handler(number, stop.set)
        try:
            await self._inventory.wait_until_seen()
        except ClusterError as trouble:
            raise ClusterUnreachableError(f"the cluster cannot be used: {trouble}") from trouble
        sys.stderr.write("backup_operator: ready\n")
        sys.stderr.flush()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run())
            group.create_task(self._events.run())
            group.create_task(
                self._inventory.prune_forever(self._dispatcher, self._settings.sweep_interval)
            )

    async def _end(self, working: asyncio.Task[None], stopping: asyncio.Task[bool]) -> None:
        """End in the order of dependence: work, its engines, its events, and last the watches."""
        await self._queue.stop(WORK_ENDS_WITHIN_S)
        await _end_task(working, 0.0)
        await self._engines.close()
        await self._events.flush(EVENTS_END_WITHIN_S)
        await _end_task(stopping, 0.0)

    async def _reconcile(self, key: Key) -> timedelta | None:
        return await self._reconciler.reconcile(key)

    @contextlib.asynccontextmanager
    async def _served_figures(self) -> AsyncIterator[None]:
        if self._settings.metrics_port is None:
            yield
            return
        runner = web.AppRunner(build_application(self._figures), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, self._settings.metrics_address, self._settings.metrics_port)
        try:
            await site.start()
        except OSError as trouble:
            await runner.cleanup()
            where = f"{self._settings.metrics_address}:{self._settings.metrics_port}"
            raise ExpectedError(f"metrics cannot be served on {where}: {trouble}") from trouble
        for address in runner.addresses:
            logger.info("metrics on http://%s:%s/metrics", *address[:2])
        try:
            yield
        finally:
            await runner.cleanup()

    def _figures(self) -> Figures:
        phases = Counter(entry.phase for entry in self._cache.entries(BACKUP))
        usable = {}
        for entry in self._cache.entries(BACKUP_ENGINE):
            known = self._engines.find(entry.uid)
            usable[entry.key.name] = known is not None and known.link.is_usable
        return Figures(
            self._queue.done, self._queue.failed, len(self._queue), count_phases(phases), usable
        )


async def run_operator(settings: OperatorSettings) -> None:
    """Run until told to stop; raises ExpectedError for what a user can mend."""
    access = ClusterAccess(settings.kubeconfig)
    async with ClusterApi(await access.load()) as cluster:
        await _check_installed(cluster)
        await Operator(settings, access, cluster).run()


async def _check_installed(cluster: ClusterApi) -> None:
    advice = "install the CRDs first: python -m backup_operator crds | kubectl apply -f -"
    try:
        found = await cluster.get(f"/apis/{API_VERSION}")
    except GoneError:
        raise NotInstalledError(
            f"the cluster has no resources of {API_VERSION}; {advice}"
        ) from None
    except ClusterError as trouble:
        raise ClusterUnreachableError(f"the cluster cannot be used: {trouble}") from trouble
    plurals = {str(resource.get("name")) for resource in found.get("resources", ())}
    missing = [kind.crd_name for kind in KINDS if kind.plural not in plurals]
    if missing:
        raise NotInstalledError(f"the cluster lacks {' and '.join(missing)}; {advice}")


async def _end_task(task: asyncio.Task[None] | asyncio.Task[bool], within_s: float) -> None:
    if within_s:
        await asyncio.wait({task}, timeout=within_s)
    task.cancel()
    await asyncio.wait({task})


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)
