"""The composition root: reads settings, opens clients, hands them on, and ends them in order."""

import asyncio
import contextlib
import logging
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from backup_operator.cluster.access import ClusterAccess, find_own_namespace
from backup_operator.cluster.api import ClusterApi, ClusterError, GoneError
from backup_operator.cluster.cache import ObjectCache
from backup_operator.cluster.lease import LeaderLease, Leadership, LeasePlace, SoleLeadership
from backup_operator.errors import ExpectedError
from backup_operator.handlers.watching import Watches, build_registry
from backup_operator.metrics.derived import DerivedFigures, EngineReading, Reading
from backup_operator.metrics.health import Vitals
from backup_operator.metrics.measures import LeaderRequests, Measures
from backup_operator.metrics.serving import build_application, served
from backup_operator.reconcile.dispatch import Dispatcher
from backup_operator.reconcile.inventory import Inventory
from backup_operator.resources.group import API_VERSION, BACKUP_ENGINE, KINDS
from backup_operator.settings import OperatorSettings
from backup_operator.term import Term

WORK_ENDS_WITHIN_S: Final = 5.0  # long enough for a POST to be answered and its id stored
WATCH_ENDS_WITHIN_S: Final = 3.0

logger = logging.getLogger(__name__)


class NotInstalledError(ExpectedError):
    """The cluster does not know our resources."""


class ClusterUnreachableError(ExpectedError):
    """The API server does not answer, or not as one."""


