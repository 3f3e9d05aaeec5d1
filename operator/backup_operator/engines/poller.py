"""Watching the records of one engine: what runs often, what has ended rarely (architecture §2.3).

The number of requests depends on how many backups run at the engine, in pages of hundreds, and
never on how many Backups there are.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from backup_api.backups import LEAVING, RUNNING
from backup_api.exceptions import BackupApiError
from backup_api.filters import id_in, status_in
from backup_operator.decisions.adoption import wire_time
from backup_operator.decisions.drift import Told, has_drifted
from backup_operator.decisions.facts import RecordGone
from backup_operator.decisions.polling import FIRST, next_interval
from backup_operator.engines.link import EngineLink, EngineUnusableError
from backup_operator.engines.records import RecordTable

IDS_PER_REQUEST: Final = 100
SOON_AFTER_START_S: Final = 10.0
UNFINISHED: Final = status_in(RUNNING | LEAVING)

logger = logging.getLogger(__name__)


class WatchedBackup(Protocol):
    """A Backup as far as its record goes."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is expected of it."""
        ...

    @property
    def told(self) -> Told:
        """What its stored status says."""
        ...


class WatchedBackups(Protocol):
    """The Backups that have records at an engine."""

    def unfinished_records(self, engine_uid: str) -> frozenset[int]:
        """Return the ids whose Backups wait for a change."""
        ...

    def records(self, engine_uid: str) -> frozenset[int]:
        """Return the ids of all Backups of the engine."""
        ...

    def find_by_record(self, engine_uid: str, record_id: int) -> WatchedBackup | None:
        """Find the Backup of a record."""
        ...


class RecordPoller:
    """Keeps a RecordTable true; ``on_record`` is called with each id that has news."""

    def __init__(
        self,
        link: EngineLink,
        table: RecordTable,
        watched: WatchedBackups,
        on_record: Callable[[int], None],
        sweep_interval: timedelta,
    ) -> None:
        self._link = link
        self._table = table
        self._watched = watched
        self._on_record = on_record
        self._sweep_interval_s = sweep_interval.total_seconds()
        self._woken = asyncio.Event()
        self._polled_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def lag_s(self) -> float:
        """How long ago the running records were last read; 0: none of ours runs."""
        if not self._watched.unfinished_records(self._link.uid):
            return 0.0
        return 0.0 if self._polled_at is None else max(0.0, _now() - self._polled_at)

    def wake(self) -> None:
        """Poll again within a second: something has begun, or the engine is back."""
        self._woken.set()

    async def read_unknown(self, record_id: int) -> bool:
        """Read this record with all others that are waited for and not known yet, by listing them.

        False: it is the only one, so that asking for it alone costs no more. After a start nothing
        is known, and a request for each Backup would grow with their number. Raises
        BackupApiError and EngineUnusableError.
        """
        unknown = self._unknown()
        if unknown <= {record_id}:
            return False
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._poll(unknown | {record_id}))
        await asyncio.shield(self._reading)
        return True

    def _unknown(self) -> frozenset[int]:
        waited_for = self._watched.unfinished_records(self._link.uid)
        return frozenset(number for number in waited_for if self._table.find(number) is None)

    async def run(self) -> None:
        """Poll and sweep until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll_forever())
            group.create_task(self._sweep_forever())

    async def _poll_forever(self) -> None:
        interval: timedelta | None = None
        while True:
            if not self._moving():
                if not self._watched.unfinished_records(self._link.uid):
                    self._polled_at = None
                await self._woken.wait()
                self._woken.clear()
                interval = None
            self._polled_at = self._polled_at or _now()
            interval = next_interval(interval, self._link.spec.poll_interval, self._youngest())
            if await self._is_woken_within(interval):
                interval = FIRST
                await asyncio.sleep(FIRST.total_seconds())
                self._woken.clear()
            with contextlib.suppress(BackupApiError, EngineUnusableError):  # the link has noted it
                await self._poll(self._moving())

    async def _is_woken_within(self, interval: timedelta) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval.total_seconds()):
                await self._woken.wait()
                return True
        return False

    def _moving(self) -> frozenset[int]:
        """Return the ids of ours that may change on their own; none while nobody can be asked."""
        if not self._link.is_usable:
            return frozenset()
        waited_for = self._watched.unfinished_records(self._link.uid)
        return frozenset(number for number in waited_for if self._table.is_moving(number))

    async def _poll(self, mine: frozenset[int]) -> None:
        if not mine:
            return
        asked_at = _now()
        listed: set[int] = set()
        async with self._link.client() as client:
            async for record in client.list_backups(filter_by=UNFINISHED):
                listed.add(record.id)
                if record.id in mine:
                    self._note(record.id, self._table.put(record.id, record, asked_at))
            self._link.note_running(len(listed))
            self._polled_at = asked_at
            for chunk in _chunks(mine - listed):
                found: set[int] = set()
                asked_at = _now()
                async for record in client.list_backups(filter_by=id_in(chunk)):
                    found.add(record.id)
                    self._note(record.id, self._table.put(record.id, record, asked_at))
                for number in chunk - found:
                    self._note(number, self._table.put(number, RecordGone(), asked_at))

    async def _sweep_forever(self) -> None:
        pause_s = random.uniform(0.0, min(SOON_AFTER_START_S, self._sweep_interval_s))  # noqa: S311 - spreads load
        while True:
            await asyncio.sleep(pause_s)
            if not self._link.is_usable:
                pause_s = SOON_AFTER_START_S
                continue
            with contextlib.suppress(BackupApiError, EngineUnusableError):
                await self._sweep()
            pause_s = self._sweep_interval_s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load

    async def _sweep(self) -> None:
        """Compare every record with what its Backup tells."""
        ours = self._watched.records(self._link.uid)
        if not ours or not self._link.is_usable:
            return
        asked_at = _now()
        missing = set(ours)
        async with self._link.client() as client:
            async for record in client.list_backups(filter_by=f"id >= {min(ours)}"):
                missing.discard(record.id)
                if record.id not in ours:
                    continue
                backup = self._watched.find_by_record(self._link.uid, record.id)
                if backup is not None and has_drifted(record, backup.told):
                    self._note(record.id, self._table.put(record.id, record, asked_at))
        for number in missing:
            self._note(number, self._table.put(number, RecordGone(), asked_at))

    def _note(self, record_id: int, is_news: bool) -> None:
        if is_news:
            self._on_record(record_id)

    def _youngest(self) -> timedelta:
        """Return how long the latest backup has been running; zero: not known."""
        offset = self._link.seen().clock_offset or timedelta(0)
        ages = []
        for number in self._moving():
            match self._table.find(number):
                case None | RecordGone():
                    return timedelta(0)
                case record:
                    began = wire_time(record.time_initiated)
                    if began is None:
                        return timedelta(0)
                    ages.append(datetime.now(UTC) + offset - began)
        return min(ages, default=timedelta(0))


def _chunks(ids: frozenset[int]) -> Iterator[frozenset[int]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), IDS_PER_REQUEST):
        yield frozenset(ordered[start : start + IDS_PER_REQUEST])


def _now() -> float:
    return asyncio.get_running_loop().time()
