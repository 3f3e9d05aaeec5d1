"""Sees to it that the tables are those of this version of the engine."""

import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec

from backup_engine.records.database import Database, DatabaseError

MIGRATING: Final = "backup_engine.records.migrating"


class Target(msgspec.Struct, frozen=True):
    """Which database; told on standard input, for its URL may hold a password."""

    url: str
    password_file: str | None = None


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
        raise DatabaseError(said.decode(errors="replace"))
    if not await database.is_current():
        raise DatabaseError(
            "the database was changed by another version of the engine; start again"
        )
