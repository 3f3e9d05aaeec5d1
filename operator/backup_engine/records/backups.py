"""Rows of the table of backups."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    RowMapping,
    UpdateBase,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import (
    AppDeploymentLocation,
    BackupRecord,
    BackupType,
)
from backup_api.backups import RecordStatus as Status
from backup_engine.records.exclusion import RESTORE_RUNS, RestoreRunningError
from backup_engine.records.inserting import insert_unless_taken
from backup_engine.records.tables import (
    BACKUP_HOOKS,
    BACKUP_VOLUMES,
    BACKUPS,
    CAPTURE_JOURNAL,
    VERIFICATIONS,
)


class NameTakenError(Exception):
    """Another on-demand backup has this name."""


class HostBusyError(Exception):
    """A backup already runs on this host."""


@dataclass(frozen=True, slots=True)
class NewBackup:
    """A backup about to be recorded; it begins INITIALIZING."""

    name: str
    configuration_id: int
    host_id: int
    description: str | None
    type: BackupType
    version: str
    build_version: str
    time_initiated: int  # epoch ms
    initiated_by: str
    app_deployment_location: AppDeploymentLocation
    archive_name: str
    archive_directory: str | None = None  # None: where the settings say
    is_on_demand: bool = True


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A record and what the engine alone knows of it; no reason: it has not failed."""

    record: BackupRecord
    archive_name: str
    archive_directory: str | None
    failure_reason: str | None
    failure_message: str | None
    time_started: int | None = None  # epoch ms; None: no capture of it has begun

    @property
    def id(self) -> int:
        """The record's id."""
        return self.record.id


