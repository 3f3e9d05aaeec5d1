"""Carries a deploy out: host by host, then the configuration comes into force (spec §7)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import aiohttp

from backup_api.configurations import BackupConfigurationRecord
from backup_api.deploy import DeployHost
from backup_api.hosts import HostRecord
from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.places import ArchivePlaces
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.deploys import DeployRecords, StoredDeploy
from backup_engine.runs.claims import Claim, ClaimKind, Claims
from backup_engine.runs.persistence import persist

logger = logging.getLogger(__name__)

HOST_TIMEOUT_S: Final = 30.0
LOOK_AGAIN_S: Final = 30.0  # a wake-up may be missed, never the work
LOOK_SHARED_S: Final = 2.0  # the engine that was asked for the deploy may be gone by now

_OK: Final = 200

PrepareHost = Callable[[HostRecord, BackupConfigurationRecord], Awaitable[None]]
"""Makes sure that a host can work by a configuration; raises HostNotReadyError."""


class HostNotReadyError(Exception):
    """A host cannot work by the configuration that is being deployed; the text says why."""


class Preparation:
    """What a deploy does to the console host: see that cluster and archive directory answer."""

    def __init__(self, cluster: ClusterConnection, places: ArchivePlaces) -> None:
        self._cluster = cluster
        self._places = places

    async def __call__(self, host: HostRecord, configuration: BackupConfigurationRecord) -> None:
        """Look at both; raises HostNotReadyError that names the host."""
        path = configuration.backup_directory_path
        try:
            store = self._places.open(path)
            if path is None:  # the engine's own, which it makes if it is not there
                await store.ensure_no_leftovers()
            await store.list_names()
            async with self._cluster.request("GET", "/version") as response:
                if response.status != _OK:
                    raise HostNotReadyError(
                        f"{host.hostname}: the API server answered {response.status}"
                    )
        except (ArchiveError, ClusterError, aiohttp.ClientError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise HostNotReadyError(f"{host.hostname}: {said}") from trouble


class Deployer:
    """Level-triggered: looks for a running deploy and carries it to its end, after a crash, too."""

    def __init__(
        self,
        database: Database,
        hosts: Sequence[HostRecord],
        prepare: PrepareHost,
        clock: Callable[[], datetime],
        claims: Claims,
        host_timeout_s: float = HOST_TIMEOUT_S,
    ) -> None:
        self._database = database
        self._claims = claims
        self._look_again_s = LOOK_SHARED_S if database.is_shared else LOOK_AGAIN_S
        self._hosts = hosts
        self._prepare = prepare
        self._clock = clock
        self._host_timeout_s = host_timeout_s
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Have the deployer look at the database soon."""
        self._awake.set()

    async def run(self) -> None:
        """Work until cancelled; a deploy cut off by that is carried on by the next start."""
        while True:
            self._awake.clear()  # before looking: what happens meanwhile is seen next time
            deploy = await persist(self._find_running, "looking for a deploy")
            if deploy is not None and await self._claims.carry_out(
                ClaimKind.DEPLOY, deploy.id, self._carry_out
            ):
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_again_s):
                    await self._awake.wait()

    async def _carry_out(self, claim: Claim) -> None:
        """Take the hosts one after the other; one that fails keeps no other from its turn."""
        deploy = await persist(self._find_running, "reading the deploy")
        if deploy is None or deploy.id != claim.subject_id:
            return  # it ended before this engine's claim
        logger.info("deploy %d %s begins", deploy.id, deploy.status.type)
        states = [DeployHost(ip=host.private_ip) for host in self._hosts]
        states = [_at(state, "INITIATING") for state in states]
        steps = 2 * len(states) + 1  # each host begins and ends; the last step is coming into force
        for position, host in enumerate(self._hosts):
            states[position] = _at(states[position], "IN_PROGRESS")
            await self._report(deploy, claim, states, (2 * position + 1) * 100 // steps)
            outcome = await self._attempt(deploy, host)
            states[position] = _at(states[position], outcome)
            await self._report(deploy, claim, states, (2 * position + 2) * 100 // steps)
        await self._come_into_force(deploy, claim, states)

    async def _attempt(self, deploy: StoredDeploy, host: HostRecord) -> str:
        try:
            async with asyncio.timeout(self._host_timeout_s):
                await self._prepare(host, deploy.configuration)
        except HostNotReadyError as trouble:
            logger.error("deploy %d: host %d: %s", deploy.id, host.id, trouble)  # noqa: TRY400
            return "ERROR"
        except TimeoutError:
            logger.error(  # noqa: TRY400 - the host's trouble, not a bug to trace
                "deploy %d: host %d: no answer within %.0f s",
                deploy.id,
                host.id,
                self._host_timeout_s,
            )
            return "TIMED_OUT"
        return "SUCCESS"

    async def _come_into_force(
        self, deploy: StoredDeploy, claim: Claim, states: Sequence[DeployHost]
    ) -> None:
        async def finish() -> bool:
            now_ms = int(self._clock().timestamp() * 1000)
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                # one transaction: nobody sees a deploy that is over and not in force
                is_ours = await DeployRecords(connection).finish(deploy.id, states, now_ms)
                if is_ours:
                    await ConfigurationRecords(connection).deploy(deploy.configuration, now_ms)
                return is_ours

        if await persist(finish, f"deploy {deploy.id}: coming into force"):
            logger.info("deploy %d is complete", deploy.id)

    async def _report(
        self, deploy: StoredDeploy, claim: Claim, states: Sequence[DeployHost], percent: int
    ) -> None:
        async def report() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                await DeployRecords(connection).report(deploy.id, states, percent)

        await persist(report, f"deploy {deploy.id}: writing its progress")

    async def _find_running(self) -> StoredDeploy | None:
        async with self._database.reading() as connection:
            return await DeployRecords(connection).find_running()


def _at(host: DeployHost, state: str) -> DeployHost:
    return host.model_copy(update={"host_status": state, "status": state})
