"""What can be done with deploys: reading the last one, and starting one (spec §7)."""

from collections.abc import Callable, Iterable
from datetime import datetime

from pydantic import Field

from backup_api.deploy import DeployHost, DeployStatus, DeployType
from backup_api.errors import StartDeployErrors
from backup_api.hosts import HostStatus
from backup_api.wire import WireRequest
from backup_engine.errors import RefusalError
from backup_engine.product import CONFIGURATION_ID, CONSOLE_NAME
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.deploys import (
    COMPLETE,
    DeployRecords,
    DeployRunningError,
    HostToDeploy,
    NewDeploy,
)
from backup_engine.records.hosts import HostRecords, StoredHost

INITIATING = "INITIATING"
"""State of a host whose turn has not come (spec §7.0)."""

NEVER = DeployStatus(type=DeployType.INCREMENTAL, status=COMPLETE, percent_complete=100)
"""What GET tells before any deploy (spec §14 no. 5)."""


class DeployOrder(WireRequest):
    """Body of POST /staged_config/deploy_status as a server reads it: any word may come as type.

    The contract's own model would refuse an unknown one before its code 1005 could be answered.
    """

    type: str | None = Field(
        None,
        description="absent: INCREMENTAL; FULL runs even where nothing changed",
        json_schema_extra={"enum": ["INCREMENTAL", "FULL", None]},
    )


class Deploys:
    """The use cases; starting wakes the deployer."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        wake_deployer: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._wake_deployer = wake_deployer

    async def get(self) -> DeployStatus:
        """Get the running deploy, or else the last one (spec §7.1)."""
        async with self._database.reading() as connection:
            latest = await DeployRecords(connection).find_latest()
        return latest.status if latest is not None else NEVER

    async def start(self, order: DeployOrder, initiated_by: str) -> DeployStatus:
        """Record a deploy of what is staged now, and have it run (spec §7.2).

        FULL runs with nothing changed, too (spec §14 no. 4). Raises RefusalError.
        """
        deploy_type = parse_type(order.type)
        async with self._database.writing() as connection:
            deploys = DeployRecords(connection)
            if await deploys.find_running() is not None:
                raise _busy()
            stored = await ConfigurationRecords(connection).get(CONFIGURATION_ID, locked=True)
            hosts = choose_hosts(
                await HostRecords(connection).list_all(),
                is_whole=deploy_type is DeployType.FULL or not stored.is_deployed,
            )
            if stored.is_deployed and not hosts:  # FULL has at least the console
                raise RefusalError(StartDeployErrors.NOTHING_TO_DEPLOY, "No changes to deploy")
            new = NewDeploy(
                type=deploy_type,
                initiated_by=initiated_by,
                initiated_from=CONSOLE_NAME,
                # no host has an address of its own, so its name stands in the place of one
                hosts=tuple(
                    DeployHost(ip=host.name, host_status=INITIATING, status=INITIATING)
                    for host in hosts
                ),
                host_versions=hosts,
                configuration=stored.staged,
                time_initiated=int(self._clock().timestamp() * 1000),
            )
            try:
                added = await deploys.add(new)
            except DeployRunningError as clash:
                raise _busy() from clash
        self._wake_deployer()
        return added.status


def choose_hosts(hosts: Iterable[StoredHost], *, is_whole: bool) -> tuple[HostToDeploy, ...]:
    """Choose the hosts of a deploy: what is pending, or all that are not gone (spec §7.0)."""
    return tuple(
        HostToDeploy(host.id, host.name, host.staged)
        for host in hosts
        if host.is_pending or (is_whole and host.status is not HostStatus.DELETED)
    )


def parse_type(word: str | None) -> DeployType:
    """Read the type; absent is INCREMENTAL (spec §14 no. 5). Raises RefusalError 1005."""
    if word is None:
        return DeployType.INCREMENTAL
    try:
        return DeployType(word)
    except ValueError as trouble:
        message = f"type {word[:40]!r} is not INCREMENTAL or FULL"
        raise RefusalError(StartDeployErrors.WRONG_TYPE, message) from trouble


def _busy() -> RefusalError:
    message = "A deploy is running; wait until GET answers COMPLETE"
    return RefusalError(StartDeployErrors.BUSY_OR_NOTHING, message)
