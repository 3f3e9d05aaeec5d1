"""What can be done with deploys: reading the last one, and starting one (spec §7)."""

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import Field

from backup_api.deploy import DeployHost, DeployStatus, DeployType
from backup_api.errors import StartDeployErrors
from backup_api.hosts import HostRecord
from backup_api.wire import WireRequest
from backup_engine.errors import RefusalError
from backup_engine.product import CONFIGURATION_ID
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.deploys import (
    COMPLETE,
    DeployRecords,
    DeployRunningError,
    NewDeploy,
)

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
        hosts: Sequence[HostRecord],
        clock: Callable[[], datetime],
        wake_deployer: Callable[[], None],
    ) -> None:
        self._database = database
        self._hosts = hosts
        self._console = next(host for host in hosts if host.is_console)
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
            if stored.is_deployed and deploy_type is DeployType.INCREMENTAL:
                raise RefusalError(StartDeployErrors.NOTHING_TO_DEPLOY, "No changes to deploy")
            new = NewDeploy(
                type=deploy_type,
                initiated_by=initiated_by,
                initiated_from=self._console.hostname,
                hosts=tuple(
                    DeployHost(ip=host.private_ip, host_status=INITIATING, status=INITIATING)
                    for host in self._hosts
                ),
                configuration=stored.staged,
                time_initiated=int(self._clock().timestamp() * 1000),
            )
            try:
                added = await deploys.add(new)
            except DeployRunningError as clash:
                raise _busy() from clash
        self._wake_deployer()
        return added.status


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
