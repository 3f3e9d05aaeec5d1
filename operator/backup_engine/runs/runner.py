"""Brings every record to where its status says it should go."""

import logging
from typing import Final

from backup_api.backups import RUNNING, BackupType, RecordStatus
from backup_engine.archive.errors import StorageError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.claims import ClaimRecords
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords
from backup_engine.records.restores import RestoreRecords
from backup_engine.runs.capturing import Capturing
from backup_engine.runs.claims import Claim, ClaimKind, Claims
from backup_engine.runs.data_backups import DataBackups
from backup_engine.runs.persistence import persist
from backup_engine.runs.resync import RESYNC_S, ClaimedTasks, ResyncLoop, stop_tasks
from backup_engine.runs.steps import Job, Step, choose_step
from backup_engine.volumes.errors import VolumeError

logger = logging.getLogger(__name__)

RESYNC_SHARED_S: Final = 0.5  # another engine's requests wake nobody here: its cancellations wait
MAX_REMOVALS: Final = 16


class Runner:
    """Level-triggered: looks at the database, starts what is due, and sleeps until woken.

    What runs is all it remembers. A restarted process therefore carries on by itself: captures
    are resumed under their ids, cancellations and deletions go on. What another engine has claimed
    is left to it.
    """

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        capturing: Capturing,
        claims: Claims,
        data: DataBackups | None = None,
    ) -> None:
        self._database = database
        self._places = places
        self._capturing = capturing
        self._data = data
        self._loop = ResyncLoop(RESYNC_SHARED_S if database.is_shared else RESYNC_S)
        self._tasks = {
            job: ClaimedTasks(claims, ClaimKind.BACKUP, job.value, self._loop.wake) for job in Job
        }

    def wake(self) -> None:
        """Have the runner look at the database soon."""
        self._loop.wake()

    def find_job(self, backup_id: int) -> Job | None:
        """Tell what this engine does with a backup now."""
        return next((job for job, tasks in self._tasks.items() if backup_id in tasks.ids), None)

    async def run(self) -> None:
        """Work until cancelled; captures cut off by that are resumed by the next start."""
        try:
            await self._loop.run(self._look)
        finally:
            await stop_tasks(*self._tasks.values())

    async def _look(self) -> None:
        for backup in await persist(self._list_due, "looking for work"):
            self._step(backup)

    async def _list_due(self) -> list[StoredBackup]:
        async with self._database.reading() as connection:
            records = BackupRecords(connection)
            busy = await records.list_in(RUNNING | {RecordStatus.CANCELLING})
            # apart, and few: a store that refuses to delete must not hold captures up
            leaving = await records.list_in({RecordStatus.DELETING}, limit=MAX_REMOVALS)
            restore = await RestoreRecords(connection).find_running()
            held = await ClaimRecords(connection).list_held(ClaimKind.BACKUP)
        in_use = restore.record.backup_id if restore is not None else None
        others = held.difference(*(tasks.ids for tasks in self._tasks.values()))
        removable = (backup for backup in leaving if backup.id != in_use)
        return [backup for backup in (*busy, *removable) if backup.id not in others]

    def _step(self, backup: StoredBackup) -> None:
        running = self.find_job(backup.id)
        assert backup.record.status is not None
        match choose_step(backup.record.status, running):
            case Step.CAPTURE:
                self._start(backup, Job.CAPTURE)
            case Step.REMOVE:
                self._start(backup, Job.REMOVE)
            case Step.CANCEL:
                assert running is not None
                self._tasks[running].cancel(backup.id)
            case Step.WAIT:
                pass

    def _start(self, backup: StoredBackup, job: Job) -> None:
        async def work(claim: Claim) -> None:
            await self._work(backup.id, job, claim)

        self._tasks[job].start(backup.id, work)

    async def _work(self, backup_id: int, job: Job, claim: Claim) -> None:
        """Do ``job`` if the record, read under the claim, still asks for it."""

        async def find() -> StoredBackup | None:
            async with self._database.reading() as connection:
                return await BackupRecords(connection).find(backup_id)

        backup = await persist(find, f"backup {backup_id}: reading it")
        if backup is None or backup.record.status is None:
            return
        match choose_step(backup.record.status, None):
            case Step.CAPTURE if job is Job.CAPTURE:
                await self._capturing.run(backup, claim)
            case Step.REMOVE if job is Job.REMOVE:
                await self._remove(backup, claim)
            case _:
                return  # it moved on meanwhile; the next look sees where to

    async def _remove(self, backup: StoredBackup, claim: Claim) -> None:
        """Remove the archive, then the record: the other way round a crash would leave a file."""

        async def remove() -> None:
            if backup.record.type is BackupType.DATA:
                await self._remove_snapshots(backup, claim)
                await self._forget(backup, claim)
                return
            store = self._places.open(backup.archive_directory)
            await store.discard_staging(backup.archive_name)
            await store.delete(backup.archive_name)
            await self._forget(backup, claim)

        await persist(remove, f"backup {backup.id}: removing {backup.archive_name}")
        logger.info("backup %d %r: removed", backup.id, backup.record.name)

    async def _forget(self, backup: StoredBackup, claim: Claim) -> None:
        async with self._database.writing() as connection:
            await claim.confirm(connection)
            await BackupRecords(connection).remove(backup.id)

    async def _remove_snapshots(self, backup: StoredBackup, claim: Claim) -> None:
        """Remove what a DATA backup stored; raises StorageError, to be tried again."""
        if self._data is None:
            raise StorageError(
                "NoExecutor",
                "its snapshots stay until the engine runs with --volumes-dir or --mover-image",
            )
        async with self._database.reading() as connection:
            host = await HostRecords(connection).find(backup.record.host_id or 0)
        try:
            await self._data.remove(backup, claim, host.name if host is not None else None)
        except VolumeError as trouble:
            raise StorageError(trouble.reason, trouble.message) from trouble
