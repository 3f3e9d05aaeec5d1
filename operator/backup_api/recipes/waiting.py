"""Waiting for a server: how long, how often, and by whose clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from backup_api.errors import ErrorClass
from backup_api.exceptions import BackupApiError
from backup_api.recipes.exceptions import NotInTimeError

Found = TypeVar("Found")

GROWTH: Final = 1.5


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a recipe waits: first every ``first_s`` seconds, then ever less often (spec §9).

    ``limit_s`` is for the whole of one wait. ``clock`` tells seconds that never go back.
    """

    limit_s: float
    first_s: float = 5.0
    longest_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def until(self, what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
        """Call ``look`` until it finds something, and return that.

        ``what`` names it in the NotInTimeError, whose cause is the last trouble. Trouble that
        passes (spec §2.11) is waited out; other trouble is raised.
        """
        end = self.clock() + self.limit_s
        pause_s = self.first_s
        while True:
            trouble: BackupApiError | None = None
            try:
                found = await look()
            except BackupApiError as error:
                if not is_passing(error):
                    raise
                found, trouble = None, error
            if found is not None:
                return found
            left_s = end - self.clock()
            if left_s <= 0:
                message = f"{what} did not happen within {self.limit_s:g} s"
                raise NotInTimeError(message) from trouble
            await self.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * GROWTH, self.longest_s)


def is_passing(trouble: BackupApiError) -> bool:
    """Tell whether asking again later may help: no connection, no answer, or a 5xx."""
    return trouble.error_class is ErrorClass.TRANSIENT
