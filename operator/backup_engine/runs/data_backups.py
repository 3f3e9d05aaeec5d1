"""One DATA backup: its volumes, a few at once, each a snapshot in the host's repository.

The repository tells what is done: a snapshot carries the name of its backup's archive and that of
its volume. A run that goes on after a crash looks there first, so that no volume is read twice.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from backup_api.backups import RecordStatus
from backup_api.extensions.verification import VerificationDepth
from backup_api.extensions.volumes import VolumeStatus
from backup_engine.records.backups import StoredBackup
from backup_engine.records.database import Database
from backup_engine.records.volumes import BackupVolumeRecords, StoredVolume
from backup_engine.runs.claims import Claim, ClaimLostError
from backup_engine.runs.hook_running import HOOK_FAILED, HookRunning
from backup_engine.runs.keeping import repeated
from backup_engine.runs.outcome import BUG, TOO_LONG, Outcome, failed
from backup_engine.runs.persistence import persist
from backup_engine.runs.repositories import Repositories
from backup_engine.runs.volume_judging import build_changes, build_ending, find_trouble, is_due
from backup_engine.runs.volume_rules import VolumeRules, read_volume_rules
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.executor import Executor, HostRepository, SnapshotRun
from backup_engine.volumes.repository import Repository
from backup_engine.volumes.snapshots import Progress, choose_snapshots
from backup_engine.volumes.volume import Volume, describe_all

logger = logging.getLogger(__name__)

VERIFIED: Final = "Verified"
PROGRESS_EVERY_S: Final = 2.0
TIDY_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class _Run:
    """A backup on its way; ``progress`` is what was heard since it was last written."""

    backup: StoredBackup
    claim: Claim
    rules: VolumeRules
    host: HostRepository
    repository: Repository
    progress: dict[Volume, Progress] = field(default_factory=dict)


class DataBackups:
    """Carries DATA backups out and removes them; everything it needs is handed in."""

    def __init__(
        self,
        database: Database,
        executor: Executor,
        repositories: Repositories,
        clock: Callable[[], datetime],
        hooks: HookRunning,
    ) -> None:
        self._database = database
        self._executor = executor
        self._repositories = repositories
        self._clock = clock
        self._hooks = hooks

    async def check(self, host_id: int, hostname: str) -> None:
        """See that a host can be worked on, and make its repository; raises VolumeError."""
        await self._executor.check()
        await self._repositories.ensure(host_id, hostname)

    async def attempt(self, backup: StoredBackup, claim: Claim) -> Outcome:
        """Work until the backup has an outcome; raises ClaimLostError if another engine took over.

        A cancellation ends all that works for it first.
        """
        rules = await persist(
            lambda: read_volume_rules(self._database, backup.record.host_id or 0),
            f"backup {backup.id}: reading its rules",
        )
        outcome = (
            await self._read_within(backup, claim, rules)
            if rules is not None
            else failed("HostUnknown", f"host {backup.record.host_id} is gone")
        )
        if outcome.status is RecordStatus.FAILED:
            await self._end_movers(backup)  # the hooks may let the application write again
        trouble = await self._hooks.run_after(backup.id, claim)
        if trouble is not None:
            outcome = _fail_by_hook(outcome, trouble)
        if outcome.status is RecordStatus.FAILED:
            await self._tidy(backup, claim, rules.hostname if rules is not None else None)
        return outcome

    async def remove(self, backup: StoredBackup, claim: Claim, hostname: str | None) -> None:
        """Remove the snapshots of a backup and what is left of its work; raises VolumeError.

        What a cancelled backup still owes its application is run first. A repository that is gone
        holds no snapshot.
        """
        await self._executor.discard(backup.archive_name)
        if (trouble := await self._hooks.run_after(backup.id, claim)) is not None:
            logger.error("backup %d: %s", backup.id, trouble)
        if hostname is None:
            return
        try:
            host = await self._repositories.get(backup.record.host_id or 0, hostname)
            await self._executor.settle(host)
            repository = await self._repositories.open(host.host_id, hostname)
        except VolumeError as trouble:
            if trouble.reason in {"RepositoryMissing", "PasswordMissing"}:
                logger.warning("backup %d: no snapshot to remove: %s", backup.id, trouble)
                return
            raise
        await repository.delete(
            [each.id for each in await repository.list_snapshots(backup.archive_name)]
        )

    async def _read_within(self, backup: StoredBackup, claim: Claim, rules: VolumeRules) -> Outcome:
        limit = asyncio.timeout(rules.time_limit_s)
        try:
            async with limit:
                return await self._work(backup, claim, rules)
        except VolumeError as trouble:
            return failed(trouble.reason, trouble.message)
        except TimeoutError as trouble:
            return (
                failed(TOO_LONG, f"not finished within {rules.time_limit_s:.0f} s")
                if limit.expired()
                else failed(BUG, f"a wait timed out: {trouble}")
            )
        except ClaimLostError:
            raise
        except Exception as bug:  # whatever it is, the client must not wait for ever
            logger.exception("backup %d: failed unexpectedly", backup.id)
            return failed(BUG, f"{type(bug).__name__}; the engine's log tells more")

    async def _work(self, backup: StoredBackup, claim: Claim, rules: VolumeRules) -> Outcome:
        host_id = backup.record.host_id or 0
        host = await self._repositories.get(host_id, rules.hostname)
        repository = await self._repositories.open(host_id, rules.hostname)
        run = _Run(backup, claim, rules, host, repository)
        volumes = await self._choose(run)
        await self._hooks.keep(backup.id, claim, rules.hooks)
        if backup.record.status is RecordStatus.IN_PROGRESS:  # left by a crash
            await self._executor.settle(host)
        await self._hooks.run_before(backup.id, claim)
        done = choose_snapshots(await repository.list_snapshots(backup.archive_name))
        async with repeated(lambda: self._write_progress(run), PROGRESS_EVERY_S):
            await self._read_all(run, [each for each in volumes if is_due(each, done)])
        return await self._conclude(run, volumes)

    async def _choose(self, run: _Run) -> list[StoredVolume]:
        """Choose the volumes once: a run that goes on after a crash is about the same ones."""

        async def find() -> list[StoredVolume]:
            async with self._database.reading() as connection:
                return await BackupVolumeRecords(connection).list_stored(run.backup.id)

        what = f"backup {run.backup.id}: its volumes"
        if known := await persist(find, what):
            return known
        chosen = await self._executor.list_volumes(run.rules.selections)

        async def keep() -> None:
            async with self._database.writing() as connection:
                await run.claim.confirm(connection)
                await BackupVolumeRecords(connection).add(run.backup.id, chosen)

        await persist(keep, what)
        return await persist(find, what)

    async def _read_all(self, run: _Run, volumes: Sequence[StoredVolume]) -> None:
        """Read the volumes, a few at once; one that fails keeps no other from its turn."""
        turn = asyncio.Semaphore(run.rules.fan_out.abreast)

        async def read(each: StoredVolume) -> None:
            async with turn:
                await self._read(run, each)

        async with asyncio.TaskGroup() as group:
            for each in volumes:
                group.create_task(read(each))

    async def _read(self, run: _Run, each: StoredVolume) -> None:
        volume = each.chosen.volume
        if each.chosen.trouble is not None:  # nothing to read: told apart from a failed reading
            return
        await self._note(run, volume, {"status": VolumeStatus.IN_PROGRESS})

        def report(progress: Progress) -> None:
            run.progress[volume] = progress

        request = SnapshotRun(
            run.backup.archive_name,
            volume,
            run.host,
            run.rules.time_limit_s,
            run.rules.fan_out.load,
            each.chosen.policy.volume_snapshot,
            each.chosen.policy.volume_snapshot_class,
        )
        try:
            await self._executor.snapshot(request, report)
        except VolumeError as trouble:
            logger.error("backup %d: %s: %s", run.backup.id, volume, trouble)  # noqa: TRY400
            await self._note(run, volume, build_ending(trouble))

    async def _conclude(self, run: _Run, volumes: Sequence[StoredVolume]) -> Outcome:
        """Judge each volume by the snapshot that the repository has of it."""
        listed = await run.repository.list_snapshots(run.backup.archive_name)
        kept = choose_snapshots(listed)
        spare = [
            each.id for each in listed if each.volume is None or kept.get(each.volume) is not each
        ]
        if spare:  # a kopia that outlived its engine took one more
            await run.repository.delete(spare)
        told = await self._read_troubles(run)
        troubles: list[VolumeError] = []
        for each in volumes:
            trouble = find_trouble(each, kept, told)
            await self._note(run, each.chosen.volume, build_changes(kept, each, trouble))
            if trouble is not None:
                troubles.append(trouble)
        good = [kept[each.chosen.volume] for each in volumes if each.chosen.volume in kept]
        size_bytes = sum(snapshot.size_bytes for snapshot in good)
        path = f"{run.repository.url}/{run.backup.archive_name}"
        if troubles:
            first = troubles[0]
            others = f"; {len(troubles)} volumes failed in all" if len(troubles) > 1 else ""
            return Outcome(
                RecordStatus.FAILED,
                failure_reason=first.reason,
                failure_message=f"{first.message}{others}",
            )
        names = describe_all([each.chosen.volume for each in volumes])
        known = {
            "reason": VERIFIED,
            "message": f"{len(good)} snapshots are in the repository: {names}",
            "depth": VerificationDepth.PRESENCE.value,
            "time_verified": self._now_ms(),
            "time_requested": None,
        }
        return Outcome(RecordStatus.SUCCESS, size_bytes, path, is_valid=True, verification=known)

    async def _read_troubles(self, run: _Run) -> dict[Volume, VolumeError]:
        async def find() -> dict[Volume, VolumeError]:
            async with self._database.reading() as connection:
                rows = await BackupVolumeRecords(connection).list_all(run.backup.id)
            return {
                Volume(row.namespace, row.claim): VolumeError(row.reason, row.message or "")
                for row in rows
                if row.reason is not None
            }

        return await persist(find, f"backup {run.backup.id}: its volumes")

    async def _note(self, run: _Run, volume: Volume, changes: dict[str, object]) -> None:
        async def note() -> None:
            async with self._database.writing() as connection:
                await run.claim.confirm(connection)
                await BackupVolumeRecords(connection).note(run.backup.id, volume, changes)

        await persist(note, f"backup {run.backup.id}: writing {volume}")

    async def _write_progress(self, run: _Run) -> None:
        heard, run.progress = run.progress, {}
        for volume, progress in heard.items():
            done = {"bytes_done": progress.bytes, "files_done": progress.files}
            await self._note(run, volume, dict(done))

    async def _end_movers(self, backup: StoredBackup) -> None:
        """End what still reads volumes; a mover out of reach has a deadline of its own."""
        try:
            async with asyncio.timeout(TIDY_WITHIN_S):
                await self._executor.discard(backup.archive_name)
        except (VolumeError, TimeoutError) as trouble:
            logger.warning("backup %d: movers may still run: %s", backup.id, trouble)

    async def _tidy(self, backup: StoredBackup, claim: Claim, hostname: str | None) -> None:
        """Remove what a failed backup left; if that fails it goes with the record."""
        try:
            async with asyncio.timeout(TIDY_WITHIN_S):
                await self.remove(backup, claim, hostname)
        except (VolumeError, TimeoutError) as trouble:
            logger.warning("backup %d: snapshots are left behind: %s", backup.id, trouble)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


def _fail_by_hook(outcome: Outcome, trouble: VolumeError) -> Outcome:
    """Build the outcome of a backup whose application may not have been set right again."""
    if outcome.status is RecordStatus.FAILED:
        told = f"{outcome.failure_message}; besides, {trouble.message}"
        return failed(outcome.failure_reason or HOOK_FAILED, told)
    return failed(trouble.reason, trouble.message)
