"""All that is special about PostgreSQL: pools, time limits, isolation, the lock of migrations."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

STATEMENT_TIMEOUT_S: Final = 30
LOCK_TIMEOUT_S: Final = 10
IDLE_TIMEOUT_S: Final = 60  # of a connection inside a transaction: its engine is gone or stuck
CONNECT_TIMEOUT_S: Final = 5
POOL_TIMEOUT_S: Final = 10
POOL_SIZE: Final = 10
POOL_OVERFLOW: Final = 10

READING: Final[dict[str, Any]] = {
    "isolation_level": "REPEATABLE READ",  # else a count and its page might not agree
    "postgresql_readonly": True,
}
WRITING: Final[dict[str, Any]] = {"isolation_level": "READ COMMITTED"}
"""A racer that waited for a lock sees what the other committed, and loses; it never fails."""

_MIGRATION_LOCK: Final = 0x6261636B7570  # any number, the same in every version
_PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57"})
_PASSING_STATES: Final = frozenset({"25006", "55P03"})


def open_postgresql(url: URL, password_file: Path | None = None) -> AsyncEngine:
    """Prepare the pool that requests and jobs share."""
    return create_async_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,  # error texts go to the log, and parameters may be secrets
        connect_args=_connect_args(password_file),
    )


def open_reserved(url: URL, password_file: Path | None = None) -> AsyncEngine:
    """Prepare one connection that requests cannot use up: else load would cost claims."""
    return create_async_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=_connect_args(password_file),
    )


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
    state = getattr(trouble.orig, "sqlstate", None) or ""
    return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES


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
