"""Rows of the table of restores; at most one record of them is open, and at most one runs."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, and_, delete, false, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import BackupType
from backup_api.extensions.restores import RestoreFailure, RestoreOptions, RestoreProgress
from backup_api.paging import ItemRange, Page
from backup_api.restores import RUNNING_RESTORE, RestoreRecord
from backup_api.restores import RestoreStatus as Status
from backup_engine.query.binding import Bound
from backup_engine.query.sort import SortKey
from backup_engine.query.sql import build_condition, build_order
from backup_engine.records.exclusion import (
    RestoreRunningError,
    ensure_no_backup,
    lock_beginnings,
)
from backup_engine.records.pages import read_page
from backup_engine.records.tables import (
    RESTORE_FAILURES,
    RESTORE_PLAN_ITEMS,
    RESTORE_PLANS,
    RESTORES,
)

SORT_COLUMNS: Final = {name: RESTORES.c[name] for name in RestoreRecord.model_fields}
FAILURE_COLUMNS: Final = {name: RESTORE_FAILURES.c[name] for name in RestoreFailure.model_fields}


class RestoreOpenError(Exception):
    """Another record is PENDING or running."""


@dataclass(frozen=True, slots=True)
class NewRestore:
    """A restore about to be recorded; it begins PENDING."""

    initiated_by: str
    host_id: int
    time_initiated: int  # epoch ms
    is_cross_deployment_restore: bool
    backup_id: int
    backup_name: str
    backup_version: str
    backup_filename: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredRestore:
    """A record and what the engine alone knows of it; ``is_recorded`` False: it was deleted."""

    record: RestoreRecord
    options: RestoreOptions
    progress: RestoreProgress
    time_launched: int | None  # epoch ms
    is_recorded: bool

    @property
    def id(self) -> int:
        """The record's id."""
        return self.record.id


