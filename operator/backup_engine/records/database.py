"""The database: opening, migrating, transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backup_engine.errors import EngineError
from backup_engine.records.sqlite import WRITES, is_sqlite, prepare_sqlite

PROBE_TIMEOUT_S: Final = 2.0

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseError(EngineError):
    """The database cannot be opened or brought up to date."""


class Database:
    """The engine's database; repositories work on the connections it lends."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._is_migrated = False

    @classmethod
    def open(cls, url: str) -> Self:
        """Prepare the database at ``url`` without connecting; raises DatabaseError."""
        try:
            engine = create_async_engine(url, pool_pre_ping=not is_sqlite(url))
        except (ArgumentError, NoSuchModuleError) as trouble:
            raise DatabaseError(
                f"database URL: {trouble}; expected sqlite+aiosqlite:///absolute/path or"
                " postgresql+asyncpg://user@host/database"
            ) from trouble
        except ImportError as trouble:
            driver = make_url(url).drivername
            raise DatabaseError(
                f"database URL: the driver of {driver} is not installed: {trouble}"
            ) from trouble
        if is_sqlite(url):
            prepare_sqlite(engine)
        return cls(engine)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that sees one state of the database from its first read on."""
        async with self._engine.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose work is committed at the end, or undone by an error."""
        async with self._engine.connect() as connection:
            await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                yield connection

    async def migrate(self) -> None:
        """Bring the tables up to date; raises DatabaseError."""
        try:
            async with self.writing() as connection:
                await connection.run_sync(_upgrade)
        except (SQLAlchemyError, CommandError, OSError) as trouble:
            raise DatabaseError(
                f"database {self._engine.url.render_as_string(hide_password=True)}: cannot be"
                f" brought up to date: {trouble}"
            ) from trouble
        self._is_migrated = True

    async def is_ready(self) -> bool:
        """Tell whether the tables are up to date and the database answers now."""
        if not self._is_migrated:
            return False
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return False
        return True


def _upgrade(connection: Connection) -> None:
    settings = Config()
    settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
