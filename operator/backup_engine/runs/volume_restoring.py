"""Brings every restore of volumes to where its status says it should go."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from backup_api.extensions.volumes import (
    UNFINISHED,
    VolumeRestoreRecord,
    VolumeStatus,
)
from backup_api.extensions.volumes import VolumeRestoreStatus as Status
from backup_engine.archive.errors import StorageError
from backup_engine.records.claims import ClaimRecords
from backup_engine.records.database import Database
from backup_engine.records.volume_restores import StoredTarget, VolumeRestoreRecords
from backup_engine.runs.claims import Claim, ClaimKind, ClaimLostError, Claims
from backup_engine.runs.keeping import repeated
from backup_engine.runs.persistence import persist
from backup_engine.runs.repositories import Repositories
from backup_engine.runs.resync import RESYNC_S, ClaimedTasks, ResyncLoop, stop_tasks
from backup_engine.runs.volume_rules import read_volume_rules
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.executor import Executor, HostRepository, RestoreRun
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.volume import Volume

logger = logging.getLogger(__name__)

RESYNC_SHARED_S: Final = 1.0  # another engine's requests wake nobody here
PROGRESS_EVERY_S: Final = 2.0
TIME_LIMIT_S: Final = 24 * 3600.0
ABREAST: Final = 2


class VolumeRestorer:
    """Level-triggered; what runs is all it remembers, so that a restarted process carries on."""

    def __init__(
        self,
        database: Database,
        executor: Executor,
        repositories: Repositories,
        claims: Claims,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._executor = executor
        self._repositories = repositories
        self._clock = clock
        self._loop = ResyncLoop(RESYNC_SHARED_S if database.is_shared else RESYNC_S)
        self._tasks = ClaimedTasks(claims, ClaimKind.VOLUMES, "volume-restore", self._loop.wake)

    def wake(self) -> None:
        """Have the restorer look at the database soon."""
        self._loop.wake()

    async def run(self) -> None:
        """Work until cancelled; what is cut off by that is carried on by the next start."""
        try:
            await self._loop.run(self._look)
        finally:
            await stop_tasks(self._tasks)

    async def _look(self) -> None:
        for restore in await persist(self._list_due, "looking for restores of volumes"):
            self._step(restore)

    async def _list_due(self) -> list[VolumeRestoreRecord]:
        async with self._database.reading() as connection:
            due = await VolumeRestoreRecords(connection).list_in(UNFINISHED)
            held = await ClaimRecords(connection).list_held(ClaimKind.VOLUMES)
        others = held - self._tasks.ids
        return [each for each in due if each.id not in others]

    def _step(self, restore: VolumeRestoreRecord) -> None:
        if restore.id in self._tasks.ids:
            if restore.status is Status.CANCELLING:
                self._tasks.cancel(restore.id)
            return

        async def work(claim: Claim) -> None:
            await self._carry_out(restore.id, claim)

        self._tasks.start(restore.id, work)

    async def _carry_out(self, restore_id: int, claim: Claim) -> None:
        async def find() -> VolumeRestoreRecord | None:
            async with self._database.reading() as connection:
                return await VolumeRestoreRecords(connection).find(restore_id)

        restore = await persist(find, f"volume restore {restore_id}: reading it")
        if restore is None or restore.status not in UNFINISHED:
            return
        if restore.status is Status.CANCELLING:
            await persist(lambda: self._abandon(restore), f"volume restore {restore.id}: ending")
            await self._move(restore, claim, Status.CANCELLED)
            return
        if not await self._move(restore, claim, Status.IN_PROGRESS):
            return
        logger.info("volume restore %d of backup %d: begins", restore.id, restore.backup_id)
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                is_whole = await self._restore_all(restore, claim)
        except (VolumeError, TimeoutError) as trouble:
            reason = trouble.reason if isinstance(trouble, VolumeError) else "TimeLimitExceeded"
            said = str(trouble) or f"not finished within {TIME_LIMIT_S:.0f} s"
            await self._fail_all(restore, claim, VolumeError(reason, said))
            is_whole = False
        except ClaimLostError:
            raise
        except Exception as bug:  # whatever it is, the client must not wait for ever
            logger.exception("volume restore %d: failed unexpectedly", restore.id)
            trouble_ = VolumeError("InternalError", f"{type(bug).__name__}; the log tells more")
            await self._fail_all(restore, claim, trouble_)
            is_whole = False
        status = Status.SUCCESS if is_whole else Status.FAILED
        await self._move(restore, claim, status)
        logger.info("volume restore %d: %s", restore.id, status)

    async def _restore_all(self, restore: VolumeRestoreRecord, claim: Claim) -> bool:
        """Restore the volumes, a few at once; one that fails keeps no other from its turn."""
        rules = await read_volume_rules(self._database, restore.host_id)
        if rules is None:
            raise VolumeError("HostUnknown", f"host {restore.host_id} is gone")
        host = await self._repositories.get(restore.host_id, rules.hostname)
        if restore.status is Status.IN_PROGRESS:  # left by a crash
            await self._executor.settle(host)
        targets = await self._list_targets(restore)
        heard: dict[int, Progress] = {}

        async def write_progress() -> None:
            for number in list(heard):
                await self._note_progress(restore, claim, number, heard.pop(number))

        turn = asyncio.Semaphore(ABREAST)

        async def restore_one(target: StoredTarget) -> None:
            async with turn:
                await self._restore_one(restore, claim, host, target, heard)

        async with repeated(write_progress, PROGRESS_EVERY_S), asyncio.TaskGroup() as group:
            for target in targets:
                if target.status in {VolumeStatus.PENDING, VolumeStatus.IN_PROGRESS}:
                    group.create_task(restore_one(target))
        ended = await self._list_targets(restore)
        return all(each.status is VolumeStatus.SUCCESS for each in ended)

    async def _restore_one(
        self,
        restore: VolumeRestoreRecord,
        claim: Claim,
        host: HostRepository,
        target: StoredTarget,
        heard: dict[int, Progress],
    ) -> None:
        wish = target.wanted.wish
        volume = Volume(wish.target_namespace or "", wish.target_claim or "")
        run = RestoreRun(
            restore_id=restore.id,
            number=target.number,
            snapshot_id=target.wanted.snapshot_id,
            source=Volume(wish.namespace or "", wish.claim or ""),
            target=volume,
            repository=host,
            time_limit_s=TIME_LIMIT_S,
            paths=wish.paths,
            is_new=wish.create_claim,
            is_resumed=target.status is VolumeStatus.IN_PROGRESS,
            size_bytes=wish.size,
            storage_class=wish.storage_class,
        )

        latest = Progress()

        def report(progress: Progress) -> None:
            nonlocal latest
            heard[target.number] = latest = progress

        try:
            await self._executor.prepare(run)
            # written ahead: from now on the target may be half written, and is not empty any more
            await self._note(restore, claim, target.number, {"status": VolumeStatus.IN_PROGRESS})
            await self._executor.restore(run, report)
        except VolumeError as trouble:
            logger.error("volume restore %d: %s: %s", restore.id, volume, trouble)  # noqa: TRY400
            changes: dict[str, object] = {
                "status": VolumeStatus.FAILED,
                "reason": trouble.reason,
                "message": trouble.message,
            }
            await self._note(restore, claim, target.number, changes)
        else:
            done: dict[str, object] = {
                "status": VolumeStatus.SUCCESS,
                "bytes_done": latest.bytes,
                "files_done": latest.files,
            }
            await self._note(restore, claim, target.number, done)

    async def _abandon(self, restore: VolumeRestoreRecord) -> None:
        """End what still writes; raises StorageError, to be tried again."""
        for target in await self._list_targets(restore):
            wish = target.wanted.wish
            volume = Volume(wish.target_namespace or "", wish.target_claim or "")
            try:
                await self._executor.abandon(
                    restore.id, target.number, target.wanted.snapshot_id, volume
                )
            except VolumeError as trouble:
                raise StorageError(trouble.reason, trouble.message) from trouble

    async def _fail_all(
        self, restore: VolumeRestoreRecord, claim: Claim, trouble: VolumeError
    ) -> None:
        for target in await self._list_targets(restore):
            if target.status is not VolumeStatus.SUCCESS:
                changes: dict[str, object] = {
                    "status": VolumeStatus.FAILED,
                    "reason": trouble.reason,
                    "message": trouble.message,
                }
                await self._note(restore, claim, target.number, changes)

    async def _list_targets(self, restore: VolumeRestoreRecord) -> list[StoredTarget]:
        async def find() -> list[StoredTarget]:
            async with self._database.reading() as connection:
                return await VolumeRestoreRecords(connection).list_targets(restore.id)

        return await persist(find, f"volume restore {restore.id}: its volumes")

    async def _note(
        self, restore: VolumeRestoreRecord, claim: Claim, number: int, changes: dict[str, object]
    ) -> None:
        async def note() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                await VolumeRestoreRecords(connection).note(restore.id, number, changes)

        await persist(note, f"volume restore {restore.id}: writing a volume")

    async def _note_progress(
        self, restore: VolumeRestoreRecord, claim: Claim, number: int, progress: Progress
    ) -> None:
        async def note() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                await VolumeRestoreRecords(connection).note_progress(
                    restore.id, number, progress.bytes, progress.files
                )

        await persist(note, f"volume restore {restore.id}: writing progress")

    async def _move(self, restore: VolumeRestoreRecord, claim: Claim, to: Status) -> bool:
        changes = {} if to is Status.IN_PROGRESS else {"time_completed": self._now_ms()}
        leaving = (
            {Status.CANCELLING} if to is Status.CANCELLED else {*UNFINISHED} - {Status.CANCELLING}
        )

        async def move() -> bool:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                return await VolumeRestoreRecords(connection).move(restore.id, leaving, to, changes)

        return await persist(move, f"volume restore {restore.id}: writing {to}")

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)
