"""Rows of the table of deploys; at most one of them runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.configurations import BackupConfigurationRecord
from backup_api.deploy import DeployHost, DeployStatus, DeployType
from backup_engine.host_definition import HostVersion
from backup_engine.records.tables import DEPLOYS

INITIALIZING: Final = "INITIALIZING"
IN_PROGRESS: Final = "IN_PROGRESS"
COMPLETE: Final = "COMPLETE"
"""The words of the sample, which live systems use (spec §7.0)."""

KEPT: Final = 20
"""How many finished deploys stay in the table; the API shows the last one only."""


class DeployRunningError(Exception):
    """Another deploy runs."""


class HostToDeploy(msgspec.Struct, frozen=True):
    """A host that a deploy is about; ``version`` is what it will put in force, None: deletion."""

    id: int
    name: str
    version: HostVersion | None


@dataclass(frozen=True, slots=True)
class NewDeploy:
    """A deploy about to be recorded; the rest is what it will put in force.

    ``hosts`` and ``host_versions`` are in the same order.
    """

    type: DeployType
    initiated_by: str
    initiated_from: str | None
    hosts: tuple[DeployHost, ...]
    host_versions: tuple[HostToDeploy, ...]
    configuration: BackupConfigurationRecord
    time_initiated: int  # epoch ms


@dataclass(frozen=True, slots=True)
class StoredDeploy:
    """A deploy as the wire shows it, and what it puts in force."""

    id: int
    status: DeployStatus
    host_versions: tuple[HostToDeploy, ...]
    configuration: BackupConfigurationRecord


class DeployRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, new: NewDeploy) -> StoredDeploy:
        """Store ``new``; raises DeployRunningError if another one runs."""
        row = insert(DEPLOYS).values(
            type=new.type,
            status=INITIALIZING,
            is_running=True,
            percent_complete=0,
            initiated_by=new.initiated_by,
            initiated_from=new.initiated_from,
            hosts=_dump(new.hosts),
            host_versions=msgspec.to_builtins(new.host_versions),
            configuration=new.configuration.model_dump(mode="json"),
            time_initiated=new.time_initiated,
        )
        try:  # the partial unique index decides: two racers would both pass a SELECT
            async with self._connection.begin_nested():
                stored = await self._connection.execute(row.returning(*DEPLOYS.c))
                added = _stored(stored.mappings().one())
        except IntegrityError as clash:
            raise DeployRunningError from clash
        await self._connection.execute(delete(DEPLOYS).where(DEPLOYS.c.id <= added.id - KEPT))
        return added

    async def find_latest(self) -> StoredDeploy | None:
        """Find the running deploy, or else the last one; None: there never was one."""
        found = await self._connection.execute(
            select(DEPLOYS).order_by(DEPLOYS.c.id.desc()).limit(1)
        )
        row = found.mappings().one_or_none()
        return _stored(row) if row is not None else None

    async def find_running(self) -> StoredDeploy | None:
        """Find the deploy that runs."""
        found = await self._connection.execute(
            select(DEPLOYS).where(DEPLOYS.c.is_running == true())
        )
        row = found.mappings().one_or_none()
        return _stored(row) if row is not None else None

    async def report(self, deploy_id: int, hosts: Sequence[DeployHost], percent: int) -> None:
        """Write how far a running deploy is; one that ended is left as it ended."""
        await self._connection.execute(
            update(DEPLOYS)
            .where(_running(deploy_id))
            .values(status=IN_PROGRESS, hosts=_dump(hosts), percent_complete=percent)
        )

    async def finish(self, deploy_id: int, hosts: Sequence[DeployHost], now_ms: int) -> bool:
        """Mark a running deploy as complete; False if another engine did so before."""
        done = await self._connection.execute(
            update(DEPLOYS)
            .where(_running(deploy_id))
            .values(
                status=COMPLETE,
                is_running=False,
                hosts=_dump(hosts),
                percent_complete=100,
                time_completed=now_ms,
            )
        )
        return done.rowcount == 1


def _running(deploy_id: int) -> ColumnElement[bool]:
    return and_(DEPLOYS.c.id == deploy_id, DEPLOYS.c.is_running == true())


def _dump(hosts: Sequence[DeployHost]) -> list[dict[str, object]]:
    return [host.model_dump(mode="json") for host in hosts]


def _stored(row: RowMapping) -> StoredDeploy:
    status = DeployStatus.model_validate(dict(row))
    configuration = BackupConfigurationRecord.model_validate(row["configuration"])
    # a deploy of before hosts were deployed has none
    host_versions = msgspec.convert(row["host_versions"] or (), tuple[HostToDeploy, ...])
    return StoredDeploy(row["id"], status, host_versions, configuration)
