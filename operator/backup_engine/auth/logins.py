"""Users who come with a password, or with the cookie that they were given for it."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final

from backup_engine.auth.passwords import NOBODY, PasswordHash, Users
from backup_engine.auth.sessions import Session, build_session, parse_session
from backup_engine.auth.watched_file import WatchedFile
from backup_engine.records.database import Database
from backup_engine.records.sessions import SessionRecords

CONCURRENT_CHECKS: Final = 2  # each takes a core and 32 MiB
REMEMBERED: Final = 256
REMEMBERED_S: Final = 60.0


class Logins:
    """Checks passwords and cookies against the users file."""

    def __init__(
        self, users: WatchedFile[Users], database: Database, clock: Callable[[], datetime]
    ) -> None:
        self._users = users
        self._database = database
        self._clock = clock
        self._slots = asyncio.Semaphore(CONCURRENT_CHECKS)
        self._memory_key = secrets.token_bytes(32)
        self._proven: OrderedDict[bytes, float] = OrderedDict()

    async def login(self, name: str, password: str) -> str | None:
        """Check a password; return the cookie for it, None if user or password is wrong."""
        stored = (await self._users.get()).get(name)
        if not await self._is_right(name, password, stored) or stored is None:
            return None
        return build_session(await self._key(), name, stored, self._now_s()).text

    async def find_user(self, cookie: str) -> str | None:
        """Find whose session a cookie is; None: nobody's, or it has ended."""
        session = await self._find_genuine(cookie)
        if session is None:
            return None
        async with self._database.reading() as connection:
            is_ended = await SessionRecords(connection).is_ended(session.id)
        return None if is_ended else session.user

    async def logout(self, cookie: str) -> None:
        """End a session on every engine; a cookie that is none ends nothing."""
        session = await self._find_genuine(cookie)
        if session is None:
            return
        async with self._database.writing() as connection:
            await SessionRecords(connection).end(session.id, session.until_s, self._now_s())

    async def _find_genuine(self, cookie: str) -> Session | None:
        session = parse_session(cookie)
        if session is None or session.until_s <= self._now_s():
            return None
        stored = (await self._users.get()).get(session.user)
        if stored is None or not session.is_genuine(await self._key(), stored):
            return None
        return session

    async def _is_right(self, name: str, password: str, stored: PasswordHash | None) -> bool:
        """Check by scrypt, or remember for a minute: a client sends its password every time."""
        now = asyncio.get_running_loop().time()
        text = f"{name}\0{password}".encode("utf-8", "surrogateescape")
        salt = stored.value if stored is not None else b""
        proof = hmac.digest(self._memory_key + salt, text, hashlib.sha256)
        if stored is not None and self._proven.get(proof, 0.0) > now:
            return True
        async with self._slots:
            is_right = await asyncio.to_thread((stored or NOBODY).matches, password)
        if is_right and stored is not None:
            self._proven[proof] = now + REMEMBERED_S
            while len(self._proven) > REMEMBERED:
                self._proven.popitem(last=False)
            return True
        return False

    async def _key(self) -> bytes:
        async with self._database.reading() as connection:
            key = await SessionRecords(connection).find_key()
        if key is not None:
            return key
        async with self._database.writing() as connection:
            return await SessionRecords(connection).ensure_key()

    def _now_s(self) -> int:
        return int(self._clock().timestamp())
