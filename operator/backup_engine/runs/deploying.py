"""Carries a deploy out: host by host, then the configuration comes into force (spec §7)."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeAlias

from backup_api.deploy import DeployHost
from backup_api.hosts import HostStatus
from backup_engine.host_definition import HostVersion
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.deploys import DeployRecords, HostToDeploy, StoredDeploy
from backup_engine.records.exclusion import lock_beginnings
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.runs.claims import Claim, ClaimKind, Claims
from backup_engine.runs.persistence import persist
from backup_engine.runs.preparing import (
    TIMED_OUT,
    HostNotReadyError,
    PrepareHost,
    Remark,
)
from backup_engine.runs.resync import RESYNC_S, ResyncLoop

logger = logging.getLogger(__name__)

HOST_TIMEOUT_S: Final = 30.0
RESYNC_SHARED_S: Final = 2.0  # the engine that was asked for the deploy may be gone by now

Finding: TypeAlias = HostNotReadyError | Remark
"""What a deploy found at a host, be it able to work or not."""


class Deployer:
    """Level-triggered: looks for a running deploy and carries it to its end, after a crash, too."""

    def __init__(
        self,
        database: Database,
        prepare: PrepareHost,
        clock: Callable[[], datetime],
        claims: Claims,
        host_timeout_s: float = HOST_TIMEOUT_S,
    ) -> None:
        self._database = database
        self._claims = claims
        self._loop = ResyncLoop(RESYNC_SHARED_S if database.is_shared else RESYNC_S)
        self._prepare = prepare
        self._clock = clock
        self._host_timeout_s = host_timeout_s

    def wake(self) -> None:
        """Have the deployer look at the database soon."""
        self._loop.wake()

    async def run(self) -> None:
        """Work until cancelled; a deploy cut off by that is carried on by the next start."""
        await self._loop.run(self._look)

    async def _look(self) -> None:
        deploy = await persist(self._find_running, "looking for a deploy")
        if deploy is not None and await self._claims.carry_out(
            ClaimKind.DEPLOY, deploy.id, self._carry_out
        ):
            self.wake()  # there may be another one by now

    async def _carry_out(self, claim: Claim) -> None:
        """Take the hosts one after the other; one that fails keeps no other from its turn."""
        deploy = await persist(self._find_running, "reading the deploy")
        if deploy is None or deploy.id != claim.subject_id:
            return  # it ended before this engine's claim
        logger.info("deploy %d %s begins", deploy.id, deploy.status.type)
        states = [_at(state, "INITIATING") for state in deploy.status.hosts or ()]
        found: dict[int, Finding] = {}
        steps = 2 * len(states) + 1  # each host begins and ends; the last step is coming into force
        for position, host in enumerate(deploy.host_versions):
            states[position] = _at(states[position], "IN_PROGRESS")
            await self._report(deploy, claim, states, (2 * position + 1) * 100 // steps, host)
            finding = await self._attempt(deploy, host)
            if finding is not None:
                found[host.id] = finding
            states[position] = _at(states[position], _outcome(finding))
            await self._report(deploy, claim, states, (2 * position + 2) * 100 // steps)
        await self._come_into_force(deploy, claim, states, found)

    async def _attempt(self, deploy: StoredDeploy, host: HostToDeploy) -> Finding | None:
        try:
            async with asyncio.timeout(self._host_timeout_s):
                remark = await self._prepare(host, deploy.configuration)
        except HostNotReadyError as found:
            trouble = found
        except TimeoutError:
            message = f"{host.name}: no answer within {self._host_timeout_s:.0f} s"
            trouble = HostNotReadyError(message, TIMED_OUT)
        else:
            if remark is not None:
                logger.warning("deploy %d: host %d: %s", deploy.id, host.id, remark.message)
            return remark
        logger.error("deploy %d: host %d: %s", deploy.id, host.id, trouble)
        return trouble

    async def _come_into_force(
        self,
        deploy: StoredDeploy,
        claim: Claim,
        states: Sequence[DeployHost],
        found: Mapping[int, Finding],
    ) -> None:
        async def finish() -> bool:
            now_ms = int(self._clock().timestamp() * 1000)
            async with self._database.writing() as connection:
                # in the order of who starts a deploy: else each waits for the other
                await lock_beginnings(connection)
                await claim.confirm(connection)
                # one transaction: nobody sees a deploy that is over and not in force
                is_ours = await DeployRecords(connection).finish(deploy.id, states, now_ms)
                if is_ours:
                    await ConfigurationRecords(connection).deploy(deploy.configuration, now_ms)
                    await _deploy_hosts(HostRecords(connection), deploy.host_versions, found)
                return is_ours

        if await persist(finish, f"deploy {deploy.id}: coming into force"):
            logger.info("deploy %d is complete", deploy.id)

    async def _report(
        self,
        deploy: StoredDeploy,
        claim: Claim,
        states: Sequence[DeployHost],
        percent: int,
        begun: HostToDeploy | None = None,
    ) -> None:
        async def report() -> None:
            async with self._database.writing() as connection:
                await claim.confirm(connection)
                await DeployRecords(connection).report(deploy.id, states, percent)
                if begun is not None and begun.version is not None:
                    await HostRecords(connection).mark_adding(begun.id)

        await persist(report, f"deploy {deploy.id}: writing its progress")

    async def _find_running(self) -> StoredDeploy | None:
        async with self._database.reading() as connection:
            return await DeployRecords(connection).find_running()


async def _deploy_hosts(
    records: HostRecords,
    hosts: Iterable[HostToDeploy],
    found: Mapping[int, Finding],
) -> None:
    """Put the hosts in force; what was staged of them meanwhile stays staged."""
    for host in hosts:
        stored = await records.find(host.id)
        if stored is None:  # gone before it was ever in force
            continue
        deployed = build_deployed_host(stored, host.version, found.get(host.id))
        is_gone = deployed.status is HostStatus.DELETED
        if is_gone and not await records.has_backups(host.id):
            await records.remove(host.id)
        else:
            await records.write(deployed)


def build_deployed_host(
    stored: StoredHost, version: HostVersion | None, found: Finding | None
) -> StoredHost:
    """Build a host after a deploy of ``version``; None as version: of its deletion. Pure.

    A data host that cannot work is in force and not Active, so that no backup of it begins. The
    console always is: it needs nothing that a backup would not look for itself. What was found
    is told of either.
    """
    if version is None:
        is_back = stored.staged is not None  # staged again while the deploy ran
        status = HostStatus.NEW if is_back else HostStatus.DELETED
        return replace(stored, deployed=None, status=status, reason=None, message=None)
    is_fit = stored.is_console or not isinstance(found, HostNotReadyError)
    return replace(
        stored,
        deployed=version,
        status=HostStatus.ACTIVE if is_fit else HostStatus.ADD_FAILED_CHECK_LOGS,
        reason=found.reason if found is not None else None,
        message=found.message if found is not None else None,
    )


def _outcome(found: Finding | None) -> str:
    if not isinstance(found, HostNotReadyError):
        return "SUCCESS"
    return "TIMED_OUT" if found.reason == TIMED_OUT else "ERROR"


def _at(host: DeployHost, state: str) -> DeployHost:
    return host.model_copy(update={"host_status": state, "status": state})
