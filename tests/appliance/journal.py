"""The log of requests that the fake saw, and waiting for them."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from appliance.gate import find_route

PATIENCE_S = 60.0  # what is waited for comes at once, but for a machine that stalls
_LEFT_OUT = ("/backup_and_restore", "/config/deployment", "/staged_config", "/system", "/help")


@dataclass(slots=True)
class SeenRequest:
    """One request as it arrived; ``status`` None: not answered (yet, or cut off)."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # credentials left out
    backup_type: str | None
    time_s: float  # the appliance's clock
    client_port: int = 0  # tells connections apart
    body: bytes | None = None
    status: int | None = None
    names: list[str] = field(default_factory=list)

    def matches(self, pattern: str) -> bool:
        """Whether it goes by a name like ``POST /backups`` or ``GET /backups/*``."""
        return pattern == "*" or any(fnmatchcase(name, pattern) for name in self.names)


def names_of(method: str, path: str) -> list[str]:
    """All names a request goes by: short and long path, with the id and with ``{id}``."""
    below = path.removeprefix("/api").removesuffix("/")
    route = find_route(path)
    paths = [below] if route is None else [below, route[0]]
    names = []
    for long in paths:
        names.append(f"{method} {long}")
        starts = [start for start in _LEFT_OUT if long.startswith(start + "/")]
        names.extend(f"{method} {long.removeprefix(start)}" for start in starts)
    return list(dict.fromkeys(names))


class Journal:
    """All requests in the order they arrived."""

    def __init__(self) -> None:
        self.requests: list[SeenRequest] = []
        self._changed = asyncio.Condition()

    async def add(self, seen: SeenRequest) -> None:
        """Note a request and wake those who wait for it."""
        self.requests.append(seen)
        await self.wake()

    async def wake(self) -> None:
        """Wake those who wait, for a request was answered."""
        async with self._changed:
            self._changed.notify_all()

    def matching(self, pattern: str, status: int | None = None) -> Iterator[SeenRequest]:
        """Requests that match, in order; ``status``: only those answered so."""
        for seen in self.requests:
            if seen.matches(pattern) and status in {None, seen.status}:
                yield seen

    async def wait_for(
        self, pattern: str, times: int, within_s: float, *, is_answered: bool
    ) -> SeenRequest:
        """Wait until ``times`` requests match and return the last of those; raises TimeoutError."""

        def found() -> list[SeenRequest]:
            return [
                seen
                for seen in self.matching(pattern)
                if seen.status is not None or not is_answered
            ]

        try:
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: len(found()) >= times)
        except TimeoutError as trouble:
            seen = ", ".join(f"{one.method} {one.path}" for one in self.requests[-10:]) or "nothing"
            raise TimeoutError(
                f"expected {times} times {pattern} within {within_s} s; last seen: {seen}"
            ) from trouble
        return found()[times - 1]
