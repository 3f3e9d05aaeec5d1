"""One capture from INITIALIZING to its outcome (spec §3.0)."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from backup_api.backups import RUNNING, BackupType
from backup_api.backups import RecordStatus as Status
from backup_api.hosts import HostRecord
from backup_engine.archive.errors import ArchiveError, ArchiveExistsError, StorageError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.journal import parse_journal
from backup_engine.capture.request import CapturedKind, CaptureRequest
from backup_engine.capture.run import build_captured, capture
from backup_engine.cluster import ClusterConnection
from backup_engine.product import Product
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.capture_journal import CaptureJournalRecords
from backup_engine.records.database import Database
from backup_engine.records.verifications import VerificationRecords
from backup_engine.runs.capture_journal import DatabaseJournal
from backup_engine.runs.claims import Claim, ClaimLostError
from backup_engine.runs.data_backups import DataBackups
from backup_engine.runs.outcome import BUG, TOO_LONG, Outcome, failed
from backup_engine.runs.persistence import persist
from backup_engine.runs.rules import CaptureRules, ReadRules
from backup_engine.runs.safekeeping import UNPROTECTED, Safekeeping
from backup_engine.runs.verifying import UNVERIFIED, build_kinds, describe_verification

logger = logging.getLogger(__name__)

_MS_PER_S: Final = 1000


class Capturing:
    """Carries backups out: captures, and with ``data`` volumes; all it needs is handed in."""

    def __init__(  # noqa: PLR0913, PLR0917 - its collaborators
        self,
        database: Database,
        cluster: ClusterConnection,
        places: ArchivePlaces,
        hosts: Sequence[HostRecord],
        product: Product,
        clock: Callable[[], datetime],
        read_rules: ReadRules,
        safekeeping: Safekeeping = UNPROTECTED,
        data: DataBackups | None = None,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._places = places
        self._hostnames = {host.id: host.hostname or "" for host in hosts}
        self._product = product
        self._clock = clock
        self._read_rules = read_rules
        self._safekeeping = safekeeping
        self._data = data

    async def run(self, backup: StoredBackup, claim: Claim) -> None:
        """Make ``backup`` and record the outcome; a record cancelled meanwhile stays as is.

        Raises ClaimLostError, and neither publishes nor records, if another engine took over.
        """
        started_ms = backup.time_started or self._now_ms()
        begun = {"time_started": started_ms}
        if not await self._move(backup, claim, RUNNING, Status.IN_PROGRESS, begun):
            return
        verb = "goes on" if backup.time_started is not None else "begins"
        logger.info("backup %d %r: %s", backup.id, backup.record.name, verb)
        if backup.record.type is BackupType.DATA:
            outcome = await self._attempt_data(backup, claim)
        else:
            outcome = await self._attempt(backup, claim, started_ms)
            await self._discard_staging(backup, claim)
        changes = {
            "time_completed": self._now_ms(),
            "size_on_disk": outcome.size_bytes,
            "content_file_path": outcome.content_file_path,
            "is_valid": outcome.is_valid,
            "failure_reason": outcome.failure_reason,
            "failure_message": outcome.failure_message,
        }
        if not await self._move(
            backup, claim, {Status.IN_PROGRESS}, outcome.status, changes, outcome
        ):
            return
        log = logger.info if outcome.status is Status.SUCCESS else logger.error
        log(
            "backup %d %r: %s, %d bytes%s",
            backup.id,
            backup.record.name,
            outcome.status,
            outcome.size_bytes,
            f": {outcome.failure_reason}: {outcome.failure_message}"
            if outcome.failure_reason
            else "",
        )

    async def _attempt_data(self, backup: StoredBackup, claim: Claim) -> Outcome:
        if self._data is None:
            return failed(
                "NoExecutor",
                "this engine has nothing to work on volumes with: --volumes-dir or --mover-image",
            )
        return await self._data.attempt(backup, claim)

    async def _attempt(self, backup: StoredBackup, claim: Claim, started_ms: int) -> Outcome:
        host_id = backup.record.host_id or 0
        rules = await persist(
            lambda: self._read_rules(host_id), f"backup {backup.id}: reading its rules"
        )
        # counted from the first start: a crash must not give a capture its time once more
        spent_s = max(0.0, (self._now_ms() - started_ms) / _MS_PER_S)
        limit = asyncio.timeout(max(0.0, rules.time_limit_s - spent_s))
        try:
            published = await self._find_published(backup, claim)
            if published is not None:
                return published
            async with limit:
                return await self._capture(backup, claim, rules)
        except (CaptureError, ArchiveError) as trouble:
            return failed(trouble.reason, trouble.message)
        except TimeoutError as trouble:
            if not limit.expired():
                return failed(BUG, f"a wait timed out: {trouble}")
            return failed(
                TOO_LONG, f"not finished within {rules.time_limit_s:.0f} s of its first start"
            )
        except ClaimLostError:
            raise
        except Exception as bug:  # whatever it is, the client must not wait for ever
            logger.exception("backup %d: capture failed unexpectedly", backup.id)
            return failed(BUG, f"{type(bug).__name__}; the engine's log tells more")

    async def _capture(self, backup: StoredBackup, claim: Claim, rules: CaptureRules) -> Outcome:
        record = backup.record
        store = self._places.open(backup.archive_directory)
        await self._check_directory(backup.archive_directory)
        host_id = record.host_id or 0
        request = CaptureRequest(
            backup_id=record.id,
            name=record.name or "",
            host_id=host_id,
            hostname=self._hostnames.get(host_id, ""),
            time_initiated_ms=record.time_initiated or 0,
            initiated_by=record.intiated_by,
            product_version=self._product.version,
            scope=rules.scope,
            policy=rules.policy,
        )
        protection = await self._safekeeping.protection(self._clock)
        try:
            done = await capture(
                request,
                self._cluster,
                store,
                limits=rules.limits,
                protection=protection,
                journal=self._open_journal(backup, claim),
                before_publishing=lambda: self._confirm(backup, claim),
            )
        except CaptureError as trouble:
            if not isinstance(trouble.__cause__, ArchiveExistsError):
                raise
            # by an engine that was paused as it was about to publish (ADR 7)
            published = await self._find_published(backup, claim)
            if published is None:
                raise
            return published
        return await self._verify(store, done.archive_name, done.size_bytes, done.captured)

    async def _find_published(self, backup: StoredBackup, claim: Claim) -> Outcome | None:
        """Find the archive of a capture whose outcome was not recorded, or is recorded no more.

        One that is not valid is removed, for archives are written once: the name must be free.
        Its time limit is over: the archive was whole in time.
        """
        store = self._places.open(backup.archive_directory)
        size_bytes = await store.find_size(backup.archive_name)
        if size_bytes is None:
            return None
        past = parse_journal(await self._open_journal(backup, claim).read())
        finished = [kind for entry in past for kind in entry.finished]
        outcome = await self._verify(
            store, backup.archive_name, size_bytes, build_captured(finished)
        )
        if outcome.status is Status.SUCCESS:
            return outcome
        await store.delete(backup.archive_name)
        return None

    def _open_journal(self, backup: StoredBackup, claim: Claim) -> DatabaseJournal:
        return DatabaseJournal(self._database, backup.id, claim.confirm)

    async def _confirm(self, backup: StoredBackup, claim: Claim) -> None:
        async def confirm() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)

        await persist(confirm, f"backup {backup.id}: confirming its claim")

    async def _discard_staging(self, backup: StoredBackup, claim: Claim) -> None:
        """Remove what the capture left in staging; if that fails it goes with the record."""
        await self._confirm(backup, claim)  # what another engine goes on with is not ours
        try:
            await self._places.open(backup.archive_directory).discard_staging(backup.archive_name)
        except StorageError as trouble:
            logger.warning("backup %d: staging is left behind: %s", backup.id, trouble)

    async def _check_directory(self, path: str | None) -> None:
        """Raise CaptureError if a configured directory is gone: it must exist (spec §10).

        Making it would hide a volume that is not mounted behind backups on the wrong disk.
        """
        directory = self._places.find_directory(path)
        if path is None or directory is None:
            return
        if not await asyncio.to_thread(directory.is_dir):
            raise CaptureError("DirectoryMissing", f"backup_directory_path {path} is no directory")

    async def _verify(
        self,
        store: ArchiveStore,
        name: str,
        size_bytes: int,
        captured: Sequence[CapturedKind],
    ) -> Outcome:
        path = store.location(name)
        kinds = {"kinds": build_kinds(captured)}
        try:
            verification = await self._safekeeping.verify(store, name)
        except StorageError as trouble:  # says nothing about the archive
            unverified = kinds | {"reason": UNVERIFIED, "message": trouble.message}
            return Outcome(Status.SUCCESS, size_bytes, path, verification=unverified)
        if not verification.is_valid:
            reason, message = verification.reason, verification.message
            return Outcome(Status.FAILED, size_bytes, path, False, reason, message)
        known = kinds | describe_verification(verification, self._now_ms())
        return Outcome(Status.SUCCESS, size_bytes, path, is_valid=True, verification=known)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)

    async def _move(
        self,
        backup: StoredBackup,
        claim: Claim,
        leaving: frozenset[Status] | set[Status],
        to: Status,
        changes: Mapping[str, object],
        outcome: Outcome | None = None,
    ) -> bool:
        async def move() -> bool:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                is_moved = await BackupRecords(connection).move(backup.id, leaving, to, changes)
                if is_moved and outcome is not None:
                    await CaptureJournalRecords(connection).truncate(backup.id, 0)
                    if outcome.verification:
                        await VerificationRecords(connection).note(backup.id, outcome.verification)
                return is_moved

        return await persist(move, f"backup {backup.id}: writing {to}")
