"""Claims: of all engines on one database exactly one works on a thing at a time (ADR 7).

The seam for all work that must not be done twice::

    is_ours = await claims.carry_out(ClaimKind.RESTORE, restore_id, work)

``work(claim)`` runs if no engine holds the claim, and is cancelled if the claim cannot be kept:
before another engine may take it over. Every transaction in which ``work`` writes what it did
begins with ``await claim.confirm(connection)``, so that an engine that slept through its lease
(a paused machine) commits nothing. ``False``: another engine is at it; look again later.

Read the state that the work begins from inside ``work``: before the claim it may be another's.
Work must therefore carry on from what the database and the archive store tell.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_engine.records.claims import ClaimRecords
from backup_engine.records.database import Database
from backup_engine.runs.persistence import persist

logger = logging.getLogger(__name__)

TAKEOVER_S: Final = 15.0
RELEASE_TIMEOUT_S: Final = 2.0

_TOKEN_BYTES: Final = 16
_MS_PER_S: Final = 1000


@unique
class ClaimKind(StrEnum):
    """What claims are about; the subject's id is one of that kind's own."""

    BACKUP = "backup"
    DEPLOY = "deploy"
    RESTORE = "restore"
    PLAN = "plan"
    NIGHTLY = "nightly"
    WATCH = "watch"
    SCAN = "scan"
    COMPATIBILITY = "compatibility"
    REPOSITORIES = "repositories"
    VOLUMES = "volumes"


class ClaimLostError(Exception):
    """Another engine took the claim over: what was done under it must not be committed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a claim lasts without its holder; seconds.

    The holder asks for more four times within it, and stops its work when a fifth of it is left.
    """

    takeover_s: float = TAKEOVER_S

    @property
    def renew_every_s(self) -> float:
        """How often the holder asks for more."""
        return self.takeover_s / 5

    @property
    def working_s(self) -> float:
        """How long the holder goes on without an answer."""
        return self.takeover_s * 4 / 5


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of this engine to work on one thing, for as long as it lasts."""

    kind: ClaimKind
    subject_id: int
    token: str

    async def confirm(self, connection: AsyncConnection) -> None:
        """Make sure, until the transaction ends, that nobody else has it.

        Raises ClaimLostError; then let the transaction be undone.
        """
        if not await ClaimRecords(connection).lock(self.token):
            raise ClaimLostError(str(self))

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}" if self.subject_id else str(self.kind)


class Claims:
    """The claims of one engine. SQLite has one engine only, whose claims never run out."""

    def __init__(self, database: Database, lease: Lease | None = None) -> None:
        self._database = database
        self._lease = lease or Lease()
        self._lease_ms = int(self._lease.takeover_s * _MS_PER_S)
        self._holder = f"{socket.gethostname()}, process {os.getpid()}"
        self._held: dict[str, asyncio.Timeout] = {}
        self._ended: set[Claim] = set()

    async def run(self) -> None:
        """Keep what is held, and give back what is over, until cancelled."""
        while True:
            await asyncio.sleep(self._lease.renew_every_s)
            if self._held and self._database.is_shared:
                await self._renew()
            for claim in tuple(self._ended):
                await self._release(claim)

    async def carry_out(
        self, kind: ClaimKind, subject_id: int, work: Callable[[Claim], Awaitable[None]]
    ) -> bool:
        """Do ``work`` under a claim; False, and nothing done, if another engine holds it.

        Waits for a database that is away. Work whose claim is lost is cancelled, and the answer
        is True then, too. Raises what ``work`` raises.
        """
        claim = Claim(kind, subject_id, secrets.token_hex(_TOKEN_BYTES))
        asked_at = 0.0

        async def take() -> bool:
            nonlocal asked_at
            asked_at = asyncio.get_running_loop().time()
            async with self._database.writing() as connection:
                return await ClaimRecords(connection).take(
                    kind, subject_id, claim.token, self._holder, self._lease_ms
                )

        try:
            is_taken = await persist(take, f"claiming {claim}")
        except asyncio.CancelledError:  # it may have met the commit, and the claim be taken
            await self._give_back(claim)
            raise
        if not is_taken:
            return False
        limit = asyncio.timeout_at(self._stop_at(asked_at))
        try:
            async with limit:
                self._held[claim.token] = limit
                await work(claim)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.warning("%s: the claim could not be kept; this engine stopped", claim)
        except ClaimLostError:
            logger.warning("%s: another engine took over; nothing was written", claim)
        finally:
            self._held.pop(claim.token, None)
            await self._give_back(claim)
        return True

    async def alone(self, kind: ClaimKind, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work``, which never ends by itself, in one engine only; wait for its place."""

        async def begin(_claim: Claim) -> None:
            await work()

        while True:
            await self.carry_out(kind, 0, begin)
            await asyncio.sleep(self._lease.renew_every_s)

    async def clear(self) -> None:
        """Forget what a process before this one held: only where this is the only one."""
        async with self._database.writing() as connection:
            await ClaimRecords(connection).clear()

    def _stop_at(self, asked_at: float) -> float | None:
        # counted from before the question: the database's lease begins later, and ends later
        return asked_at + self._lease.working_s if self._database.is_shared else None

    async def _renew(self) -> None:
        held = dict(self._held)
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            async with (
                asyncio.timeout(self._lease.working_s / 2),
                self._database.reserved() as connection,
            ):
                renewed = await ClaimRecords(connection).renew(held, self._lease_ms)
        except (SQLAlchemyError, OSError) as trouble:  # TimeoutError is an OSError
            logger.warning("claims could not be renewed: %s", _say(trouble))
            return
        for token, limit in held.items():
            if token not in self._held or limit.expired():
                continue
            limit.reschedule(self._stop_at(asked_at) if token in renewed else loop.time())

    async def _give_back(self, claim: Claim) -> None:
        """Release it whatever happens meanwhile: on SQLite nothing runs out by itself.

        A second cancellation of the work, which only repeats the first, waits for the release.
        """
        self._ended.add(claim)
        releasing = asyncio.create_task(self._release(claim), name=f"release of {claim}")
        is_cancelled = False
        while not releasing.done():
            try:
                await asyncio.shield(releasing)
            except asyncio.CancelledError:
                is_cancelled = True
        if is_cancelled:
            raise asyncio.CancelledError

    async def _release(self, claim: Claim) -> None:
        """Give it back; if that fails it is tried again, and a lease runs out by itself."""
        try:
            async with (
                asyncio.timeout(RELEASE_TIMEOUT_S),
                self._database.writing() as connection,
            ):
                await ClaimRecords(connection).release(claim.token)
        except (SQLAlchemyError, OSError) as trouble:
            logger.warning("%s: the claim is given back later: %s", claim, _say(trouble))
        else:
            self._ended.discard(claim)


def _say(trouble: Exception) -> str:
    return str(trouble) or type(trouble).__name__
