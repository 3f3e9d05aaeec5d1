"""The deploy (spec §9 "Deploy"): 409 has two meanings, and GET tells which."""

from enum import Enum, auto
from typing import Final

from backup_api.client import BackupApiClient
from backup_api.deploy import DeployStatus, DeployType
from backup_api.errors import StartDeployErrors
from backup_api.exceptions import BackupApiError, RefusedError
from backup_api.recipes.exceptions import DeployFailedError
from backup_api.recipes.waiting import Waiting, is_passing

BAD_HOST_STATES: Final = frozenset({"ERROR", "TIMED_OUT"})


class DeployStep(Enum):
    """What to do after a POST that started no deploy."""

    WAIT = auto()  # one is running: wait, then ask again
    ASK_AGAIN = auto()  # it has just ended, so it may not have had our change
    NOTHING_TO_DEPLOY = auto()
    GIVE_UP = auto()


def decide_after_trouble(
    trouble: BackupApiError,
    status: DeployStatus,
    deploy_type: DeployType,
    *,
    was_asked_again: bool,
) -> DeployStep:
    """Decide by what GET says after a POST was refused or its answer was lost.

    409/1002 without a running deploy is believed when it comes twice, for the deploy that was in
    the way may have ended in between. A FULL deploy interrupts event processing (spec §7.0), so
    one that may have run is not started again.
    """
    row = trouble.row if isinstance(trouble, RefusedError) else None
    is_refused = row in {
        StartDeployErrors.BUSY_OR_NOTHING,
        StartDeployErrors.NOTHING_TO_DEPLOY,
        StartDeployErrors.REFUSED,
    }
    if not is_refused and not is_passing(trouble):
        return DeployStep.GIVE_UP
    if not status.is_finished:
        return DeployStep.WAIT
    if row is StartDeployErrors.NOTHING_TO_DEPLOY:
        return DeployStep.NOTHING_TO_DEPLOY
    if row is StartDeployErrors.BUSY_OR_NOTHING:
        return DeployStep.NOTHING_TO_DEPLOY if was_asked_again else DeployStep.ASK_AGAIN
    is_harmless = is_refused or deploy_type is DeployType.INCREMENTAL
    return DeployStep.ASK_AGAIN if is_harmless and not was_asked_again else DeployStep.GIVE_UP


def find_failure(status: DeployStatus) -> str | None:
    """Say what went wrong in a deploy that is over; None: nothing."""
    if status.has_errors or status.error_message:
        return status.error_message or "the server reports errors"
    bad = [
        f"{host.ip} {host.status}"
        for host in status.hosts
        if not BAD_HOST_STATES.isdisjoint({host.status, host.host_status})
    ]
    return ", ".join(bad) or None


async def deploy(
    client: BackupApiClient, waiting: Waiting, deploy_type: DeployType = DeployType.INCREMENTAL
) -> DeployStatus:
    """Put what is staged in force and return the status of the deploy, which is over.

    Having nothing to deploy is success. Raises DeployFailedError, NotInTimeError, BackupApiError.
    """
    was_asked_again = False
    while True:
        try:
            await client.start_deploy(deploy_type)
        except BackupApiError as trouble:
            status = await waiting.until("an answer", client.deploy_status)
            step = decide_after_trouble(
                trouble, status, deploy_type, was_asked_again=was_asked_again
            )
            if step is DeployStep.GIVE_UP:
                raise
            if step is DeployStep.NOTHING_TO_DEPLOY:
                return status
            if step is DeployStep.ASK_AGAIN:
                was_asked_again = True
            else:
                await _wait_for_end(client, waiting)
            continue
        return _checked(await _wait_for_end(client, waiting))


async def _wait_for_end(client: BackupApiClient, waiting: Waiting) -> DeployStatus:
    async def look() -> DeployStatus | None:
        status = await client.deploy_status()
        return status if status.is_finished else None

    return await waiting.until("the end of the deploy", look)


def _checked(status: DeployStatus) -> DeployStatus:
    failure = find_failure(status)
    if failure is not None:
        raise DeployFailedError(f"the deploy ended with trouble: {failure}")
    return status
