"""A stretch of a table: count, sort, cut (spec §2.10)."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import UnaryExpression

from backup_api.paging import ItemRange, Page

LONGEST_PAGE: Final = 2**31 - 1  # offset and limit together must stay below 2**63


async def read_page(
    connection: AsyncConnection,
    table: Table,
    where: ColumnElement[bool],
    order: Sequence[UnaryExpression[Any]],
    items: ItemRange | None,
    columns: Sequence[ColumnElement[Any]] | None = None,
) -> Page[RowMapping]:
    """Read the rows ``items`` of those that match; None is all of them, and all columns.

    Counts only what the page itself does not tell: nothing, if it reaches the end of the list.
    """
    first = items.first if items is not None else 0
    page = select(*(columns or table.c)).where(where).order_by(*order)
    length = min(items.length, LONGEST_PAGE) if items is not None else LONGEST_PAGE
    if items is not None:
        page = page.offset(first).limit(length)
    rows = tuple((await connection.execute(page)).mappings())
    is_end = items is None or len(rows) < length
    if is_end and (rows or first == 0):
        return Page(rows, first, first + len(rows))
    counted = await connection.execute(select(func.count()).select_from(table).where(where))
    return Page(rows, first, int(counted.scalar_one()))
