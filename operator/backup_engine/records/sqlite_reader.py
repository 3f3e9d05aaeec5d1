"""SELECTs on SQLite: those of one answer see one state, with one trip to a thread."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backup_engine.records.selects import Script, T
from backup_engine.records.sqlite import prepare_connection
from backup_engine.records.sqlite_driver import READS, OneTripConnection, connect
from backup_engine.records.totals import Totals
from backup_engine.records.troubles import DatabaseAwayError, is_wrong_statement

READERS: Final = 4  # more of them would only wait for each other's Python


@dataclass(frozen=True, slots=True)
class _Reading:
    """A connection, and what was counted on it."""

    connection: OneTripConnection
    totals: Totals = field(default_factory=Totals)


class SqliteReader:
    """A few connections that only read."""

    def __init__(self, arguments: Sequence[Any], options: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._options = options
        self._places = asyncio.Semaphore(READERS)
        self._idle: list[_Reading] = []
        self._all: list[OneTripConnection] = []

    async def read(self, script: Script[T]) -> T:
        """Run ``script`` in one transaction; raises DatabaseAwayError."""
        async with self._places:
            try:
                reading = self._idle.pop() if self._idle else await self._open()
                told: list[T] = []

                def run(cursor: sqlite3.Cursor) -> None:
                    cursor.execute(READS)
                    try:
                        told.append(_run_through(script, reading.totals, cursor))
                    finally:
                        cursor.connection.rollback()  # nothing was written

                try:
                    await reading.connection.visit(run)
                finally:
                    self._idle.append(reading)
            except sqlite3.OperationalError as trouble:
                if is_wrong_statement(trouble):
                    raise
                raise DatabaseAwayError.because_of(trouble) from trouble
        return told[0]

    async def close(self) -> None:
        """Close all connections."""
        self._idle = []
        while self._all:
            await self._all.pop().close()

    async def _open(self) -> _Reading:
        connection = connect(*self._arguments, **self._options)
        await connection
        self._all.append(connection)
        await connection.visit(lambda cursor: prepare_connection(cursor.connection))
        return _Reading(connection)


def _run_through(script: Script[T], totals: Totals, cursor: sqlite3.Cursor) -> T:
    asking = script(totals)
    statement = next(asking)
    while True:
        cursor.execute(*statement)
        try:
            statement = asking.send(cursor.fetchall())
        except StopIteration as end:
            told: T = end.value
            return told