class BackupRecords:
    """The engine's backup records; works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, new: NewBackup) -> StoredBackup:
        """Store ``new``; the transaction holds the lock of ``lock_beginnings``.

        Raises NameTakenError, or else RestoreRunningError, or else HostBusyError (spec §14).
        """
        # the partial unique indexes decide: two racers would both pass a SELECT
        row = {_PARAMETER + name: value for name, value in asdict(new).items()}
        added = await self._connection.execute(_build_insert(self._connection.dialect.name), row)
        found = added.mappings().one_or_none()
        if found is not None:
            return stored_backup(found)
        # which index it was, each database says in its own words; so look, in the order of §14
        same_name = (BACKUPS.c.name == new.name) & (BACKUPS.c.is_on_demand == true())
        if new.is_on_demand and await self._exists(same_name):
            raise NameTakenError(new.name)
        if await self._connection.scalar(select(RESTORE_RUNS)):
            raise RestoreRunningError
        raise HostBusyError(new.host_id)

    async def find(self, backup_id: int) -> StoredBackup | None:
        """The record with this id, or None."""
        found = await self._connection.execute(_ONE, {"backup_id": backup_id})
        row = found.mappings().one_or_none()
        return stored_backup(row) if row is not None else None

    async def list_in(
        self,
        statuses: Collection[Status],
        after_id: int = 0,
        limit: int = 500,
        backup_type: BackupType | None = None,
    ) -> list[StoredBackup]:
        """List those in one of ``statuses`` by ascending id, from ``after_id`` (excluded) on.

        ``backup_type`` None: of either type.
        """
        wanted = (BACKUPS.c.status.in_(sorted(statuses))) & (BACKUPS.c.id > after_id)
        if backup_type is not None:
            wanted &= BACKUPS.c.type == backup_type.value
        rows = await self._connection.execute(
            select(BACKUPS).where(wanted).order_by(BACKUPS.c.id).limit(limit)
        )
        return [stored_backup(row) for row in rows.mappings()]

    async def find_newest_good(
        self, host_id: int, backup_type: BackupType, at_ms: int | None
    ) -> StoredBackup | None:
        """Find the newest valid backup of a host that began at ``at_ms`` or before; None: none."""
        wanted = _is_good_of(host_id, backup_type)
        if at_ms is not None:
            wanted &= BACKUPS.c.time_initiated <= at_ms
        newest = BACKUPS.c.time_initiated.desc()
        rows = await self._connection.execute(
            select(BACKUPS).where(wanted).order_by(newest, BACKUPS.c.id.desc()).limit(1)
        )
        row = rows.mappings().one_or_none()
        return stored_backup(row) if row is not None else None

    async def find_first_time(self, host_id: int, backup_type: BackupType) -> int | None:
        """Find when the oldest valid backup of a host began, in epoch ms; None: it has none."""
        first = select(func.min(BACKUPS.c.time_initiated))
        found: int | None = await self._connection.scalar(
            first.where(_is_good_of(host_id, backup_type))
        )
        return found

    async def list_expired(
        self, statuses: Collection[Status], before_ms: int, limit: int
    ) -> list[StoredBackup]:
        """List scheduled runs that began before ``before_ms``, oldest first.

        The newest good one of a host stays out of it, whatever its age: retention must never
        leave a host without any.
        """
        newer = BACKUPS.alias("newer")
        has_newer = exists().where(
            _is_good(newer),
            newer.c.host_id == BACKUPS.c.host_id,
            newer.c.type == BACKUPS.c.type,
            newer.c.time_initiated > BACKUPS.c.time_initiated,
        )
        rows = await self._connection.execute(
            select(BACKUPS)
            .where(
                BACKUPS.c.is_on_demand == false(),
                BACKUPS.c.status.in_(sorted(statuses)),
                BACKUPS.c.time_initiated < before_ms,
                or_(not_(_is_good(BACKUPS)), has_newer),
            )
            .order_by(BACKUPS.c.time_initiated)
            .limit(limit)
        )
        return [stored_backup(row) for row in rows.mappings()]

    async def change_description(self, backup_id: int, description: str) -> None:
        """Write the description; a record that is gone is left gone."""
        await self._update(BACKUPS.c.id == backup_id, {"description": description})

    async def move(
        self,
        backup_id: int,
        leaving: Collection[Status],
        to: Status,
        changes: Mapping[str, object] | None = None,
    ) -> bool:
        """Move a record from one of the statuses ``leaving`` to another, with further changes.

        False, and nothing written, if it is in none of them by now: somebody else was quicker.
        """
        here = (BACKUPS.c.id == backup_id) & BACKUPS.c.status.in_(sorted(leaving))
        return await self._update(here, {**(changes or {}), "status": to}) == 1

    async def remove(self, backup_id: int) -> None:
        """Remove a record and what hangs on it; one that is gone is as good as removed."""
        await self._connection.execute(
            delete(VERIFICATIONS).where(VERIFICATIONS.c.backup_id == backup_id)
        )
        await self._connection.execute(
            delete(CAPTURE_JOURNAL).where(CAPTURE_JOURNAL.c.backup_id == backup_id)
        )
        await self._connection.execute(
            delete(BACKUP_VOLUMES).where(BACKUP_VOLUMES.c.backup_id == backup_id)
        )
        await self._connection.execute(
            delete(BACKUP_HOOKS).where(BACKUP_HOOKS.c.backup_id == backup_id)
        )
        await self._connection.execute(delete(BACKUPS).where(BACKUPS.c.id == backup_id))

    async def _exists(self, where: ColumnElement[bool]) -> bool:
        found = await self._connection.execute(select(BACKUPS.c.id).where(where).limit(1))
        return found.first() is not None

    async def _update(self, where: ColumnElement[bool], changes: Mapping[str, Any]) -> int:
        changed = await self._connection.execute(update(BACKUPS).where(where).values(**changes))
        return changed.rowcount


_ONE: Final = select(BACKUPS).where(BACKUPS.c.id == bindparam("backup_id"))
_PARAMETER: Final = "new_"  # SQLAlchemy keeps the names of the columns for itself

_UNKNOWN_YET: Final[Mapping[str, object]] = {
    "status": Status.INITIALIZING,
    "size_on_disk": 0,
    "is_valid": False,
    "is_version_compatible": True,
}


@cache  # building it takes longer than running it
def _build_insert(dialect_name: str) -> UpdateBase:
    """Build what adds a backup, unless a restore runs or an index has its name or host."""
    values = [
        *(
            bindparam(_PARAMETER + each.name, type_=BACKUPS.c[each.name].type)
            for each in fields(NewBackup)
        ),
        *(literal(value, BACKUPS.c[name].type) for name, value in _UNKNOWN_YET.items()),
    ]
    columns = [*(each.name for each in fields(NewBackup)), *_UNKNOWN_YET]
    new = select(*values).where(not_(RESTORE_RUNS))
    row = insert_unless_taken(dialect_name, BACKUPS).from_select(columns, new)
    return row.returning(*BACKUPS.c)


def _is_good(table: FromClause) -> ColumnElement[bool]:
    """Whether a row is a scheduled run with an archive that can be restored."""
    return and_(
        table.c.is_on_demand == false(),
        table.c.status == Status.SUCCESS.value,
        table.c.is_valid == true(),
    )


def _is_good_of(host_id: int, backup_type: BackupType) -> ColumnElement[bool]:
    """Whether a row is a backup of this host and type that can be restored."""
    return and_(
        BACKUPS.c.host_id == host_id,
        BACKUPS.c.type == backup_type.value,
        BACKUPS.c.status == Status.SUCCESS.value,
        BACKUPS.c.is_valid == true(),
    )


def stored_backup(row: RowMapping) -> StoredBackup:
    """Build the record and what the engine alone knows from a row of the table."""
    record = BackupRecord.model_validate(dict(row))
    return StoredBackup(
        record,
        row["archive_name"],
        row["archive_directory"],
        row["failure_reason"],
        row["failure_message"],
        row["time_started"],
    )
