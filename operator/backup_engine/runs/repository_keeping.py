"""Looks after the repositories of data hosts: presence, verification, maintenance (spec §3.0).

One list of a repository tells which snapshots it holds, and so which backups are MISSING. What was
verified longest ago is verified next: all its directories, and a share of its files read.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backup_api.backups import BackupType
from backup_api.backups import RecordStatus as Status
from backup_api.extensions.verification import VerificationDepth
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.records.verifications import VerificationRecords
from backup_engine.records.volumes import BackupVolumeRecords
from backup_engine.runs.data_backups import VERIFIED
from backup_engine.runs.persistence import persist
from backup_engine.runs.repositories import Repositories
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.repository import Repository

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
VERIFY_EVERY_S: Final = 7 * 24 * 3600.0
VERIFY_PERCENT: Final = 10.0
PAGE_LENGTH: Final = 500
VERIFIED_AT_ONCE: Final = 20

_KEPT: Final = frozenset({Status.SUCCESS, Status.MISSING})
_MISSING: Final = "SnapshotMissing"
_GONE: Final = frozenset({"RepositoryMissing"})
_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class KeepingRules:
    """How often repositories are looked at, how old a verification may become, in seconds.

    ``verify_percent`` of the files are read by each verification.
    """

    look_every_s: float = LOOK_EVERY_S
    verify_every_s: float = VERIFY_EVERY_S
    verify_percent: float = VERIFY_PERCENT


@dataclass(frozen=True, slots=True)
class _Known:
    """The DATA backups of one host with the snapshots that they consist of."""

    backups: tuple[StoredBackup, ...]
    snapshots: Mapping[int, set[str]]


class RepositoryKeeper:
    """Level-triggered: compares the records with the repositories, again and again."""

    def __init__(
        self,
        database: Database,
        repositories: Repositories,
        clock: Callable[[], datetime],
        rules: KeepingRules,
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._clock = clock
        self._rules = rules
        self._unwell: set[int] = set()

    async def run(self) -> None:
        """Look until cancelled. A repository out of reach says nothing about its snapshots."""
        while True:
            for host in await persist(self._list_hosts, "looking for repositories"):
                await self._look(host)
            await asyncio.sleep(self._rules.look_every_s)

    async def _look(self, host: StoredHost) -> None:
        known = await persist(lambda: self._read_known(host), f"host {host.name}: its backups")
        if not known.backups and host.deployed is None:
            return
        try:
            repository, present = await self._read(host)
            await self._compare(known, present)
            if repository is not None:
                await self._verify_due(host, known, repository)
                if await repository.maintain(self._clock()):
                    logger.info("repository %s: maintained", repository.url)
        except (VolumeError, OSError) as trouble:
            if host.id not in self._unwell:  # once, not at every look
                logger.warning(
                    "host %s: its repository is not looked after: %s", host.name, trouble
                )
            self._unwell.add(host.id)
        else:
            self._unwell.discard(host.id)

    async def _read(self, host: StoredHost) -> tuple[Repository | None, set[str]]:
        """Open the repository of a host, and list it; None: it is gone, and all snapshots."""
        try:
            repository = await self._repositories.open(host.id, host.name)
            return repository, {each.id for each in await repository.list_snapshots()}
        except VolumeError as trouble:
            if trouble.reason in _GONE:
                return None, set()
            raise

    async def _compare(self, known: _Known, present: set[str]) -> None:
        for backup in known.backups:
            lost = known.snapshots[backup.id] - present
            is_missing = backup.record.status is Status.MISSING
            if lost and not is_missing:
                message = f"{len(lost)} of its snapshots are not in the repository any more"
                logger.warning("backup %d: %s", backup.id, message)
                known_now: dict[str, object] = {"reason": _MISSING, "message": message}
                await self._write(backup, Status.MISSING, False, known_now)
            elif is_missing and not lost:
                logger.warning("backup %d: its snapshots are back", backup.id)
                known_now = {"reason": VERIFIED, "message": "its snapshots are back"}
                await self._write(backup, Status.SUCCESS, True, known_now)

    async def _verify_due(self, host: StoredHost, known: _Known, repository: Repository) -> None:
        before_ms = self._now_ms() - int(self._rules.verify_every_s * _MS_PER_S)

        async def list_due() -> list[StoredBackup]:
            async with self._database.reading() as connection:
                return await VerificationRecords(connection).list_due(
                    before_ms, PAGE_LENGTH, BackupType.DATA
                )

        due = await persist(list_due, "looking for snapshots to verify")
        for backup in [each for each in due if each.record.host_id == host.id][:VERIFIED_AT_ONCE]:
            snapshots = sorted(known.snapshots.get(backup.id, ()))
            if not snapshots:
                continue
            damage = await repository.verify(snapshots, self._rules.verify_percent)
            if damage is not None:
                logger.error("backup %d: %s", backup.id, damage)
            share = f"{self._rules.verify_percent:g} % of their files read"
            found: dict[str, object] = {
                "reason": damage.reason if damage is not None else VERIFIED,
                "message": str(damage) if damage is not None else f"snapshots verified, {share}",
                "depth": VerificationDepth.CONTENTS.value,
                "time_verified": self._now_ms(),
                "time_requested": None,
            }
            await self._write(backup, Status.SUCCESS, damage is None, found)

    async def _write(
        self, backup: StoredBackup, to: Status, is_valid: bool, known: dict[str, object]
    ) -> None:
        async def write() -> None:
            assert backup.record.status is not None
            async with self._database.writing() as connection:
                # a status that changed meanwhile wins over what was seen before
                leaving, changes = {backup.record.status}, {"is_valid": is_valid}
                if await BackupRecords(connection).move(backup.id, leaving, to, changes):
                    await VerificationRecords(connection).note(backup.id, known)

        await persist(write, f"backup {backup.id}: writing {to}")

    async def _list_hosts(self) -> list[StoredHost]:
        async with self._database.reading() as connection:
            hosts = await HostRecords(connection).list_all()
        return [host for host in hosts if not host.is_console]

    async def _read_known(self, host: StoredHost) -> _Known:
        backups: list[StoredBackup] = []
        after_id = 0
        async with self._database.reading() as connection:
            records = BackupRecords(connection)
            while page := await records.list_in(_KEPT, after_id, PAGE_LENGTH, BackupType.DATA):
                backups += [each for each in page if each.record.host_id == host.id]
                after_id = page[-1].id
            ids = [each.id for each in backups]
            snapshots = await BackupVolumeRecords(connection).list_snapshots(ids)
        return _Known(tuple(backups), snapshots)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)
