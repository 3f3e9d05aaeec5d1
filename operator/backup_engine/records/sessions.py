"""What sessions need to be the same on every engine: the key, and which ones were ended."""

import secrets
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_engine.records.tables import ENDED_SESSIONS, SESSION_KEYS

_KEY_BYTES: Final = 32
_KEY_ID: Final = 1


class SessionRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ensure_key(self) -> bytes:
        """Return the key that signs sessions, made at the first call."""
        found = await self.find_key()
        if found is not None:
            return found
        row = insert(SESSION_KEYS).values(id=_KEY_ID, key=secrets.token_hex(_KEY_BYTES))
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(row)
        except IntegrityError:  # another engine was quicker; any other cause is raised
            if await self.find_key() is None:
                raise
        made = await self.find_key()
        assert made is not None
        return made

    async def is_ended(self, session_id: str) -> bool:
        """Tell whether its user logged out."""
        query = select(ENDED_SESSIONS.c.id).where(ENDED_SESSIONS.c.id == session_id)
        return (await self._connection.execute(query)).first() is not None

    async def end(self, session_id: str, until_s: int, now_s: int) -> None:
        """End a session, and forget those that have run out by themselves."""
        ended = ENDED_SESSIONS
        await self._connection.execute(delete(ended).where(ended.c.until <= now_s))
        if await self.is_ended(session_id):
            return
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(ended).values(id=session_id, until=until_s))
        except IntegrityError:  # ended twice at once
            if not await self.is_ended(session_id):
                raise

    async def find_key(self) -> bytes | None:
        """Find the key; None: no user ever came with a password."""
        query = select(SESSION_KEYS.c.key).where(SESSION_KEYS.c.id == _KEY_ID)
        key: str | None = (await self._connection.execute(query)).scalar_one_or_none()
        return bytes.fromhex(key) if key is not None else None
