"""Slows down clients that fail to authenticate; 401 is all the API knows for them (spec §2.11)."""

import asyncio
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE_FAILURES: Final = 5  # a slip with an old token should not be felt
BLOCKING_FAILURES: Final = 20
WINDOW_S: Final = 60.0
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 2.0
CLIENTS: Final = 4096
WAITING: Final = 64  # answers held back at once; waiting must not use the engine's slots up


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """Counts failures per client address, an IPv6 network of 64 bits being one client."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Failures] = OrderedDict()
        self._waiting = 0

    def find_block(self, client: str) -> float | None:
        """For how many seconds no password of ``client`` is even looked at; None: it is."""
        now = asyncio.get_running_loop().time()
        failures = self._recent(_network(client), now)
        if failures is None or failures.count < BLOCKING_FAILURES:
            return None
        return failures.last + WINDOW_S - now

    async def note_failure(self, client: str) -> None:
        """Count a failure, and hold its answer back for longer each time."""
        key, now = _network(client), asyncio.get_running_loop().time()
        before = self._recent(key, now)
        count = 1 + (before.count if before is not None else 0)
        self._clients[key] = _Failures(count, now)
        self._clients.move_to_end(key)
        while len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        if count <= FREE_FAILURES or self._waiting >= WAITING:
            return
        doublings = min(count - FREE_FAILURES - 1, 16)
        self._waiting += 1
        try:
            await asyncio.sleep(min(FIRST_DELAY_S * 2**doublings, LONGEST_DELAY_S))
        finally:
            self._waiting -= 1

    def _recent(self, key: str, now: float) -> _Failures | None:
        failures = self._clients.get(key)
        if failures is None or now >= failures.last + WINDOW_S:
            return None
        return failures


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
