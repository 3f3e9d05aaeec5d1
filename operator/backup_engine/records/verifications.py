"""Rows of the tables of verifications and of looks at the archives' directories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import BackupType
from backup_api.backups import RecordStatus as Status
from backup_engine.records.backups import StoredBackup, stored_backup
from backup_engine.records.tables import ARCHIVE_LOOKS, BACKUPS, VERIFICATIONS

OWN_DIRECTORY: Final = ""  # stands for the archive URL's own, as a key cannot be null


@dataclass(frozen=True, slots=True)
class NeededKind:
    """A kind that an archive holds; ``is_defined``: by a definition in the same archive."""

    api_version: str
    resource: str
    is_defined: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """What is known of one archive; None: not known. Times in epoch ms.

    ``reason``, ``message`` and ``depth`` are those of the last verification (wire model
    ``BackupVerification``). ``time_verified`` is the end of the last look at every byte,
    ``time_seen`` of the last at presence and size, ``time_requested`` is set while a verification
    is asked for. ``conversions`` name kinds that are served in another version than the archive's.
    """

    backup_id: int
    reason: str | None = None
    message: str | None = None
    depth: str | None = None
    time_verified: int | None = None
    time_seen: int | None = None
    time_requested: int | None = None
    incompatibilities: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindsOfArchive:
    """What an archive needs of a cluster; None as kinds: not known yet."""

    backup: StoredBackup
    kinds: tuple[NeededKind, ...] | None


class VerificationRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, backup_id: int) -> Verification:
        """Return what is known of one archive; of an unknown one nothing is."""
        seen = func.coalesce(BACKUPS.c.archive_directory, OWN_DIRECTORY)
        query = (
            select(VERIFICATIONS, ARCHIVE_LOOKS.c.time_seen)
            .select_from(
                BACKUPS.outerjoin(
                    VERIFICATIONS, VERIFICATIONS.c.backup_id == BACKUPS.c.id
                ).outerjoin(ARCHIVE_LOOKS, ARCHIVE_LOOKS.c.directory == seen)
            )
            .where(BACKUPS.c.id == backup_id)
        )
        row = (await self._connection.execute(query)).mappings().one_or_none()
        return _verification(backup_id, row) if row is not None else Verification(backup_id)

    async def note(self, backup_id: int, changes: Mapping[str, Any]) -> None:
        """Write columns of a verification, making the row where there is none."""
        here = VERIFICATIONS.c.backup_id == backup_id
        if await self._update(here, changes):
            return
        row = insert(VERIFICATIONS).values(backup_id=backup_id, **changes)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(row)
        except IntegrityError:  # somebody else made it just now
            await self._update(here, changes)

    async def request(self, backup_id: int, now_ms: int) -> None:
        """Ask for a look at every byte; where one is asked for already nothing changes."""
        if (await self.find(backup_id)).time_requested is None:
            await self.note(backup_id, {"time_requested": now_ms})

    async def list_due(
        self, before_ms: int, limit: int, backup_type: BackupType = BackupType.CONFIG
    ) -> list[StoredBackup]:
        """List backups to verify: those asked for, then those last verified before, oldest first.

        Only of backups that are SUCCESS; an archive that is MISSING is verified when it is back.
        """
        asked, verified = VERIFICATIONS.c.time_requested, VERIFICATIONS.c.time_verified
        query = (
            select(BACKUPS)
            .outerjoin(VERIFICATIONS, VERIFICATIONS.c.backup_id == BACKUPS.c.id)
            .where(
                BACKUPS.c.status == Status.SUCCESS.value,
                BACKUPS.c.type == backup_type.value,
                asked.is_not(None) | verified.is_(None) | (verified < before_ms),
            )
            .order_by(asked.is_(None), asked, func.coalesce(verified, 0), BACKUPS.c.id)
            .limit(limit)
        )
        return [stored_backup(row) for row in (await self._connection.execute(query)).mappings()]

    async def list_outdated(self, basis: str, limit: int) -> list[KindsOfArchive]:
        """List archives whose compatibility was judged against something else than ``basis``."""
        judged = VERIFICATIONS.c.compatibility_basis
        query = (
            select(BACKUPS, VERIFICATIONS.c.kinds)
            .outerjoin(VERIFICATIONS, VERIFICATIONS.c.backup_id == BACKUPS.c.id)
            .where(
                BACKUPS.c.type == BackupType.CONFIG.value,  # snapshots fit any cluster
                BACKUPS.c.status == Status.SUCCESS.value,
                judged.is_(None) | (judged != basis),
            )
            .order_by(BACKUPS.c.id)
            .limit(limit)
        )
        rows = (await self._connection.execute(query)).mappings()
        return [KindsOfArchive(stored_backup(row), _kinds(row["kinds"])) for row in rows]

    async def note_look(self, directory: str | None, now_ms: int) -> None:
        """Remember that the archives of a directory were looked at."""
        key = directory if directory is not None else OWN_DIRECTORY
        here = ARCHIVE_LOOKS.c.directory == key
        changed = await self._connection.execute(
            update(ARCHIVE_LOOKS).where(here).values(time_seen=now_ms)
        )
        if changed.rowcount:
            return
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(ARCHIVE_LOOKS).values(directory=key, time_seen=now_ms)
                )
        except IntegrityError:
            return  # another engine looked just now

    async def _update(self, where: ColumnElement[bool], changes: Mapping[str, Any]) -> bool:
        done = await self._connection.execute(update(VERIFICATIONS).where(where).values(**changes))
        return bool(done.rowcount)


def build_kinds(kinds: Sequence[NeededKind]) -> list[list[Any]]:
    """Build what the column ``kinds`` holds."""
    return [[kind.api_version, kind.resource, kind.is_defined] for kind in kinds]


def _kinds(stored: list[list[Any]] | None) -> tuple[NeededKind, ...] | None:
    return tuple(NeededKind(*kind) for kind in stored) if stored is not None else None


def _verification(backup_id: int, row: RowMapping) -> Verification:
    return Verification(
        backup_id,
        row["reason"],
        row["message"],
        row["depth"],
        row["time_verified"],
        row["time_seen"],
        row["time_requested"],
        tuple(row["incompatibilities"] or ()),
        tuple(row["conversions"] or ()),
    )
