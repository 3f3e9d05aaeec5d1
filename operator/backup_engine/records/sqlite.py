"""All that is special about SQLite: pragmas, transactions, text functions."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Dialect, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from backup_engine.records.sqlite_driver import READS, connect
from backup_engine.records.sqlite_driver import WRITES as BEGIN_WRITING

WRITES: Final = "backup_engine_writes"
"""Execution option: the transaction will write, so it takes the write lock as it begins."""

ASKS: Final = "backup_engine_asks"
"""Execution option: one SELECT and no more, which needs no transaction around it."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",  # readers and the one writer do not wait for each other
    # FULL: NORMAL may lose the last commits in a power cut, and with them a record whose 201 the
    # client has seen. A backup costs a handful of commits, so their fsync is not felt.
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 10000",  # ms
    "PRAGMA foreign_keys = ON",
    "PRAGMA case_sensitive_like = ON",
)


def build_sqlite_url(path: Path) -> str:
    """Build the URL of a database file."""
    return URL.create("sqlite+aiosqlite", database=str(path)).render_as_string()


def is_sqlite(url: str) -> bool:
    """Tell whether ``url`` is one of SQLite."""
    return url.startswith("sqlite")


def prepare_sqlite(engine: AsyncEngine) -> None:
    """Set up every connection that ``engine`` will make."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def connecting(
        dialect: Dialect, _record: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> DBAPIConnection:
        loaded: Any = dialect.loaded_dbapi
        made: DBAPIConnection = loaded.connect(*arguments, async_creator_fn=connect, **options)
        return made

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        prepare_connection(connection)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # A deferred transaction that read before it writes fails at once when another wrote
        # meanwhile, and no busy timeout helps.
        options = connection.get_execution_options()
        if not options.get(ASKS, False):
            connection.exec_driver_sql(BEGIN_WRITING if options.get(WRITES, False) else READS)


def prepare_connection(connection: Any) -> None:  # noqa: ANN401 - the driver's, or SQLAlchemy's
    """Set up one connection."""
    connection.isolation_level = None  # the driver must not begin transactions by itself
    # as the API has it: LIKE minds case, and lower() knows more than ASCII (spec §2.8)
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
