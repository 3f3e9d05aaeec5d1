"""One restore from REQUESTING to its outcome (spec §4.0, §14 no. 20)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import RecordStatus
from backup_api.extensions.restores import RestoreFailure, RestoreProgress
from backup_api.restores import RUNNING_RESTORE
from backup_api.restores import RestoreStatus as Status
from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.reading import ArchiveReader
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.restores import RestoreRecords, StoredRestore
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.run import (
    PlanChangedError,
    RestoreError,
    RestoreLimits,
    RestoreOutcome,
    plan_restore,
    restore,
)
from backup_engine.restore.wire import parse_options
from backup_engine.runs.journal import WRITE_EVERY_S, Journal
from backup_engine.runs.origins import Origins
from backup_engine.runs.persistence import persist
from backup_engine.runs.safekeeping import Safekeeping

logger = logging.getLogger(__name__)

TIME_LIMIT_S: Final = 6 * 3600.0
LAST_WRITES_S: Final = 60.0  # what is in flight when the time is up may still end

OBJECTS_FAILED: Final = "ObjectsFailed"
TOO_LONG: Final = "TimeLimitExceeded"
BUG: Final = "InternalError"

Confirm = Callable[[AsyncConnection], Awaitable[None]]
"""Makes sure that the work is still this engine's; called first in every transaction of it."""


