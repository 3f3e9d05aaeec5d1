"""Clients in use: one that is replaced is closed once its last request is over."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

from backup_api.client import BackupApiClient


class ClientLending:
    """Counts who uses which client, for one of the requests under way may be a POST."""

    def __init__(self) -> None:
        self._borrowed: Counter[BackupApiClient] = Counter()
        self._retired: set[BackupApiClient] = set()
        self._closing: set[asyncio.Task[None]] = set()  # kept, or they may be collected

    @contextlib.asynccontextmanager
    async def lent(self, client: BackupApiClient) -> AsyncIterator[None]:
        """Keep ``client`` open for the length of the block."""
        self._borrowed[client] += 1
        try:
            yield
        finally:
            self._borrowed[client] -= 1
            if not self._borrowed[client]:
                del self._borrowed[client]
                await self._close_idle(client)

    def retire(self, client: BackupApiClient | None) -> None:
        """Have a client closed soon, or once it is given back."""
        if client is None:
            return
        self._retired.add(client)
        if not self._borrowed[client]:
            closing = asyncio.create_task(self._close_idle(client))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self, client: BackupApiClient | None) -> None:
        """Close ``client`` and all that were retired; what is lent is closed by its borrower."""
        if client is not None:
            self._retired.add(client)
        for retired in tuple(self._retired):
            await self._close_idle(retired)

    async def _close_idle(self, client: BackupApiClient) -> None:
        if client in self._retired and not self._borrowed[client]:
            self._retired.discard(client)
            await client.__aexit__(None, None, None)
