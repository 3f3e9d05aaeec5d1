"""How often a client may ask: pacing of requests, and back-off between attempts."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a GET is repeated: exponential back-off with full jitter (spec §2.11)."""

    attempts: int = 3
    first_delay_s: float = 0.2
    longest_delay_s: float = 5.0

    def delay_s(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after the ``attempt``-th attempt (from 1); ``chance`` gives 0 to 1."""
        ceiling = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 30))
        return ceiling * chance()


class RequestPacer:
    """Spaces requests evenly after a short burst; the API names no limit (spec §13 no. 19)."""

    def __init__(self, per_second: float, burst: int = 10) -> None:
        self._interval_s = 1.0 / per_second
        self._slack_s = self._interval_s * burst
        self._next_at = 0.0

    async def wait(self) -> None:
        """Return when the next request may go out."""
        now = asyncio.get_running_loop().time()
        start = max(self._next_at, now - self._slack_s)
        self._next_at = start + self._interval_s
        if start > now:
            await asyncio.sleep(start - now)
