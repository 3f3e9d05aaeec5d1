"""What requests read of the table of backups: one by its id, and stretches of the list."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Dialect,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from backup_api.backups import RECORD_MEMBERS, BackupRecord
from backup_api.paging import ItemRange, Page
from backup_engine.query.binding import Bound
from backup_engine.query.sort import SortKey
from backup_engine.query.sql import Columns, build_condition, build_order, split_values
from backup_engine.query.terms import Scalar
from backup_engine.records.pages import LONGEST_PAGE
from backup_engine.records.selects import CompiledSelect, Reader, compile_select
from backup_engine.records.tables import BACKUPS
from backup_engine.records.totals import NO_MARK, Total, Totals, build_mark

FORMS_REMEMBERED: Final = 256

COLUMNS: Final[Columns] = {
    **{name: BACKUPS.c[name] for name in BackupRecord.model_fields if name in BACKUPS.c},
    "intiated_by": BACKUPS.c.initiated_by,  # the wire misspells it (spec §12 no. 1)
}
"""Columns by the wire's names of the members."""

_TOTAL: Final = "total of the list"  # no member can be called so
_MARK: Final = "mark of the state"
_KNOWN: Final = "known_mark"
_LIMIT: Final = "row_limit"
_OFFSET: Final = "row_offset"
_ID: Final = "backup_id"


class BackupLists:
    """Reads records as objects of the wire, with chosen members only.

    What the engine wrote itself need not be validated to be sent.
    """

    def __init__(self, reader: Reader, dialect: Dialect) -> None:
        self._reader = reader
        remembered = lru_cache(FORMS_REMEMBERED)
        self._one = remembered(lambda names: compile_select(_build_one(names), dialect))
        mark = build_mark(dialect)
        self._whole = remembered(lambda *form: compile_select(_build_whole(*form), dialect))
        self._page = remembered(lambda *form: compile_select(_build_page(mark, *form), dialect))
        self._count = remembered(lambda outline: compile_select(_build_count(outline), dialect))

    async def find(self, backup_id: int, members: Collection[str]) -> Mapping[str, Any] | None:
        """Find the record with this id."""
        compiled: CompiledSelect = self._one(_choose(members))
        rows = await compiled.fetch(self._reader, {_ID: backup_id})
        return rows[0] if rows else None

    async def list_page(
        self,
        condition: Bound | None,
        order: Sequence[SortKey],
        items: ItemRange | None,
        members: Collection[str],
    ) -> Page[Mapping[str, Any]]:
        """Filter, sort and cut (spec §2.10); ``items`` None is the whole list."""
        outline, scalars = split_values(condition) if condition is not None else (None, ())
        values: dict[str, Any] = {_name(at): value for at, value in enumerate(scalars)}
        form = (outline, tuple(order), _choose(members))
        if items is None:
            whole: CompiledSelect = self._whole(*form)
            rows = await whole.fetch(self._reader, values)
            return Page(tuple(rows), 0, len(rows))
        length = min(items.length, LONGEST_PAGE)
        values[_LIMIT], values[_OFFSET] = length, items.first
        rows, total = await self._fetch_page(self._page(*form), values, (outline, scalars))
        if len(rows) < length and (rows or not items.first):
            total = items.first + len(rows)  # the page tells it by itself
        elif not rows:  # past the end, which is not told without a row
            counting: CompiledSelect = self._count(outline)
            ((counted),) = await counting.fetch(self._reader, values)
            total = counted[_TOTAL]
        return Page(tuple(rows), items.first, total)

    async def _fetch_page(
        self, page: CompiledSelect, values: Mapping[str, Any], key: Hashable
    ) -> tuple[list[dict[str, Any]], int]:
        """Fetch the rows, and the total if there are as many as were asked for."""
        known = Total(NO_MARK, 0)

        def fill(totals: Totals) -> list[Any]:
            nonlocal known
            known = totals.find(key)
            return page.arrange({**values, _KNOWN: known.mark})

        found, totals = await self._reader.fetch(page.sql, fill)
        rows = page.read(found)
        counted, mark = None, None
        for row in rows:
            counted, mark = row.pop(_TOTAL), row.pop(_MARK)
        if counted is None:
            return rows, known.length
        if mark is not None:
            totals.note(key, Total(mark, counted))
        return rows, counted


def _choose(members: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in RECORD_MEMBERS if name in members)


def _name(position: int) -> str:
    return f"value_{position}"


class _Slots:
    """Leaves a place in the SQL for each value of a filter."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, _outline: Scalar, type_: TypeEngine[Any]) -> BindParameter[Any]:
        slot = bindparam(_name(self._next), type_=type_)
        self._next += 1
        return slot


def _build_where(outline: Bound | None) -> ColumnElement[bool]:
    return true() if outline is None else build_condition(outline, COLUMNS, _Slots())


def _build_one(names: tuple[str, ...]) -> Select[Any]:
    wanted = BACKUPS.c.id == bindparam(_ID, type_=BigInteger())
    return select(*(COLUMNS[name].label(name) for name in names)).where(wanted)


def _build_count(outline: Bound | None) -> Select[Any]:
    return select(func.count().label(_TOTAL)).select_from(BACKUPS).where(_build_where(outline))


def _build_whole(
    outline: Bound | None, order: tuple[SortKey, ...], names: tuple[str, ...]
) -> Select[Any]:
    columns = [COLUMNS[name].label(name) for name in names]
    return (
        select(*columns)
        .select_from(BACKUPS)
        .where(_build_where(outline))
        .order_by(*build_order(order, COLUMNS))
    )


def _build_page(
    mark: ColumnElement[str],
    outline: Bound | None,
    order: tuple[SortKey, ...],
    names: tuple[str, ...],
) -> Select[Any]:
    """Build one statement for page and total, which then come from one state of the database.

    Counts only what neither the page tells, which is nothing if it reaches the end of the list,
    nor what was counted in the same state before.
    """
    columns = [COLUMNS[name].label(name) for name in names]
    keys = build_order(order, COLUMNS)
    limit = bindparam(_LIMIT, type_=BigInteger())
    by = {key.name for key in order} | {"id"}
    hidden = [COLUMNS[name].label(f"key {name}") for name in sorted(by)]
    page = (
        select(*columns, *hidden)
        .where(_build_where(outline))
        .order_by(*keys)
        .limit(limit)
        .offset(bindparam(_OFFSET, type_=BigInteger()))
        .subquery("page")
    )
    total = _build_count(outline).scalar_subquery()
    is_full = func.count().over() == limit
    is_new = mark.is_distinct_from(bindparam(_KNOWN, type_=Text()))
    outer: Any = {name: page.c[f"key {name}"] for name in by}
    return select(
        *(page.c[name] for name in names),
        case((and_(is_full, is_new), total)).label(_TOTAL),
        mark.label(_MARK),
    ).order_by(*build_order(order, outer))
