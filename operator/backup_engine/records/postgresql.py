"""All that is special about PostgreSQL: pools, time limits, isolation, the lock of migrations."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

STATEMENT_TIMEOUT_S: Final = 30
LOCK_TIMEOUT_S: Final = 30
IDLE_TIMEOUT_S: Final = 60  # of a connection inside a transaction: its engine is gone or stuck
CONNECT_TIMEOUT_S: Final = 5
POOL_TIMEOUT_S: Final = 45
"""Long, for who waits behind two hundred others is served in the end, and 503 would not be true."""

PING_AFTER_S: Final = (
    1.0  # a connection that was in use just now need not be asked whether it lives
)
POOL_SIZE: Final = 10
POOL_OVERFLOW: Final = 4

READING: Final[dict[str, Any]] = {
    "isolation_level": "REPEATABLE READ",  # else a count and its page might not agree
    "postgresql_readonly": True,
}
WRITING: Final[dict[str, Any]] = {"isolation_level": "READ COMMITTED"}
"""A racer that waited for a lock sees what the other committed, and loses; it never fails."""

ASKING: Final[dict[str, Any]] = {"isolation_level": "AUTOCOMMIT"}
"""One statement sees one state anyway: begin and commit would be two round trips for nothing."""

_IDLE_SINCE: Final = "idle_since"
_MIGRATION_LOCK: Final = 0x6261636B7570  # any number, the same in every version
_PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57"})
_PASSING_STATES: Final = frozenset({"25006", "55P03"})


def open_postgresql(url: URL, password_file: Path | None = None) -> AsyncEngine:
    """Prepare the pool that requests and jobs share."""
    return _open(url, password_file, POOL_SIZE, POOL_OVERFLOW)


def open_reserved(url: URL, password_file: Path | None = None) -> AsyncEngine:
    """Prepare one connection that requests cannot use up: else load would cost claims."""
    return _open(url, password_file, size=1, overflow=0)


def driver_options(engine: AsyncEngine, url: URL, password_file: Path | None) -> dict[str, Any]:
    """Tell how the driver itself connects to where ``engine`` does."""
    _, options = engine.dialect.create_connect_args(url)
    return {**options, **_connect_args(password_file)}


async def lock_migrations(connection: AsyncConnection) -> None:
    """Let one engine migrate at a time, as long as it takes; the others find the work done."""
    for statement in (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL lock_timeout = 0",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})",
    ):
        await connection.execute(text(statement))


def is_passing(trouble: DBAPIError) -> bool:
    """Tell whether the database refused for now: restarting, full up, read-only, interrupted."""
    return is_passing_state(getattr(trouble.orig, "sqlstate", None))


def is_passing_state(sqlstate: str | None) -> bool:
    """Tell the same from the SQLSTATE."""
    state = sqlstate or ""
    return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES


def _open(url: URL, password_file: Path | None, size: int, overflow: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,  # error texts go to the log, and parameters may be secrets
        connect_args=_connect_args(password_file),
    )
    _ping_idle(engine)
    return engine


def _ping_idle(engine: AsyncEngine) -> None:
    """Ask a connection whether it lives before it is lent, but only if it has been idle.

    The library's own pre-ping asks each time, which costs three round trips of the four to six
    that a request needs.
    """
    pool = engine.sync_engine.pool
    dialect = engine.dialect

    @event.listens_for(pool, "checkin")
    def returned(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def lent(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        idle_since = record.info.get(_IDLE_SINCE)
        if idle_since is None or time.monotonic() - idle_since < PING_AFTER_S:
            return
        try:
            dialect.do_ping(connection)
        except Exception as trouble:  # the driver's own classes are known only at run time
            if not isinstance(trouble, dialect.loaded_dbapi.Error):
                raise
            raise DisconnectionError from trouble  # the pool connects anew


def _connect_args(password_file: Path | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "timeout": CONNECT_TIMEOUT_S,
        "server_settings": {
            "application_name": "backup_engine",
            "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
            "lock_timeout": f"{LOCK_TIMEOUT_S}s",
            "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_S}s",
        },
    }
    if password_file is not None:
        arguments["password"] = _password_reader(password_file)
    return arguments


def _password_reader(file: Path) -> Callable[[], Awaitable[str]]:
    """Read the password at every new connection, for it may have been changed."""

    async def read() -> str:
        content = await asyncio.to_thread(file.read_text, encoding="utf-8")
        return content.rstrip("\r\n")

    return read
