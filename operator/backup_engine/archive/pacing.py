"""Bounds how fast archives are read, so that checking them leaves room for others."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final


class ReadPace:
    """At most so many bytes a second, on average from the first read on; None: no bound."""

    def __init__(
        self,
        bytes_per_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._free_at = 0.0

    async def spend(self, length: int) -> None:
        """Wait until ``length`` bytes may be read."""
        if self._bytes_per_s is None:
            return
        now = self._clock()
        begin = max(now, self._free_at)
        self._free_at = begin + length / self._bytes_per_s
        if begin > now:
            await self._sleep(begin - now)


UNPACED: Final = ReadPace()
