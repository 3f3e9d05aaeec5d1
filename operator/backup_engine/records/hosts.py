"""Rows of the table of hosts, each as staged and as deployed (spec §6)."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, delete, exists, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.hosts import HostStatus
from backup_engine.host_definition import CONSOLE_UID, HostVersion
from backup_engine.records.tables import BACKUPS, HOSTS


@dataclass(frozen=True, slots=True)
class StoredHost:
    """One host; ``status`` is that of the deployed host, or NEW or ADDING while there is none.

    ``staged`` None: its BackupHost is gone. ``deployed`` None: not in force, never or no more.
    ``reason`` and ``message`` tell what the last deploy found amiss.
    """

    id: int
    uid: str
    name: str
    staged: HostVersion | None
    deployed: HostVersion | None
    status: HostStatus
    reason: str | None = None
    message: str | None = None

    @property
    def is_console(self) -> bool:
        """Whether this is the console host."""
        return self.uid == CONSOLE_UID

    @property
    def is_pending(self) -> bool:
        """Whether a deploy would change anything about it."""
        staged = self.staged.definition if self.staged is not None else None
        deployed = self.deployed.definition if self.deployed is not None else None
        return staged != deployed


_ALL: Final = select(HOSTS).order_by(HOSTS.c.id)


class HostRecords:
    """Works inside the caller's transaction and never commits it.

    Whoever changes what is staged or deployed holds the lock on the backup configuration
    (ConfigurationRecords.get), which is one thing with the hosts: both are deployed together.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_all(self) -> list[StoredHost]:
        """List every host by ascending id; the console is the first."""
        found = await self._connection.execute(_ALL)
        return [_stored(row) for row in found.mappings()]

    async def find(self, host_id: int) -> StoredHost | None:
        """Find one host."""
        found = await self._connection.execute(select(HOSTS).where(HOSTS.c.id == host_id))
        row = found.mappings().one_or_none()
        return _stored(row) if row is not None else None

    async def add(self, uid: str, name: str, staged: HostVersion) -> int:
        """Add a host that is staged and not deployed; return its id, which is never given again."""
        row = insert(HOSTS).values(
            uid=uid, name=name, staged=_dump(staged), status=HostStatus.NEW.value
        )
        added = await self._connection.execute(row.returning(HOSTS.c.id))
        return int(added.scalar_one())

    async def write(self, host: StoredHost) -> bool:
        """Write all of a host but its identity; False: there is no such host any more."""
        done = await self._connection.execute(
            update(HOSTS)
            .where(HOSTS.c.id == host.id)
            .values(
                staged=_dump(host.staged),
                deployed=_dump(host.deployed),
                status=host.status.value,
                reason=host.reason,
                message=host.message,
            )
        )
        return done.rowcount == 1

    async def mark_adding(self, host_id: int) -> None:
        """Show that a deploy is at work on a host that was never in force."""
        await self._connection.execute(
            update(HOSTS)
            .where(HOSTS.c.id == host_id, HOSTS.c.deployed.is_(null()))
            .values(status=HostStatus.ADDING.value)
        )

    async def remove(self, host_id: int) -> None:
        """Remove a host."""
        await self._connection.execute(delete(HOSTS).where(HOSTS.c.id == host_id))

    async def has_backups(self, host_id: int) -> bool:
        """Tell whether any record of a backup names the host."""
        query = select(exists().where(BACKUPS.c.host_id == host_id))
        return bool(await self._connection.scalar(query))


def _dump(version: HostVersion | None) -> Any:  # noqa: ANN401 - JSON
    return msgspec.to_builtins(version)


def _load(document: Any) -> HostVersion | None:  # noqa: ANN401 - JSON
    return msgspec.convert(document, HostVersion) if document is not None else None


def _stored(row: RowMapping) -> StoredHost:
    return StoredHost(
        id=row["id"],
        uid=row["uid"],
        name=row["name"],
        staged=_load(row["staged"]),
        deployed=_load(row["deployed"]),
        status=HostStatus(row["status"]),
        reason=row["reason"],
        message=row["message"],
    )
