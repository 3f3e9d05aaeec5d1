"""A backup on demand (spec §9 "On-demand CONFIG backup", "DATA backup of a host")."""

from enum import Enum, auto

from backup_api.backups import RUNNING, BackupRecord, BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient
from backup_api.configurations import BackupConfigurationRecord
from backup_api.errors import CreateBackupErrors, ErrorClass, GetBackupErrors
from backup_api.exceptions import BackupApiError, NotSentError, RefusedError
from backup_api.filters import name_is
from backup_api.hosts import HostRecord, HostStatus
from backup_api.paging import ItemRange
from backup_api.recipes.deploying import deploy
from backup_api.recipes.exceptions import (
    BackupFailedError,
    BackupGoneError,
    NameInUseError,
    NotUsableError,
)
from backup_api.recipes.waiting import Waiting, is_passing


class CreateStep(Enum):
    """What to do after a POST that brought no record."""

    ASK_AGAIN = auto()  # nothing happened, or a job is in the way: wait, then ask again
    DEPLOY = auto()  # staged changes are in the way
    LOOK = auto()  # it may have been acted on: list by name before asking again
    GIVE_UP = auto()


def decide_after_trouble(
    trouble: BackupApiError, *, was_deployed: bool, may_be_ours: bool
) -> CreateStep:
    """Decide what follows a POST that was refused or not answered (spec §2.11, §9).

    ``may_be_ours``: an earlier POST was not answered, so a record that has the name may be its.
    """
    if isinstance(trouble, NotSentError):
        return CreateStep.ASK_AGAIN
    if is_passing(trouble):
        return CreateStep.LOOK
    if isinstance(trouble, RefusedError):
        if trouble.row is CreateBackupErrors.NAME_TAKEN and may_be_ours:
            return CreateStep.LOOK
        if trouble.error_class is ErrorClass.BUSY:
            return CreateStep.ASK_AGAIN
        if trouble.error_class is ErrorClass.DEPLOY and not was_deployed:
            return CreateStep.DEPLOY
    return CreateStep.GIVE_UP


def find_data_obstacle(
    host: HostRecord, deployed: BackupConfigurationRecord
) -> CreateBackupErrors | None:
    """Find why ``host`` can make no DATA backup, as POST would answer it; None: it can."""
    if host.status is not HostStatus.ACTIVE:
        return CreateBackupErrors.HOST_NOT_ACTIVE
    if not host.stores_data:
        return CreateBackupErrors.NO_DATA_ON_HOST
    enabled = {
        entry.host_id
        for entry in deployed.data_backup_host_configuration or ()
        if entry.event_data_backup_enabled or entry.flow_data_backup_enabled
    }
    return None if host.id in enabled else CreateBackupErrors.HOST_NOT_ENABLED


def find_flaw(record: BackupRecord) -> str | None:
    """Say what makes a backup that ended in SUCCESS unfit to be restored; None: nothing."""
    if not record.is_valid:
        return "its archive is not valid"
    if not record.is_version_compatible:
        return "its version cannot be restored on this system"
    return None if record.size_on_disk else "its archive is empty"


async def back_up(
    client: BackupApiClient, body: CreateBackup, backup_type: BackupType, waiting: Waiting
) -> BackupRecord:
    """Make a backup, and return its record once its archive is there and usable.

    Waits while other jobs run, deploys once if staged changes are in the way, and never makes a
    second backup after a lost answer. Raises NameInUseError, BackupFailedError, BackupGoneError,
    NotUsableError, DeployFailedError, NotInTimeError, BackupApiError.
    """
    if await waiting.until("a look at the names", lambda: _list_named(client, body)):
        raise NameInUseError(f'there is a backup with the name "{body.name}"; choose another')
    created = await _create(client, body, backup_type, waiting)
    record = await _until_over(client, created.id, waiting)
    if record.status is RecordStatus.FAILED:
        raise BackupFailedError(f"backup {record.id} ended FAILED; the API tells no reason")
    flaw = find_flaw(record)
    if flaw is not None:
        raise NotUsableError(f"backup {record.id} ended in SUCCESS, but {flaw}")
    return record


async def _create(
    client: BackupApiClient, body: CreateBackup, backup_type: BackupType, waiting: Waiting
) -> BackupRecord:
    is_looking = may_be_ours = was_deployed = False

    async def look() -> BackupRecord | None:
        nonlocal is_looking, may_be_ours, was_deployed
        if is_looking:
            for record in await _list_named(client, body):
                if record.type is backup_type and body.host_id in {None, record.host_id}:
                    return record
            is_looking = False
        try:
            return await client.create_backup(body, backup_type)
        except BackupApiError as trouble:
            step = decide_after_trouble(trouble, was_deployed=was_deployed, may_be_ours=may_be_ours)
            if step is CreateStep.GIVE_UP:
                raise
            if step is CreateStep.LOOK:
                is_looking = may_be_ours = True
        if step is CreateStep.DEPLOY:
            was_deployed = True
            await deploy(client, waiting)
        return None

    return await waiting.until(f'the beginning of backup "{body.name}"', look)


async def _until_over(client: BackupApiClient, backup_id: int, waiting: Waiting) -> BackupRecord:
    async def look() -> BackupRecord | None:
        try:
            record = await client.get_backup(backup_id)
        except RefusedError as refusal:
            if refusal.row is GetBackupErrors.UNKNOWN_BACKUP:
                raise BackupGoneError(f"backup {backup_id} was deleted while it ran") from refusal
            raise
        if record.status in {RecordStatus.SUCCESS, RecordStatus.FAILED}:
            return record
        if record.status in RUNNING or record.status is None:
            return None
        raise BackupGoneError(f"backup {backup_id} is {record.status}: somebody interfered")

    return await waiting.until(f"the end of backup {backup_id}", look)


async def _list_named(client: BackupApiClient, body: CreateBackup) -> tuple[BackupRecord, ...]:
    page = await client.list_backups_page(ItemRange(0, 9), filter_by=name_is(body.name or ""))
    return page.records
