"""Brings the tables up to date by Alembic; as a program, in the database told on standard input.

The engine has it done by a process of its own, and only when there is something to do: Alembic
and its template language would take 12 MB for good.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from backup_engine.records.database import (
    MIGRATIONS,
    Database,
    DatabaseError,
    DatabaseSilentError,
    MigrationError,
)
from backup_engine.records.version import EXIT_SILENT, EXIT_TROUBLE, Target


async def migrate(database: Database) -> None:
    """Run what has not been run; raises DatabaseError."""
    async with database.migrating() as connection:
        await connection.run_sync(_upgrade)


async def migrate_target(target: Target) -> None:
    """Open the database and bring it up to date; raises DatabaseError."""
    file = Path(target.password_file) if target.password_file is not None else None
    database = Database.open(target.url, file)
    try:
        await migrate(database)
    finally:
        await database.close()


def main() -> int:
    """Bring the database on standard input up to date; exit code 3: it cannot be; 4: it is away."""
    try:
        asyncio.run(migrate_target(msgspec.json.decode(sys.stdin.buffer.read(), type=Target)))
    except DatabaseError as trouble:
        sys.stderr.write(str(trouble))
        return EXIT_SILENT if isinstance(trouble, DatabaseSilentError) else EXIT_TROUBLE
    return 0


def _upgrade(connection: Connection) -> None:
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, "head")
    except CommandError as trouble:
        raise MigrationError(str(trouble)) from trouble


if __name__ == "__main__":
    sys.exit(main())
