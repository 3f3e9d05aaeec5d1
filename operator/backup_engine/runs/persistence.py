"""Work that has to be done sooner or later: repeated with back-off until it is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backup_engine.archive.errors import StorageError
from backup_engine.records.troubles import DatabaseAwayError

logger = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 60.0
LONGEST_FOR_DATABASE_S: Final = 5.0  # which is asked all the time anyway, and comes back soon

Result = TypeVar("Result")


async def persist(work: Callable[[], Awaitable[Result]], what: str) -> Result:
    """Repeat ``work`` while the database or the archive store is unwell; ends by cancellation.

    Each failure is logged as ``what``. Anything but a DBAPI or storage error is raised.
    """
    delay_s = FIRST_DELAY_S
    while True:
        try:
            return await work()
        except DatabaseAwayError as trouble:
            delay_s = min(delay_s, LONGEST_FOR_DATABASE_S)
            logger.warning("%s: %s; trying again in %.1f s", what, trouble, delay_s)
        except (SQLAlchemyError, StorageError, OSError) as trouble:
            logger.error("%s: %s; trying again in %.1f s", what, trouble, delay_s)  # noqa: TRY400
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, LONGEST_DELAY_S)
