"""SELECTs that are compiled once, and run on the driver past SQLAlchemy's layers (ADR 12).

Building, keying and running a statement in SQLAlchemy takes longer than a database takes to find
fifty records; so the lists that clients poll are compiled to text, once for each form of a query.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Boolean, Dialect, Select

from backup_engine.records.totals import Totals

Row = Sequence[Any]
"""One row, its values in the order of the columns."""

Statement = tuple[str, Sequence[Any]]
"""The text of a SELECT, and its values in the order of the text."""

T = TypeVar("T")

Script: TypeAlias = Callable[[Totals], Generator[Statement, Sequence[Row], T]]
"""Asks for one SELECT after the other, is given all rows of each, and returns what came of it.

Told which totals are known to whoever runs it. It may be begun again, and run on any thread.
"""


class Reader(Protocol):
    """Runs SELECTs on the driver; each sees one state of the database."""

    async def read(self, script: Script[T]) -> T:
        """Run ``script`` to its end; raises DatabaseAwayError."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class CompiledSelect:
    """The text of a SELECT; ``names`` of its values by position, ``columns`` of its rows.

    ``booleans`` are the positions of columns that the driver gives as 0 and 1.
    """

    sql: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    booleans: tuple[int, ...]

    async def fetch(self, reader: Reader, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it with ``values`` by name; returns rows by column."""

        def script(_: Totals) -> Generator[Statement, Sequence[Row], list[dict[str, Any]]]:
            return self.read((yield self.ask(values)))

        return await reader.read(script)

    def ask(self, values: Mapping[str, Any]) -> Statement:
        """Put ``values`` to the text."""
        return self.sql, [values[name] for name in self.names]

    def read(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Name the values of ``rows``."""
        columns = self.columns
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        for position in self.booleans:
            name = columns[position]
            for row in found:
                row[name] = None if row[name] is None else bool(row[name])
        return found


def compile_select(query: Select[Any], dialect: Dialect) -> CompiledSelect:
    """Compile ``query``; its values are bind parameters with names of their own."""
    compiled = query.compile(dialect=dialect)
    chosen = query.selected_columns
    return CompiledSelect(
        str(compiled),
        tuple(compiled.positiontup or ()),
        tuple(column.name for column in chosen),
        tuple(
            position
            for position, column in enumerate(chosen)
            if isinstance(column.type, Boolean) and not dialect.supports_native_boolean
        ),
    )
