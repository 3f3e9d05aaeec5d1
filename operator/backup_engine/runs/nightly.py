"""Nightly runs, and the retention of what they leave behind (spec §10)."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from backup_api.backups import NIGHTLY_NAME, BackupType, RecordStatus
from backup_api.configurations import BackupConfigurationRecord
from backup_api.hosts import HostRecord, HostStatus
from backup_engine.archive.places import ArchivePlaces
from backup_engine.product import CONFIGURATION_ID, Product
from backup_engine.records.backups import BackupRecords, HostBusyError, StoredBackup
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.exclusion import RestoreRunningError, lock_beginnings
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.records.nightly import AlreadyBegunError, NightlyRuns
from backup_engine.runs.beginning import WantedBackup, build_new_backup
from backup_engine.runs.host_views import build_known
from backup_engine.runs.persistence import persist
from backup_engine.runs.schedule import NightlySchedule

logger = logging.getLogger(__name__)

FULLEST: Final = 0.75
"""From here on scheduled backups do not begin (spec §10)."""

INITIATOR: Final = "nightly schedule"
LOOK_EVERY_S: Final = 30.0
EXPIRED_AT_ONCE: Final = 100

_ENDED: Final = frozenset({RecordStatus.SUCCESS, RecordStatus.FAILED, RecordStatus.MISSING})


def find_fill(directory: Path) -> float:
    """Find how full the volume under ``directory`` is, 0 to 1, as ``df`` counts; blocks."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent  # not made yet: then it will be on the volume of its parent
    usage = shutil.disk_usage(directory)
    return usage.used / ((usage.used + usage.free) or 1)


@dataclass(frozen=True, slots=True)
class NightlyRules:
    """When runs are due, how often that is looked at, and how full a volume is."""

    schedule: NightlySchedule = field(default_factory=NightlySchedule)
    look_every_s: float = LOOK_EVERY_S
    find_fill: Callable[[Path], float] = find_fill


class Nightly:
    """Level-triggered: compares the records with the schedule, again and again.

    A run that was missed because no engine was at work is caught up on, once; a host that is busy
    with another backup has its run when that one ends.
    """

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        console: HostRecord,
        product: Product,
        clock: Callable[[], datetime],
        rules: NightlyRules,
        wake_runner: Callable[[], None],
    ) -> None:
        self._database = database
        self._places = places
        self._console = console
        self._product = product
        self._clock = clock
        self._rules = rules
        self._wake_runner = wake_runner
        self._complained_about: int | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await persist(self.look, "the nightly run")
            await asyncio.sleep(self._rules.look_every_s)

    async def look(self) -> None:
        """Begin the run that is due, if any, and expire what retention no longer keeps."""
        now = self._clock()
        due_ms = _to_ms(self._rules.schedule.find_due(now))
        async with self._database.reading() as connection:
            stored = await ConfigurationRecords(connection).get(CONFIGURATION_ID)
            hosts = await HostRecords(connection).list_all()
            enabled = list_enabled(stored.deployed, hosts, self._console, self._product)
            latest = [
                await NightlyRuns(connection).find_latest(host.id, backup_type)
                for host, backup_type in enabled
            ]
        for (host, backup_type), latest_ms in zip(enabled, latest, strict=True):
            if due_ms >= stored.nightly_since_ms and (latest_ms is None or due_ms > latest_ms):
                await self._begin(due_ms, stored.deployed, host, backup_type)
        await self._expire(_to_ms(now), stored.deployed)

    async def _begin(
        self,
        due_ms: int,
        deployed: BackupConfigurationRecord,
        host: HostRecord,
        backup_type: BackupType,
    ) -> None:
        if await self._is_full(due_ms, deployed):
            return
        wanted = WantedBackup(NIGHTLY_NAME, backup_type, INITIATOR, is_on_demand=False)
        try:
            async with self._database.writing() as connection:
                await NightlyRuns(connection).add(due_ms, host.id, backup_type)
                await lock_beginnings(connection)
                new = build_new_backup(
                    wanted,
                    host,
                    self._product,
                    deployed.backup_directory_path,
                    _to_ms(self._clock()),
                )
                begun = await BackupRecords(connection).add(new)
        except AlreadyBegunError:
            return  # another engine was quicker
        except RestoreRunningError:
            logger.info("the nightly run waits: a restore runs")
            return
        except HostBusyError:
            logger.info("the nightly run waits: host %d has a backup running", host.id)
            return
        logger.info("backup %d %r: the nightly run begins", begun.id, NIGHTLY_NAME)
        self._wake_runner()

    async def _is_full(self, due_ms: int, deployed: BackupConfigurationRecord) -> bool:
        """Tell, and log once a night, whether the volume is too full; a bucket never is."""
        directory = self._places.find_directory(deployed.backup_directory_path)
        if directory is None:
            return False
        fill = await asyncio.to_thread(self._rules.find_fill, directory)
        if fill < FULLEST:
            return False
        if self._complained_about != due_ms:
            logger.error(
                "VolumeFull: the nightly run does not begin: the volume of %s is %.0f %% full, and"
                " scheduled backups stop at %.0f %%; free space, or deploy another"
                " backup_directory_path",
                directory,
                100 * fill,
                100 * FULLEST,
            )
            self._complained_about = due_ms
        return True

    async def _expire(self, now_ms: int, deployed: BackupConfigurationRecord) -> None:
        """Have the runner remove records and archives of scheduled runs past their retention."""
        assert deployed.backup_retention_period is not None
        before_ms = now_ms - deployed.backup_retention_period
        async with self._database.reading() as connection:
            found = await BackupRecords(connection).list_expired(_ENDED, before_ms, EXPIRED_AT_ONCE)
        if not found:
            return
        gone: list[StoredBackup] = []
        async with self._database.writing() as connection:
            records = BackupRecords(connection)
            gone += [
                expired
                for expired in found
                if await records.move(expired.id, _ENDED, RecordStatus.DELETING)
            ]
        for expired in gone:
            logger.info("backup %d %r: past its retention", expired.id, expired.record.name)
        self._wake_runner()


def list_enabled(
    deployed: BackupConfigurationRecord,
    hosts: Iterable[StoredHost],
    console: HostRecord,
    product: Product,
) -> list[tuple[HostRecord, BackupType]]:
    """List what has nightly runs: the console, and active data hosts, as enabled (spec §13 no. 29).

    Pure.
    """
    enabled = {
        entry.host_id
        for entry in deployed.data_backup_host_configuration or ()
        if entry.event_data_backup_enabled or entry.flow_data_backup_enabled
    }
    known = (build_known(host, product) for host in hosts if host.id in enabled)
    data = [
        (host, BackupType.DATA)
        for host in known
        if host.stores_data and host.status is HostStatus.ACTIVE
    ]
    return [
        *([(console, BackupType.CONFIG)] if deployed.configuration_backup_enabled else []),
        *data,
    ]


def _to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
