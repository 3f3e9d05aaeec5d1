"""Sees to it that the tables are those of this version of the engine."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import msgspec

from backup_engine.records.database import Database, DatabaseError, DatabaseSilentError

MIGRATING: Final = "backup_engine.records.migrating"
EXIT_TROUBLE: Final = 3
EXIT_SILENT: Final = 4
PATIENCE_S: Final = 90.0  # less than a startup probe allows, so that the last word is ours
ASK_AGAIN_S: Final = 1.0

_logger: Final = logging.getLogger(__name__)


class Target(msgspec.Struct, frozen=True):
    """Which database; told on standard input, for its URL may hold a password."""

    url: str
    password_file: str | None = None


async def wait_until_current(
    database: Database, url: str, password_file: Path | None, patience_s: float = PATIENCE_S
) -> None:
    """Have the tables brought up to date; raises DatabaseError.

    A server that is silent is waited for: an engine and its database may start together, and a
    program that ends is started again ever later.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (patience_s if database.is_shared else 0.0)
    is_told = False
    while True:
        try:
            await ensure_current(database, url, password_file)
        except DatabaseSilentError as silence:
            left_s = deadline - loop.time()
            if left_s <= 0:
                raise
            if not is_told:
                _logger.warning("%s; asking again for %.0f seconds", silence, left_s)
                is_told = True
            await asyncio.sleep(min(ASK_AGAIN_S, left_s))
        else:
            return


async def ensure_current(database: Database, url: str, password_file: Path | None) -> None:
    """Have the tables brought up to date, if they are not; raises DatabaseError.

    A process of its own does it, so that what it takes ends with it.
    """
    if await database.is_current():
        return
    target = Target(url, str(password_file) if password_file is not None else None)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MIGRATING,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate(msgspec.json.encode(target))
    finally:
        if child.returncode is None:  # told to stop meanwhile: its transaction is undone
            child.kill()
            await child.wait()
    if child.returncode != 0:
        error = DatabaseSilentError if child.returncode == EXIT_SILENT else DatabaseError
        raise error(said.decode(errors="replace"))
    if not await database.is_current():
        raise DatabaseError(
            "the database was changed by another version of the engine; start again"
        )
