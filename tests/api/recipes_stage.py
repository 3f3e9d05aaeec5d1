"""A fake appliance and a client whose waiting moves the appliance's clock, not the wall's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.server import FakeAppliance
from backup_api.recipes.waiting import Waiting


@dataclass
class Stage:
    """Hands out waiting on the appliance's own clock; each sleep moves that clock.

    ``after_sleep`` is called with the number of the sleep, for what a test wants to happen then.
    """

    appliance: FakeAppliance
    sleeps: list[float] = field(default_factory=list)
    after_sleep: Callable[[int], object] = lambda _: None

    def waiting(self, limit_s: float = 600.0) -> Waiting:
        """Waiting that takes no time."""
        self.appliance.clock.freeze()
        return Waiting(limit_s, clock=self.appliance.clock.now_s, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.appliance.clock.advance(seconds)
        await self.appliance.follow_outage()
        self.after_sleep(len(self.sleeps))
