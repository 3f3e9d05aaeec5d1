"""aiosqlite with one trip to its thread for each statement.

The library makes one for each of cursor, execute, fetch and close, one for ``BEGIN``, and one for
a rollback that has nothing to undo, whenever a connection goes back to the pool. These trips are
most of what a small request costs. So a transaction begins on the way of its first statement,
before which it knows nothing of the database, nor locks anything that it would need.
"""

import sqlite3
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Self

import aiosqlite
from aiosqlite.context import contextmanager

READS: Final = "BEGIN"
"""Takes neither lock nor state before the first statement."""

WRITES: Final = "BEGIN IMMEDIATE"
"""Takes the write lock."""


class OneTripCursor:
    """Runs a statement and takes all of its rows along, for SQLAlchemy asks for all of them."""

    def __init__(self, connection: "OneTripConnection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> None:
        """Run one statement."""
        if sql in {READS, WRITES}:
            self._connection.beginning = sql
            return
        await self._connection.visit(partial(self._run, "execute", sql, parameters))

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Run one statement with each of several sets of parameters."""
        await self._connection.visit(partial(self._run, "executemany", sql, parameters))

    def _run(self, method: str, sql: str, parameters: Any, cursor: sqlite3.Cursor) -> None:  # noqa: ANN401
        getattr(cursor, method)(sql, parameters)
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description else []
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid

    async def fetchall(self) -> list[Any]:
        """Hand over the rows."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Do nothing: each statement has closed the driver's own cursor."""


class OneTripConnection(aiosqlite.Connection):
    """A connection whose cursors make one trip each."""

    beginning: str | None = None  # of a transaction that has been asked for and not begun

    async def visit(self, run: Any) -> None:  # noqa: ANN401 - takes the driver's cursor
        """Do something with a cursor of the driver, on its thread."""
        beginning, self.beginning = self.beginning, None
        await self._execute(self._visit, run, beginning)  # type: ignore[no-untyped-call]

    def _visit(self, run: Any, beginning: str | None) -> None:  # noqa: ANN401
        cursor = self._conn.cursor()
        try:
            if beginning is not None:
                cursor.execute(beginning)
            run(cursor)
        finally:
            cursor.close()

    @contextmanager
    async def cursor(self) -> Any:  # noqa: ANN401 - one of ours, in the library's wrapping
        """Make a cursor, without a trip."""
        return OneTripCursor(self)

    async def commit(self) -> None:
        """Commit, if there is anything to end."""
        self.beginning = None
        if self.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        """Roll back, if there is anything to end."""
        self.beginning = None
        if self.in_transaction:
            await super().rollback()


def connect(database: str, **options: Any) -> OneTripConnection:  # noqa: ANN401 - the driver's own
    """Prepare a connection, to be awaited; ``options`` are those of ``sqlite3.connect``."""
    connection = OneTripConnection(partial(sqlite3.connect, database, **options), 1)
    # as SQLAlchemy has it: one that was not closed must not block the exit
    connection._thread.daemon = True  # noqa: SLF001
    return connection
