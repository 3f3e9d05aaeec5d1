"""Leaves an API server time for others: rests behind each answer for as long as that took."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

LONGEST_REST_S: Final = 10.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pacing:
    """Rests ``rest_ratio`` times as long as the server took for an answer; 0: not at all.

    A server under load answers later, and so is left alone for longer.
    """

    rest_ratio: float = 0.0
    sleep: Sleep = asyncio.sleep

    async def rest(self, took_s: float) -> None:
        """Wait before the next question."""
        if self.rest_ratio > 0:
            await self.sleep(min(took_s * self.rest_ratio, LONGEST_REST_S))


UNPACED: Final = Pacing()
