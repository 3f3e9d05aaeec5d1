"""What keeps backups and restores from running at the same time (codes 1015 and 1016, spec §4.4).

Both kinds of job begin under one row lock, so that of two that begin at once, on however many
engines, the second sees the first. Indexes alone could not say it across two tables.
"""

from typing import Final

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import RUNNING
from backup_engine.records.tables import BACKUPS, CONFIGURATIONS, RESTORES


class RestoreRunningError(Exception):
    """A restore runs, so no backup may begin, nor another restore."""


class BackupRunningError(Exception):
    """A backup runs, so no restore may begin."""


RESTORE_RUNS: Final = select(RESTORES.c.id).where(RESTORES.c.is_running == true()).exists()
"""Whether a restore runs, with or without its record; to be asked under the lock."""

_LOCK: Final = select(CONFIGURATIONS.c.id).with_for_update()
_BACKUP_RUNS: Final = select(BACKUPS.c.id).where(BACKUPS.c.status.in_(sorted(RUNNING))).limit(1)


async def lock_beginnings(connection: AsyncConnection) -> None:
    """Let no other job or deploy begin until the transaction ends.

    ``ConfigurationRecords.get`` takes the same lock, where it is asked for one. SQLite's write lock
    does so already, and it knows no such clause.
    """
    await connection.execute(_LOCK)


async def ensure_no_backup(connection: AsyncConnection) -> None:
    """Raise BackupRunningError if a backup runs on any host."""
    if (await connection.execute(_BACKUP_RUNS)).first() is not None:
        raise BackupRunningError
