"""Rows of the table of claims: which engine works on what (ADR 7)."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_engine.records.database_clock import DatabaseNowMs
from backup_engine.records.inserting import insert_unless_taken
from backup_engine.records.tables import CLAIMS


class ClaimRecords:
    """Works inside the caller's transaction and never commits it.

    Time is the database's: the clocks of two engines need not agree.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(
        self, kind: str, subject_id: int, token: str, holder: str, lease_ms: int
    ) -> bool:
        """Take a claim that nobody holds, or whose time is over; False: somebody else holds it."""
        until = DatabaseNowMs() + lease_ms
        # our own token: a commit whose answer got lost is asked for again
        is_free = or_(CLAIMS.c.until <= DatabaseNowMs(), CLAIMS.c.token == token)
        free = and_(_of(kind, subject_id), is_free)
        # one statement, for of two that take over the row lock lets the second see the first
        taken = await self._connection.execute(
            update(CLAIMS).where(free).values(token=token, holder=holder, until=until)
        )
        if taken.rowcount:
            return True
        row = insert_unless_taken(self._connection.dialect.name, CLAIMS).values(
            kind=kind, subject_id=subject_id, token=token, holder=holder, until=until
        )
        return (await self._connection.execute(row)).rowcount == 1

    async def renew(self, tokens: Collection[str], lease_ms: int) -> frozenset[str]:
        """Prolong these claims; returns the tokens of those that were still there."""
        renewed = await self._connection.execute(
            update(CLAIMS)
            .where(CLAIMS.c.token.in_(sorted(tokens)))
            .values(until=DatabaseNowMs() + lease_ms)
            .returning(CLAIMS.c.token)
        )
        return frozenset(renewed.scalars())

    async def lock(self, token: str) -> bool:
        """Keep others from taking this claim until the transaction ends; False: it is gone."""
        query = select(CLAIMS.c.token).where(CLAIMS.c.token == token).with_for_update()
        return (await self._connection.execute(query)).first() is not None

    async def list_held(self, kind: str) -> frozenset[int]:
        """List the ids of what is claimed now, by whomever."""
        held = and_(CLAIMS.c.kind == kind, CLAIMS.c.until > DatabaseNowMs())
        found = await self._connection.execute(select(CLAIMS.c.subject_id).where(held))
        return frozenset(found.scalars())

    async def release(self, token: str) -> None:
        """Give a claim back; one that is gone is as good as given back."""
        await self._connection.execute(delete(CLAIMS).where(CLAIMS.c.token == token))

    async def clear(self) -> None:
        """Forget all claims: for an engine that is known to be the only one."""
        await self._connection.execute(delete(CLAIMS))


def _of(kind: str, subject_id: int) -> ColumnElement[bool]:
    return and_(CLAIMS.c.kind == kind, CLAIMS.c.subject_id == subject_id)
