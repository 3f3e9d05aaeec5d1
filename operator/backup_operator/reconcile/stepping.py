"""The loop that reconciliations of most kinds share: a step, a look at what came of it, a step."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from backup_api.exceptions import BackupApiError
from backup_operator.cluster.api import ClusterError, ConflictError, GoneError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.engines.link import EngineUnusableError
from backup_operator.reconcile.queue import RetryLaterError
from backup_operator.reconcile.writing import StatusWriter
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import Kind

MOST_STEPS: Final = 25
SHORTEST_WAIT: Final = timedelta(milliseconds=50)

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resting:
    """Nothing more to do now; come back at ``until``, None: on the next event."""

    until: datetime | None = None


TakeStep = Callable[[Entry, Body], Awaitable[Resting | None]]
"""Decides and takes one step for an object; None: look again at once."""

TellInvalid = Callable[[Body, InvalidSpecError], Awaitable[None]]
"""Stores that a spec breaks a rule."""


class Stepper:
    """Takes steps for one object of a kind until it rests; facts are read anew before each."""

    def __init__(
        self, kind: Kind, cache: ObjectCache, writer: StatusWriter, clock: Callable[[], datetime]
    ) -> None:
        self._kind = kind
        self._cache = cache
        self._writer = writer
        self._clock = clock

    async def run(
        self, key: Key, take_step: TakeStep, tell_invalid: TellInvalid
    ) -> timedelta | None:
        """Return when to come back; raises RetryLaterError if cluster or engine did not go along.

        A conflict, an engine that has become unusable, and an object that has gone are facts of
        the next look.
        """
        for _ in range(MOST_STEPS):
            entry = self._cache.find(key)
            if entry is None:
                return None
            body = entry.body()
            try:
                resting = await self._take(body, entry, take_step, tell_invalid)
            except EngineUnusableError:
                continue  # the next decision sees why, and tells it
            except (BackupApiError, ClusterError) as trouble:
                raise RetryLaterError(str(trouble)) from trouble
            if resting is not None:
                return self._wait(resting.until)
        raise RetryLaterError(f"{MOST_STEPS} steps led to no rest")

    async def _take(
        self, body: Body, entry: Entry, take_step: TakeStep, tell_invalid: TellInvalid
    ) -> Resting | None:
        try:
            return await take_step(entry, body)
        except InvalidSpecError as problem:
            await tell_invalid(body, problem)
            return Resting()
        except ConflictError:
            await self._refresh(entry)
            return None
        except GoneError:
            self._cache.remove(entry.key, entry.uid)
            return Resting()

    async def _refresh(self, entry: Entry) -> None:
        try:
            await self._writer.refresh(self._kind, entry.key.namespace or None, entry.key.name)
        except GoneError:
            self._cache.remove(entry.key, entry.uid)

    def _wait(self, until: datetime | None) -> timedelta | None:
        return None if until is None else max(until - self._clock(), SHORTEST_WAIT)
