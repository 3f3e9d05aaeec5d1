"""SELECTs on PostgreSQL, each with one round trip and one state, and nothing around it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import asyncpg

from backup_engine.records.postgresql import is_passing_state
from backup_engine.records.selects import Script, T
from backup_engine.records.totals import Totals
from backup_engine.records.troubles import DatabaseAwayError

READERS: Final = 6
WITHIN_S: Final = 60.0  # the server limits statements; this is for a network that is silent

_BROKEN: Final = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)
_ENDED: Final = asyncpg.AdminShutdownError


class PostgresqlReader:
    """A pool of the driver's own; its connections read, one statement after the other."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._totals = Totals()

    async def read(self, script: Script[T]) -> T:
        """Run ``script``; raises DatabaseAwayError.

        A connection that turns out to be broken, say by a failover, costs a second try: reading
        twice does no harm.
        """
        try:
            async with asyncio.timeout(WITHIN_S):
                with suppress(*_BROKEN, _ENDED):
                    return await self._run_through(script)
                return await self._run_through(script)
        except asyncpg.DataError:
            raise
        except asyncpg.PostgresError as trouble:
            if is_passing_state(trouble.sqlstate):
                raise DatabaseAwayError.because_of(trouble) from trouble
            raise
        except (asyncpg.InterfaceError, OSError) as trouble:  # TimeoutError is an OSError
            raise DatabaseAwayError.because_of(trouble) from trouble

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _run_through(self, script: Script[T]) -> T:
        asking = script(self._totals)
        statement = next(asking)
        pool = self._pool or await self._open()
        async with pool.acquire() as connection:
            while True:
                sql, values = statement
                rows = await connection.fetch(sql, *values)
                try:
                    statement = asking.send(rows)
                except StopIteration as end:
                    told: T = end.value
                    return told

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    min_size=0, max_size=READERS, reset=_leave, **self._options
                )
            return self._pool


async def _leave(_connection: asyncpg.Connection) -> None:
    """Reset nothing: what only reads leaves nothing behind, and a round trip is half the time."""