class Operator:
    """The whole program, wired; ``run`` ends on SIGTERM or SIGINT.

    It watches from the beginning and acts only while it leads, so that a standby which takes over
    knows everything already.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        access: ClusterAccess,
        cluster: ClusterApi,
        leadership: Leadership,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._leadership = leadership
        self._cache = ObjectCache()
        self._dispatcher = Dispatcher(self._cache)
        self._inventory = Inventory(cluster, self._cache, settings.namespaces)
        self._watches = Watches(
            build_registry(self._dispatcher, access.log_in), settings.namespaces
        )
        self._measures = Measures()
        self._measures.registry.register(DerivedFigures(self._cache, self._read))
        self._term: Term | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until told to stop."""
        begun, end_watches = asyncio.Event(), asyncio.Event()

        def watches_begun() -> None:
            self._take_signals()  # kopf's handlers would stop it first
            begun.set()

        self._take_signals()
        async with self._served_figures():
            await self._unless_stopped(self._take_over())
            if self._stop.is_set():
                return
            watching = asyncio.create_task(self._watches.run(end_watches, watches_begun))
            working = asyncio.create_task(self._work(begun))
            try:
                done, _ = await asyncio.wait(
                    {watching, working}, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                self._stop.set()
                working.cancel()
                await asyncio.wait({working})
                end_watches.set()
                await _end_task(watching, WATCH_ENDS_WITHIN_S)
        for task in done:
            if not task.cancelled():
                task.result()  # raises what went wrong

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _take_over(self) -> None:
        try:
            await self._inventory.take_over(self._dispatcher)
        except ClusterError as trouble:
            raise ClusterUnreachableError(f"the cluster cannot be used: {trouble}") from trouble

    async def _work(self, begun: asyncio.Event) -> None:
        await begun.wait()
        _announce("ready")
        comparing = asyncio.create_task(
            self._inventory.compare_forever(self._dispatcher, self._settings.sweep_interval)
        )
        try:
            while not self._stop.is_set():
                await self._unless_stopped(self._leadership.acquire())
                if not self._stop.is_set():
                    _announce("leading")
                    await self._lead()
        finally:
            await _end_task(comparing, 0.0)

    async def _lead(self) -> None:
        """Act until told to stop, or until another replica may act."""
        term = self._term = Term(
            self._settings,
            self._cluster,
            self._cache,
            self._dispatcher,
            lambda engine: LeaderRequests(engine, lambda: self._leadership.is_held, self._measures),
            self._measures.account,
            utc_now,
        )
        acting = asyncio.create_task(term.run())
        keeping = asyncio.create_task(self._leadership.keep())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({acting, keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The lease is renewed meanwhile: what has begun is finished by the one that began it.
            await term.end(acting, 0.0 if keeping.done() else WORK_ENDS_WITHIN_S)
            self._term = None
            await _end_task(keeping, 0.0)
            await _end_task(stopping, 0.0)
            await self._leadership.release()
        if not acting.cancelled():
            acting.result()  # raises what went wrong

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, None]) -> None:
        task, stopping = asyncio.create_task(waiting), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.wait({task, stopping})
        if not task.cancelled():
            task.result()

    @contextlib.asynccontextmanager
    async def _served_figures(self) -> AsyncIterator[None]:
        if self._settings.metrics_port is None:
            yield
            return
        application = build_application(self._measures.registry, self._vitals)
        async with served(application, self._settings.metrics_address, self._settings.metrics_port):
            yield

    def _read(self) -> Reading:
        down_s = self._watches.down_s
        if self._term is None:
            return Reading(is_leader=False, watches_down_s=down_s)
        engines = []
        for entry in self._cache.entries(BACKUP_ENGINE):
            known = self._term.engines.find(entry.uid)
            if known is not None:
                link = known.link
                lag_s = known.poller.lag_s
                engines.append(EngineReading(entry.key.name, link.is_usable, link.circuit, lag_s))
        return Reading(
            is_leader=self._leadership.is_held,
            queue_length=len(self._term.queue),
            queue_oldest_wait_s=self._term.queue.oldest_wait_s,
            engines=tuple(engines),
            watches_down_s=down_s,
        )

    def _vitals(self) -> Vitals:
        queue = self._term.queue if self._term is not None else None
        return Vitals(
            has_seen_all=self._inventory.has_seen_all,
            watches_down_s=self._watches.down_s,
            late_comparisons=self._inventory.late_comparisons,
            longest_work_s=queue.longest_work_s if queue is not None else 0.0,
            oldest_wait_s=queue.oldest_wait_s if queue is not None else 0.0,
        )


async def run_operator(settings: OperatorSettings) -> None:
    """Run until told to stop; raises ExpectedError for what a user can mend."""
    asyncio.get_running_loop().set_exception_handler(_tell_trouble)
    access = ClusterAccess(settings.kubeconfig)
    configuration = await access.load()
    async with ClusterApi(configuration) as lease_api:  # of its own: never behind other requests
        leadership = build_leadership(settings, lease_api)
        async with ClusterApi(configuration, lambda: leadership.is_held) as cluster:
            await _check_installed(cluster)
            await Operator(settings, access, cluster, leadership).run()


def build_leadership(settings: OperatorSettings, cluster: ClusterApi) -> Leadership:
    """Build what decides whether this replica may act."""
    if not settings.leader_elect:
        return SoleLeadership()
    namespace = settings.leader_election_namespace or find_own_namespace()
    if namespace is None:
        raise ExpectedError(
            "the namespace of the lease is not known outside a pod;"
            " give it with --leader-election-namespace"
        )
    place = LeasePlace(namespace, settings.leader_election_name)
    me = f"{settings.instance}_{uuid.uuid4()}"  # a restarted pod is another holder
    return LeaderLease(cluster, place, me, settings.lease_times)


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


def _tell_trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell what no task has caught, but for a watch of kopf that was ended in mid-list.

    kopf leaves its generator open there, and closing it says nothing but that it was not closed.
    """
    if "asyncgen" in context:
        logger.debug("%s: %r", context.get("message"), context.get("exception"))
    else:
        loop.default_exception_handler(context)


async def _end_task(task: asyncio.Task[Any], within_s: float) -> None:
    if within_s:
        await asyncio.wait({task}, timeout=within_s)
    task.cancel()
    await asyncio.wait({task})


def _announce(word: str) -> None:
    sys.stderr.write(f"backup_operator: {word}\n")
    sys.stderr.flush()


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)
