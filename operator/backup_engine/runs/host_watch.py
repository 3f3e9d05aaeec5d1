"""Keeps the staged hosts equal to the BackupHosts of the cluster (architecture §2, §7)."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.capture.asking import OK, AnswerTooLargeError, RetryPolicy, ask, parse_status
from backup_engine.capture.errors import CaptureError
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.product import CONFIGURATION_ID
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords
from backup_engine.runs.host_objects import (
    ENGINES_PATH,
    HOSTS_PATH,
    CustomObject,
    ObjectList,
    Seen,
    read_seen,
)
from backup_engine.runs.host_staging import AddHost, ChangeHost, HostChange, plan_staging
from backup_engine.runs.persistence import persist

logger = logging.getLogger(__name__)

PAGE_OBJECTS: Final = 500
PAGE_BYTES: Final = 8 * 1024 * 1024
MOST_OBJECTS: Final = 5000
NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class WatchPace:
    """How often the cluster is looked at; seconds.

    ``look_again_s`` is the longest time between two looks, a watch notwithstanding, and shorter
    than the time after which ClusterConnection takes silence for a fault.
    """

    look_again_s: int = 45
    settle_s: float = 0.25  # changes that come together are read together
    after_trouble_s: float = 5.0


PACE: Final = WatchPace()


class HostsUnreadableError(Exception):
    """The BackupHosts cannot be read; the text says why, and what to do."""


class HostWatch:
    """Level-triggered: reads all BackupHosts anew whenever the API server reports a change.

    Nothing is kept between two looks but what was already complained about. While the cluster, or
    the right to read it, is away, hosts stay as they were last seen.
    """

    def __init__(
        self,
        database: Database,
        cluster: ClusterConnection,
        engine_name: str,
        pace: WatchPace = PACE,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._engine_name = engine_name
        self._pace = pace
        self._complaints: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                seen, resource_version = await self._look()
            except HostsUnreadableError as trouble:
                self._complain(frozenset({f"{trouble}; hosts stay as they were last seen"}))
                await asyncio.sleep(self._pace.after_trouble_s)
                continue
            self._complain(_list_complaints(seen))
            await persist(lambda seen=seen: self._stage(seen), "staging the hosts")  # type: ignore[misc]
            await self._wait_for_change(resource_version)

    async def _look(self) -> tuple[Seen, str | None]:
        """Read everything; the resourceVersion to watch from is None where there is no such kind.

        Raises HostsUnreadableError.
        """
        try:
            hosts, resource_version = await self._list(HOSTS_PATH)
            engines, _ = await self._list(ENGINES_PATH)
        except (CaptureError, ClusterError, AnswerTooLargeError, msgspec.DecodeError) as trouble:
            raise HostsUnreadableError(f"the BackupHosts cannot be read: {trouble}") from trouble
        return read_seen(hosts, engines, self._engine_name), resource_version

    async def _list(self, path: str) -> tuple[list[CustomObject], str | None]:
        found: list[CustomObject] = []
        params = {"limit": str(PAGE_OBJECTS)}
        while True:
            answer = await ask(
                self._cluster,
                path,
                RetryPolicy(attempts=1),
                params=params,
                longest_bytes=PAGE_BYTES,
            )
            if answer.status == NOT_FOUND:
                return [], None  # without the CustomResourceDefinition there can be no object
            if answer.status != OK:
                resource = path.rpartition("/")[2]
                raise HostsUnreadableError(
                    f"GET {path}: {answer.status} {parse_status(answer.body).message}; grant the"
                    f" engine's ServiceAccount the verbs get, list and watch on {resource}"
                    ".backup-operator.io"
                )
            page = msgspec.json.decode(answer.body, type=ObjectList)
            found += page.items or []
            if len(found) > MOST_OBJECTS:
                raise HostsUnreadableError(f"there are more than {MOST_OBJECTS} at {path}")
            if not page.metadata.continue_:
                return found, page.metadata.resource_version
            params = {**params, "continue": page.metadata.continue_}

    async def _stage(self, seen: Seen) -> None:
        async with self._database.reading() as connection:
            if not plan_staging(await HostRecords(connection).list_all(), seen):
                return
        async with self._database.writing() as connection:
            # what is staged belongs together: a deploy takes all of it, and 409/1011 asks for all
            await ConfigurationRecords(connection).get(CONFIGURATION_ID, locked=True)
            records = HostRecords(connection)
            changes = plan_staging(await records.list_all(), seen)
            for change in changes:
                await _apply(records, change)
        for change in changes:
            logger.info("%s", _describe(change))

    async def _wait_for_change(self, resource_version: str | None) -> None:
        """Return soon after a change, and in any case when it is time to look again."""
        try:
            async with asyncio.timeout(self._pace.look_again_s + self._pace.after_trouble_s):
                if resource_version is None or not await self._watch(resource_version):
                    await asyncio.sleep(self._pace.look_again_s)
        except (ClusterError, TimeoutError):
            await asyncio.sleep(self._pace.settle_s)  # the next look tells what is wrong

    async def _watch(self, resource_version: str) -> bool:
        """Wait until the watch reports something or ends; False: it was refused."""
        params = {
            "watch": "1",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(self._pace.look_again_s),
        }
        async with self._cluster.request("GET", HOSTS_PATH, params=params) as response:
            if response.status != OK:
                return False
            # the first byte is enough: whatever happened, all is read anew
            if await response.content.readany():
                await asyncio.sleep(self._pace.settle_s)
        return True

    def _complain(self, complaints: frozenset[str]) -> None:
        """Log what is new: once, not at every look."""
        for complaint in sorted(complaints - self._complaints):
            logger.error("%s", complaint)
        self._complaints = complaints


def _list_complaints(seen: Seen) -> frozenset[str]:
    unreadable = (f"{what}; its host stays as it is" for _, what in seen.unreadable)
    ignored = (f"BackupHost {name} is not used: {why}" for name, why in seen.ignored)
    return frozenset((*unreadable, *ignored))


async def _apply(records: HostRecords, change: HostChange) -> None:
    match change:
        case AddHost(wanted):
            await records.add(wanted.uid, wanted.name, wanted.version)
        case ChangeHost(host):
            await records.write(host)
        case _:
            await records.remove(change.host.id)


def _describe(change: HostChange) -> str:
    match change:
        case AddHost(wanted):
            return f"host {wanted.name!r} is staged; a deploy puts it in force"
        case ChangeHost(host) if host.staged is None:
            return f"host {host.id} {host.name!r} is staged to be deleted, by a deploy"
        case ChangeHost(host) if host.is_pending:
            return f"host {host.id} {host.name!r} is staged anew; a deploy puts it in force"
        case ChangeHost(host):
            return f"host {host.id} {host.name!r} is as deployed"
        case _:
            return f"host {change.host.id} {change.host.name!r} went before it was deployed"
