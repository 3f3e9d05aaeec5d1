"""Clients for tests: patient about nothing, so that faults show at once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from appliance.server import FakeAppliance
from backup_api.backups import BackupType, CreateBackup
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_api.endpoints import (
    ABOUT,
    CHANGE_BACKUP,
    CREATE_BACKUP,
    DELETE_BACKUP,
    GET_BACKUP,
    GET_DEPLOY,
    LIST_BACKUPS,
    LIST_HOSTS,
    LIST_VERSIONS,
    START_DEPLOY,
    Endpoint,
)
from backup_api.pacing import RetryPolicy
from backup_api.paging import ItemRange

Call = Callable[[BackupApiClient], Awaitable[object]]

NO_REPEATS = RetryPolicy(attempts=1)
QUICK_REPEATS = RetryPolicy(attempts=3, first_delay_s=0.001)

NEW = CreateBackup(name="wanted", configuration_id=1)

CALLS: dict[Endpoint, Call] = {
    LIST_BACKUPS: lambda client: client.list_backups_page(ItemRange(0, 9)),
    CREATE_BACKUP: lambda client: client.create_backup(NEW, BackupType.CONFIG),
    GET_BACKUP: lambda client: client.get_backup(1),
    CHANGE_BACKUP: lambda client: client.change_description(1, "d"),
    DELETE_BACKUP: lambda client: client.delete_backup(1),
    LIST_HOSTS: lambda client: client.list_hosts(),
    GET_DEPLOY: lambda client: client.deploy_status(),
    START_DEPLOY: lambda client: client.start_deploy(),
    ABOUT: lambda client: client.about(),
    LIST_VERSIONS: lambda client: client.list_versions(),
}
"""A call of each endpoint that the client has a method for."""


def options_for(appliance: FakeAppliance, **changes: object) -> ClientOptions:
    """Options to reach the fake, one attempt per request."""
    options = ClientOptions(
        appliance.url,
        SecToken(appliance.token),
        Trust(appliance.ca_pem),
        api_version="26.0",
        retry=NO_REPEATS,
        requests_per_second=10_000.0,
    )
    return replace(options, **changes)  # type: ignore[arg-type]


def client_of(appliance: FakeAppliance, **changes: object) -> BackupApiClient:
    """A client of the fake, not yet entered."""
    return BackupApiClient(options_for(appliance, **changes))