class RestoreRecords:
    """Works inside the caller's transaction and never commits it.

    A record that was deleted while its restore runs is seen by nothing but ``find_running``.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, new: NewRestore) -> StoredRestore:
        """Store ``new``; raises RestoreOpenError."""
        row = insert(RESTORES).values(
            **asdict(new),
            backup_type=BackupType.CONFIG,
            status=Status.PENDING,
            is_running=False,
            is_recorded=True,
            options=_dump(RestoreOptions()),
            progress=_dump(RestoreProgress()),
        )
        try:  # the partial unique index decides: two racers would both pass a SELECT
            async with self._connection.begin_nested():
                added = await self._connection.execute(row.returning(*RESTORES.c))
                return _stored(added.mappings().one())
        except IntegrityError as clash:
            raise RestoreOpenError from clash

    async def find(self, restore_id: int, *, locked: bool = False) -> StoredRestore | None:
        """Find the record with this id; ``locked`` keeps others from changing it meanwhile."""
        return await self._find(_recorded(restore_id), locked=locked)

    async def find_open(self) -> StoredRestore | None:
        """Find the record that is not over."""
        is_open = RESTORES.c.status.in_(sorted({Status.PENDING, *RUNNING_RESTORE}))
        return await self._find(and_(is_open, RESTORES.c.is_recorded == true()))

    async def find_running(self) -> StoredRestore | None:
        """Find the restore that runs, with or without its record."""
        return await self._find(RESTORES.c.is_running == true())

    async def list_all(self, order: Sequence[SortKey]) -> list[RestoreRecord]:
        """List all records."""
        rows = await self._connection.execute(
            select(RESTORES)
            .where(RESTORES.c.is_recorded == true())
            .order_by(*build_order(order, SORT_COLUMNS))
        )
        return [_stored(row).record for row in rows.mappings()]

    async def set_options(self, restore_id: int, options: RestoreOptions) -> None:
        """Write the options of a record."""
        await self._update(_recorded(restore_id), {"options": _dump(options)})

    async def launch(self, restore_id: int, now_ms: int) -> bool:
        """Let a PENDING record run; False if it is not PENDING.

        Raises BackupRunningError, or else RestoreRunningError.
        """
        await lock_beginnings(self._connection)
        await ensure_no_backup(self._connection)
        pending = and_(_recorded(restore_id), RESTORES.c.status == Status.PENDING)
        changes = {"status": Status.REQUESTING, "is_running": True, "time_launched": now_ms}
        try:
            async with self._connection.begin_nested():
                return await self._update(pending, changes) == 1
        except IntegrityError as clash:
            raise RestoreRunningError from clash

    async def move(
        self,
        restore_id: int,
        leaving: Collection[Status],
        to: Status,
        changes: Mapping[str, object] | None = None,
    ) -> bool:
        """Move a running restore on, with further changes; False if not in one of ``leaving``."""
        here = and_(_running(restore_id), RESTORES.c.status.in_(sorted(leaving)))
        return await self._update(here, {**(changes or {}), "status": to}) == 1

    async def report(self, restore_id: int, progress: RestoreProgress) -> bool:
        """Write how far a running restore is; False if it does not run any more."""
        return await self._update(_running(restore_id), {"progress": _dump(progress)}) == 1

    async def finish(
        self, restore_id: int, status: Status, progress: RestoreProgress, now_ms: int
    ) -> bool:
        """End a running restore; False if it does not run any more.

        ``backup_id`` turns null (spec §4.0); without its record nothing of it stays.
        """
        changes = {
            "status": status,
            "is_running": False,
            "time_completed": now_ms,
            "backup_id": None,
            "progress": _dump(progress),
        }
        if await self._update(_running(restore_id), changes) != 1:
            return False
        gone = and_(RESTORES.c.id == restore_id, RESTORES.c.is_recorded == false())
        if (await self._connection.execute(delete(RESTORES).where(gone))).rowcount:
            await self._remove_belongings(restore_id)
        return True

    async def drop(self, restore_id: int) -> bool:
        """Remove a record that is not over; False if there is none. What runs runs on."""
        pending = and_(_recorded(restore_id), RESTORES.c.status == Status.PENDING)
        if (await self._connection.execute(delete(RESTORES).where(pending))).rowcount:
            await self._remove_belongings(restore_id)
            return True
        running = and_(_recorded(restore_id), RESTORES.c.is_running == true())
        return await self._update(running, {"is_recorded": False}) == 1

    async def add_failures(self, restore_id: int, failures: Sequence[RestoreFailure]) -> None:
        """Write down objects that could not be restored."""
        if failures:
            rows = [{"restore_id": restore_id, **_dump(failure)} for failure in failures]
            await self._connection.execute(insert(RESTORE_FAILURES), rows)

    async def forget_failures(self, restore_id: int) -> None:
        """Remove what an earlier attempt wrote down: the next one will meet it again."""
        await self._connection.execute(
            delete(RESTORE_FAILURES).where(RESTORE_FAILURES.c.restore_id == restore_id)
        )

    async def list_failures(
        self, restore_id: int, condition: Bound | None, items: ItemRange | None
    ) -> Page[RestoreFailure]:
        """List what could not be restored, in the order in which it was found out."""
        where = RESTORE_FAILURES.c.restore_id == restore_id
        if condition is not None:
            where = and_(where, build_condition(condition, FAILURE_COLUMNS))
        order = [RESTORE_FAILURES.c.id.asc()]
        page = await read_page(self._connection, RESTORE_FAILURES, where, order, items)
        failures = tuple(RestoreFailure.model_validate(dict(row)) for row in page.records)
        return Page(failures, page.first, page.total)

    async def _find(
        self, where: ColumnElement[bool], *, locked: bool = False
    ) -> StoredRestore | None:
        query = select(RESTORES).where(where)
        if locked:  # SQLite's write lock covers all rows already, and it knows no such clause
            query = query.with_for_update()
        found = await self._connection.execute(query)
        row = found.mappings().one_or_none()
        return _stored(row) if row is not None else None

    async def _update(self, where: ColumnElement[bool], changes: Mapping[str, Any]) -> int:
        changed = await self._connection.execute(update(RESTORES).where(where).values(**changes))
        return changed.rowcount

    async def _remove_belongings(self, restore_id: int) -> None:
        for table in (RESTORE_PLANS, RESTORE_PLAN_ITEMS, RESTORE_FAILURES):
            await self._connection.execute(delete(table).where(table.c.restore_id == restore_id))


def _recorded(restore_id: int) -> ColumnElement[bool]:
    return and_(RESTORES.c.id == restore_id, RESTORES.c.is_recorded == true())


def _running(restore_id: int) -> ColumnElement[bool]:
    return and_(RESTORES.c.id == restore_id, RESTORES.c.is_running == true())


def _dump(document: RestoreOptions | RestoreProgress | RestoreFailure) -> dict[str, Any]:
    return document.model_dump(mode="json")


def _stored(row: RowMapping) -> StoredRestore:
    return StoredRestore(
        record=RestoreRecord.model_validate(dict(row)),
        # as JSON, for in Python's own objects strictness would ask for tuples
        options=RestoreOptions.model_validate_json(json.dumps(row["options"])),
        progress=RestoreProgress.model_validate(row["progress"]),
        time_launched=row["time_launched"],
        is_recorded=row["is_recorded"],
    )