@dataclass(frozen=True, slots=True)
class RestoreRules:
    """How a restore behaves in time; ``time_limit_s`` counts from its launch, crashes included."""

    time_limit_s: float = TIME_LIMIT_S
    write_every_s: float = WRITE_EVERY_S
    limits: RestoreLimits = field(default_factory=RestoreLimits)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a restore ended; ``reason`` None: with SUCCESS."""

    reason: str | None = None
    message: str | None = None


class ArchiveOpener:
    """Opens the archive of a restore, if it may be restored (spec §14 no. 20)."""

    def __init__(self, database: Database, places: ArchivePlaces, safekeeping: Safekeeping) -> None:
        self._database = database
        self._places = places
        self._safekeeping = safekeeping

    async def open(self, stored: StoredRestore) -> tuple[StoredBackup, ArchiveReader]:
        """Open it, its signature judged; digests are, part by part, as they are read.

        Raises RestoreError if the backup went or is no good any more, ArchiveError.
        """
        backup_id = stored.record.backup_id or 0

        async def find() -> StoredBackup | None:
            async with self._database.reading() as connection:
                return await BackupRecords(connection).find(backup_id)

        backup = await persist(find, f"restore {stored.id}: reading its backup")
        if backup is None or backup.record.status is RecordStatus.DELETING:
            raise RestoreError("BackupGone", f"backup {backup_id} was deleted")
        if backup.record.status is not RecordStatus.SUCCESS:
            found = backup.record.status
            raise RestoreError("BackupNotReady", f"backup {backup_id} is {found}, not SUCCESS")
        if not backup.record.is_valid:
            message = f"the archive of backup {backup_id} is not valid; its verification says why"
            raise RestoreError("BackupNotValid", message)
        store = self._places.open(backup.archive_directory)
        return backup, await self._safekeeping.open(store, backup.archive_name)


class Restoring:
    """Runs restores; everything it needs is handed in."""

    def __init__(
        self,
        database: Database,
        cluster: ClusterConnection,
        opener: ArchiveOpener,
        origins: Origins,
        clock: Callable[[], datetime],
        rules: RestoreRules,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._opener = opener
        self._origins = origins
        self._clock = clock
        self._rules = rules

    async def run(self, restore_id: int, confirm: Confirm) -> None:
        """Carry a launched restore to its end and record it; one that has ended is left alone.

        May be called again after a crash: what is in the cluster already is found unchanged.
        """
        stored = await persist(self._find_running, f"restore {restore_id}: reading it")
        if stored is None or stored.id != restore_id:
            return
        logger.info("restore %d of %s: begins", stored.id, stored.record.backup_filename)

        async def write(progress: RestoreProgress, failures: list[RestoreFailure]) -> None:
            await self._write(stored, confirm, progress, failures)

        journal = Journal(stored.progress.counts, write, self._rules.write_every_s)
        ending = await self._attempt(stored, confirm, journal)
        await journal.flush()
        await self._finish(stored, confirm, journal.progress, ending)

    async def _attempt(self, stored: StoredRestore, confirm: Confirm, journal: Journal) -> Ending:
        left_s = self._find_time_left(stored)
        hard_limit = asyncio.timeout(max(left_s, 0.0) + LAST_WRITES_S)
        try:
            async with hard_limit:
                return await self._restore(stored, confirm, journal, left_s)
        except (RestoreError, ArchiveError) as trouble:
            return Ending(trouble.reason, trouble.message)
        except ClusterError as trouble:
            return Ending("ClusterUnreachable", str(trouble))
        except TimeoutError as trouble:
            if not hard_limit.expired():
                return Ending(BUG, f"a wait timed out: {trouble}")
            return self._too_long(journal.progress.remaining)
        except Exception as bug:  # whatever it is, the client must not wait for ever
            logger.exception("restore %d: failed unexpectedly", stored.id)
            return Ending(BUG, f"{type(bug).__name__}; the engine's log tells more")

    async def _restore(
        self, stored: StoredRestore, confirm: Confirm, journal: Journal, left_s: float
    ) -> Ending:
        if stored.record.status is Status.REQUESTING:
            await self._move(stored, confirm, Status.INITIALIZING)
        backup, archive = await self._opener.open(stored)
        options = parse_options(stored.record.groups or (), stored.options)
        end = asyncio.get_running_loop().time() + left_s

        def is_late() -> bool:
            return asyncio.get_running_loop().time() > end

        if stored.record.status is not Status.IN_PROGRESS:
            approved = stored.options.approved_plan
            if approved is not None:
                await self._check_plan(options, archive, approved, left_s)
            is_elsewhere = await self._origins.is_elsewhere(backup)
            # before the first write: from here on a restart carries on without asking for the plan,
            # of which part has been done
            await self._move(stored, confirm, Status.IN_PROGRESS, is_elsewhere=is_elsewhere)
        else:
            await self._forget_failures(stored, confirm)
        async with journal.kept():
            outcome = await restore(
                options,
                archive,
                self._cluster,
                limits=self._rules.limits,
                report=journal.report,
                take_error=journal.take_error,
                is_stopped=is_late,
            )
        return self._judge(outcome, is_late=is_late())

    async def _check_plan(
        self, options: RestoreOptions, archive: ArchiveReader, approved: str, left_s: float
    ) -> None:
        """Raise PlanChangedError unless the plan of this moment is the one approved."""
        limit = asyncio.timeout(max(left_s, 0.0))
        try:
            async with limit:
                plan = await plan_restore(
                    options, archive, self._cluster, limits=self._rules.limits
                )
        except TimeoutError as trouble:
            if not limit.expired():
                raise
            message = "the plan to compare with the approved one was not computed in time"
            raise RestoreError(TOO_LONG, message) from trouble
        if plan.digest != approved:
            raise PlanChangedError(approved, plan.digest)

    def _judge(self, outcome: RestoreOutcome, *, is_late: bool) -> Ending:
        """Name the outcome; of several troubles the one that ended it."""
        if outcome.is_complete:
            return Ending()
        if outcome.interruption is not None:
            reason, _, message = outcome.interruption.partition(": ")
            return Ending(reason, f"{message}; {outcome.remaining} objects remain")
        if outcome.remaining and is_late:
            return self._too_long(outcome.remaining)
        done = sum(outcome.done.values())
        message = f"{outcome.failed} of {done + outcome.failed} objects could not be restored"
        return Ending(OBJECTS_FAILED, message)

    def _too_long(self, remaining: int) -> Ending:
        limit_s = self._rules.time_limit_s
        return Ending(TOO_LONG, f"not finished within {limit_s:.0f} s; {remaining} objects remain")

    def _find_time_left(self, stored: StoredRestore) -> float:
        launched_ms = stored.time_launched or self._now_ms()
        return self._rules.time_limit_s - (self._now_ms() - launched_ms) / 1000

    async def _finish(
        self, stored: StoredRestore, confirm: Confirm, progress: RestoreProgress, ending: Ending
    ) -> None:
        status = Status.SUCCESS if ending.reason is None else Status.FAILED
        told = progress.model_copy(update={"reason": ending.reason, "message": ending.message})
        if status is Status.SUCCESS:  # labels may have left fewer objects than were counted
            told = told.model_copy(update={"total": told.settled, "remaining": 0})

        async def finish() -> None:
            async with self._database.writing() as connection:
                await confirm(connection)
                records = RestoreRecords(connection)
                await records.finish(stored.id, status, told, self._now_ms())

        await persist(finish, f"restore {stored.id}: writing {status}")
        log = logger.info if status is Status.SUCCESS else logger.error
        log(
            "restore %d of %s: %s, %d of %d objects settled, %d failed%s",
            stored.id,
            stored.record.backup_filename,
            status,
            told.settled,
            told.total,
            told.failed,
            f": {ending.reason}: {ending.message}" if ending.reason else "",
        )

    async def _write(
        self,
        stored: StoredRestore,
        confirm: Confirm,
        progress: RestoreProgress,
        failures: list[RestoreFailure],
    ) -> None:
        async def write() -> None:
            async with self._database.writing() as connection:
                await confirm(connection)
                records = RestoreRecords(connection)
                if await records.report(stored.id, progress):
                    await records.add_failures(stored.id, failures)

        await persist(write, f"restore {stored.id}: writing its progress")

    async def _move(
        self,
        stored: StoredRestore,
        confirm: Confirm,
        to: Status,
        *,
        is_elsewhere: bool | None = None,
    ) -> None:
        changes = {} if is_elsewhere is None else {"is_cross_deployment_restore": is_elsewhere}

        async def move() -> None:
            async with self._database.writing() as connection:
                await confirm(connection)
                await RestoreRecords(connection).move(stored.id, RUNNING_RESTORE, to, changes)

        await persist(move, f"restore {stored.id}: writing {to}")

    async def _forget_failures(self, stored: StoredRestore, confirm: Confirm) -> None:
        async def forget() -> None:
            async with self._database.writing() as connection:
                await confirm(connection)
                await RestoreRecords(connection).forget_failures(stored.id)

        await persist(forget, f"restore {stored.id}: beginning again")

    async def _find_running(self) -> StoredRestore | None:
        async with self._database.reading() as connection:
            return await RestoreRecords(connection).find_running()

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)
