"""Faults: what goes wrong with the next requests that match (spec §2.11, §2.12)."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase

from appliance.journal import PATIENCE_S
from appliance.wire import Json


class Moment(Enum):
    """Before or after the appliance acts on the request."""

    BEFORE_ACTING = auto()
    AFTER_ACTING = auto()


@dataclass(eq=False)
class Fault:
    """Something that goes wrong ``times`` times; None: until cleared."""

    pattern: str
    times: int | None


@dataclass(eq=False)
class Delay(Fault):
    """The answer comes late."""

    seconds: float = 0.0


@dataclass(eq=False)
class Cut(Fault):
    """The connection breaks and no answer comes."""

    moment: Moment = Moment.BEFORE_ACTING


@dataclass(eq=False)
class Replaced(Fault):
    """Another answer than the true one."""

    moment: Moment = Moment.BEFORE_ACTING
    status: int = 500
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(eq=False)
class Truncated(Fault):
    """The true answer, but half of its JSON; ``is_announced``: HTTP itself is in order."""

    is_announced: bool = True


@dataclass(eq=False)
class Hold(Fault):
    """Requests wait at ``moment`` until release() lets them go on or drop() cuts them off."""

    moment: Moment = Moment.BEFORE_ACTING
    held: int = 0
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    is_dropped: bool = False

    async def arrived(self, within_s: float = PATIENCE_S) -> None:
        """Wait until a request is being held."""
        async with asyncio.timeout(within_s):
            await self._arrived.wait()

    async def wait(self) -> None:
        """Keep a request until the test decides."""
        self.held += 1
        self._arrived.set()
        await self._decided.wait()

    def release(self) -> None:
        """Let the held requests go on, and later ones pass."""
        self._decided.set()

    def drop(self) -> None:
        """Cut the connections of the held requests; nothing more is done for them."""
        self.is_dropped = True
        self._decided.set()


class Faults:
    """The faults that lie ahead, in the order they were planned; one request takes one fault.

    A pattern is ``METHOD path`` with shell wildcards. The path may be short (``POST /backups``,
    ``GET /backups/{id}``, ``DELETE /backups/7``) or that of the spec; ``*`` is any request.
    """

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._holds: list[Hold] = []

    def delay(self, pattern: str, seconds: float, times: int | None = 1) -> None:
        """Answer ``seconds`` late."""
        self._planned.append(Delay(pattern, times, seconds))

    def reset(self, pattern: str, times: int | None = 1) -> None:
        """Reset the connection, the request unread and nothing done."""
        self._planned.append(Cut(pattern, times))

    def drop_answer(self, pattern: str, times: int | None = 1) -> None:
        """Act on the request, then reset the connection instead of answering."""
        self._planned.append(Cut(pattern, times, Moment.AFTER_ACTING))

    def refuse(
        self,
        pattern: str,
        status: int,
        code: int,
        *,
        times: int | None = 1,
        moment: Moment = Moment.BEFORE_ACTING,
    ) -> None:
        """Answer with a proper error body, for example 409/1015, 500/1000 or 550/0."""
        body = error_bytes(status, code)
        self._planned.append(Replaced(pattern, times, moment, status, body))

    def html_page(
        self,
        pattern: str,
        status: int,
        *,
        times: int | None = 1,
        moment: Moment = Moment.BEFORE_ACTING,
    ) -> None:
        """Answer with a web page, as a proxy in front of a dead server does."""
        page = b"<html><head><title>Error</title></head><body>Try again later</body></html>"
        self._planned.append(Replaced(pattern, times, moment, status, page, "text/html"))

    def answer_with(
        self,
        pattern: str,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        *,
        times: int | None = 1,
        moment: Moment = Moment.BEFORE_ACTING,
    ) -> None:
        """Answer with exactly these bytes."""
        self._planned.append(Replaced(pattern, times, moment, status, body, content_type))

    def truncate(self, pattern: str, times: int | None = 1) -> None:
        """Act, then answer with half of the JSON in an otherwise proper HTTP message."""
        self._planned.append(Truncated(pattern, times))

    def cut_body(self, pattern: str, times: int | None = 1) -> None:
        """Act, then break off in the middle of the body."""
        self._planned.append(Truncated(pattern, times, is_announced=False))

    def hold(
        self,
        pattern: str,
        *,
        times: int | None = 1,
        moment: Moment = Moment.BEFORE_ACTING,
    ) -> Hold:
        """Keep matching requests waiting, before or after the appliance acted on them."""
        hold = Hold(pattern, times, moment)
        self._planned.append(hold)
        self._holds.append(hold)
        return hold

    def clear(self) -> None:
        """Forget all planned faults and release what is held."""
        self._planned.clear()
        for hold in self._holds:
            hold.release()

    def take(self, names: Iterable[str]) -> Fault | None:
        """The first planned fault for a request that goes by these names; counts it down."""
        known = list(names)
        for fault in self._planned:
            if any(fnmatchcase(name, fault.pattern) for name in known) or fault.pattern == "*":
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._planned.remove(fault)
                return fault
        return None


def error_bytes(status: int, code: int) -> bytes:
    """Build the error body of a refusal that a test planned."""
    body: Json = {
        "http_response": {"code": status, "message": "planned by the test"},
        "code": code,
        "description": "",
        "details": {},
        "message": f"Fault {status}/{code} planned by the test",
    }
    return json.dumps(body).encode()
