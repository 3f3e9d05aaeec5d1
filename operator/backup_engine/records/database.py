"""The database: opening, migrating, transactions."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Self

from sqlalchemy import URL, Connection, inspect, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backup_engine.errors import EngineError
from backup_engine.records.backup_lists import BackupLists
from backup_engine.records.postgresql import (
    ASKING,
    READING,
    WRITING,
    driver_options,
    is_passing,
    lock_migrations,
    open_postgresql,
    open_reserved,
)
from backup_engine.records.postgresql_reader import PostgresqlReader
from backup_engine.records.selects import Reader
from backup_engine.records.sqlite import ASKS, WRITES, is_sqlite, prepare_sqlite
from backup_engine.records.sqlite_reader import SqliteReader
from backup_engine.records.troubles import DatabaseAwayError, is_wrong_statement

PROBE_TIMEOUT_S: Final = 2.0
TRANSACTION_S: Final = 60.0  # the server limits statements; this is for a network that is silent

MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseError(EngineError):
    """The database cannot be opened or brought up to date."""


class DatabaseSilentError(DatabaseError):
    """The database does not answer now; it may do so later."""


class MigrationError(Exception):
    """What has not been run yet cannot be."""


class Database:
    """The engine's database; repositories work on the connections it lends.

    ``is_shared`` tells whether other engines may work on it at the same time.
    """

    def __init__(
        self, engine: AsyncEngine, reader: Reader, reserved: AsyncEngine | None = None
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._reserved = reserved
        self._is_current = False
        self._turn = asyncio.Lock()
        self.is_shared = engine.dialect.name != "sqlite"
        self.backup_lists = BackupLists(reader, engine.dialect)

    @classmethod
    def open(cls, url: str, password_file: Path | None = None) -> Self:
        """Prepare the database at ``url`` without connecting; raises DatabaseError.

        ``password_file`` holds PostgreSQL's password, which is then not in ``url``.
        """
        try:
            parsed = _parse_url(url)
            if is_sqlite(url):
                engine = create_async_engine(parsed, hide_parameters=True)
                prepare_sqlite(engine)
                arguments, options = engine.dialect.create_connect_args(parsed)
                return cls(engine, SqliteReader(arguments, options))
            engine = open_postgresql(parsed, password_file)
            reader = PostgresqlReader(driver_options(engine, parsed, password_file))
            return cls(engine, reader, open_reserved(parsed, password_file))
        except (ArgumentError, NoSuchModuleError):
            # from None: the library's own words may repeat the URL, and with it a password
            raise DatabaseError(
                "database URL: expected sqlite+aiosqlite:///absolute/path or"
                " postgresql+asyncpg://user@host/database"
            ) from None
        except ImportError as trouble:
            driver = _parse_url(url).drivername
            raise DatabaseError(
                f"database URL: the driver of {driver} is not installed: {trouble}"
            ) from trouble

    async def close(self) -> None:
        """Close all connections."""
        await self._reader.close()
        await self._engine.dispose()
        if self._reserved is not None:
            await self._reserved.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that sees one state of the database from its first read on.

        All four lenders raise DatabaseAwayError.
        """
        async with self._transaction(READING if self.is_shared else {}) as connection:
            yield connection

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for one SELECT."""
        within_s, options = (TRANSACTION_S, ASKING) if self.is_shared else (None, {ASKS: True})
        async with _explained(within_s), self._engine.connect() as connection:
            await connection.execution_options(**options)
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose work is committed at the end, or undone by an error.

        On SQLite one at a time, in the order of asking: its own lock is waited for by naps that
        grow to 100 ms, and whoever comes while the others sleep is first.
        """
        if self.is_shared:
            async with self._transaction(WRITING) as connection:
                yield connection
            return
        async with self._turn, self._transaction({WRITES: True}) as connection:
            yield connection

    @asynccontextmanager
    async def reserved(self) -> AsyncIterator[AsyncConnection]:
        """Lend, to write, the one connection that requests cannot use up."""
        if self._reserved is None:
            async with self.writing() as connection:
                yield connection
            return
        async with _explained(TRANSACTION_S), self._reserved.begin() as connection:
            yield connection

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection to change tables on, to one engine at a time; raises DatabaseError."""
        options = WRITING if self.is_shared else {WRITES: True}
        with self._explained_to_people():
            async with self._transaction(options, is_limited=False) as connection:
                if self.is_shared:
                    await lock_migrations(connection)
                yield connection
        self._is_current = True

    async def is_current(self) -> bool:
        """Tell whether the tables are those of this version; raises DatabaseError."""
        with self._explained_to_people():
            async with self.reading() as connection:
                self._is_current = await connection.run_sync(_read_version) == newest_version()
        return self._is_current

    async def is_ready(self) -> bool:
        """Tell whether the tables are up to date and the database answers now."""
        if not self._is_current:
            return False
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return False
        return True

    @contextmanager
    def _explained_to_people(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, MigrationError, OSError) as trouble:
            error = DatabaseSilentError if isinstance(trouble, DatabaseAwayError) else DatabaseError
            raise error(
                f"database {self._engine.url.render_as_string(hide_password=True)}: cannot be"
                f" brought up to date: {trouble}"
            ) from trouble

    @asynccontextmanager
    async def _transaction(
        self, options: Mapping[str, object], *, is_limited: bool = True
    ) -> AsyncIterator[AsyncConnection]:
        within_s = TRANSACTION_S if is_limited and self.is_shared else None
        async with _explained(within_s), self._engine.connect() as connection:
            await connection.execution_options(**options)
            async with connection.begin():
                yield connection


@asynccontextmanager
async def _explained(within_s: float | None) -> AsyncIterator[None]:
    """Tell a database that is away from a statement that is wrong."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as trouble:
        if is_wrong_statement(trouble):
            raise
        raise DatabaseAwayError.because_of(trouble) from trouble  # TimeoutError is an OSError
    except DBAPIError as trouble:
        if trouble.connection_invalidated or is_passing(trouble):
            raise DatabaseAwayError.because_of(trouble) from trouble
        raise


def _parse_url(url: str) -> URL:
    """Read ``url``; raises ArgumentError."""
    try:
        return make_url(url)
    except ValueError:  # a port that is no number
        raise ArgumentError from None


def newest_version() -> str:
    """Tell which version of the tables this program works on, as their migrations are named."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _read_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(version) if version is not None else None
