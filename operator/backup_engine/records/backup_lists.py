"""What requests read of the table of backups: one by its id, and stretches of the list."""

from collections.abc import Collection, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Dialect,
    Select,
    bindparam,
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
from backup_engine.records.selects import CompiledSelect, Reader, Row, Statement, compile_select
from backup_engine.records.tables import BACKUPS
from backup_engine.records.totals import Total, Totals, build_mark

FORMS_REMEMBERED: Final = 256

COLUMNS: Final[Columns] = {
    **{name: BACKUPS.c[name] for name in BackupRecord.model_fields if name in BACKUPS.c},
    "intiated_by": BACKUPS.c.initiated_by,  # the wire misspells it (spec §12 no. 1)
}
"""Columns by the wire's names of the members."""

_TOTAL: Final = "total of the list"  # no member can be called so
_MARK: Final = "mark of the state"
_LIMIT: Final = "row_limit"
_OFFSET: Final = "row_offset"
_ID: Final = "backup_id"


Stretch = tuple[list[dict[str, Any]], int]
"""Rows of a list from one position on, and how long the whole list is."""


@dataclass(frozen=True, slots=True)
class PageSelect:
    """What may be asked for a page: its rows, the length of the list, and both in one state.

    All of them tell the mark of the state that they saw.
    """

    rows: CompiledSelect
    count: CompiledSelect
    together: CompiledSelect

    def read(
        self, values: Mapping[str, Any], key: Hashable, totals: Totals
    ) -> Generator[Statement, Sequence[Row], Stretch]:
        """Ask for the rows, and for the length only if neither they nor ``totals`` tell it.

        Where somebody has committed something between the two, which cannot be where both are one
        transaction, they are asked for together.
        """
        rows = self.rows.read((yield self.rows.ask(values)))
        mark = None
        for row in rows:
            mark = row.pop(_MARK)
        first, length = values[_OFFSET], values[_LIMIT]
        if len(rows) < length and (rows or not first):
            return rows, first + len(rows)  # the page tells it by itself
        known = totals.find(key)
        if mark is not None and known.mark == mark:
            return rows, known.length
        (counted,) = self.count.read((yield self.count.ask(values)))
        if rows and (mark is None or counted[_MARK] != mark):
            if together := self.together.read((yield self.together.ask(values))):
                rows, counted = together, dict(together[0])
                for row in rows:
                    del row[_MARK], row[_TOTAL]
            else:
                rows = []
        if counted[_MARK] is not None:
            totals.note(key, Total(counted[_MARK], counted[_TOTAL]))
        return rows, counted[_TOTAL]


class BackupLists:
    """Reads records as objects of the wire, with chosen members only.

    What the engine wrote itself need not be validated to be sent.
    """

    def __init__(self, reader: Reader, dialect: Dialect) -> None:
        self._reader = reader
        self._dialect = dialect
        remembered = lru_cache(FORMS_REMEMBERED)
        self._one = remembered(lambda names: compile_select(_build_one(names), dialect))
        self._whole = remembered(lambda *form: compile_select(_build_whole(*form), dialect))
        self._page = remembered(self._compile_page)

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
        page: PageSelect = self._page(*form)
        key = (outline, scalars)
        rows, total = await self._reader.read(lambda totals: page.read(values, key, totals))
        return Page(tuple(rows), items.first, total)

    def _compile_page(
        self, outline: Bound | None, order: tuple[SortKey, ...], names: tuple[str, ...]
    ) -> PageSelect:
        mark = build_mark(self._dialect).label(_MARK)
        count = _build_count(outline)
        rows = _build_rows(outline, order, names)
        total = count.scalar_subquery().label(_TOTAL)
        queries = (rows.add_columns(mark), count.add_columns(mark), rows.add_columns(mark, total))
        return PageSelect(*(compile_select(query, self._dialect) for query in queries))


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


def _build_rows(
    outline: Bound | None, order: tuple[SortKey, ...], names: tuple[str, ...]
) -> Select[Any]:
    return (
        _build_whole(outline, order, names)
        .limit(bindparam(_LIMIT, type_=BigInteger()))
        .offset(bindparam(_OFFSET, type_=BigInteger()))
    )
