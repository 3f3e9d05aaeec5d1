"""The appliance's own clock, which a test can set."""

import time


class SteerableClock:
    """Wall clock plus an offset, or standing still."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._frozen_at_s: float | None = None

    def now_s(self) -> float:
        """Seconds since the epoch."""
        if self._frozen_at_s is not None:
            return self._frozen_at_s
        return time.time() + self._offset_s

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as the wire has it (spec §2.6)."""
        return int(self.now_s() * 1000)

    def advance(self, seconds: float) -> None:
        """Jump; negative jumps back."""
        if self._frozen_at_s is not None:
            self._frozen_at_s += seconds
        else:
            self._offset_s += seconds

    def freeze(self) -> None:
        """Stand still from now on."""
        self._frozen_at_s = self.now_s()
