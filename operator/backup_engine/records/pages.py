"""A stretch of a table: count, sort, cut (spec §2.10)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import UnaryExpression

from backup_api.paging import ItemRange, Page


async def read_page(
    connection: AsyncConnection,
    table: Table,
    where: ColumnElement[bool],
    order: Sequence[UnaryExpression[Any]],
    items: ItemRange | None,
) -> Page[RowMapping]:
    """Read the rows ``items`` of those that match; None is all of them."""
    counted = await connection.execute(select(func.count()).select_from(table).where(where))
    total = int(counted.scalar_one())
    first = items.first if items is not None else 0
    length = min(items.length, total) if items is not None else total
    if first >= total:
        return Page((), first, total)
    page = select(table).where(where).order_by(*order).offset(first).limit(length)
    rows = await connection.execute(page)
    return Page(tuple(rows.mappings()), first, total)
