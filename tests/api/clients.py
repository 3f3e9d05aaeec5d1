"""Clients for tests: patient about nothing, so that faults show at once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from appliance.server import FakeAppliance
from backup_api import endpoints
from backup_api.backups import BackupType, CreateBackup
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.configurations import ChangeConfiguration
from backup_api.credentials import SecToken, Trust
from backup_api.endpoints import Endpoint
from backup_api.hosts import ChangeAllocation
from backup_api.pacing import RetryPolicy
from backup_api.paging import ItemRange
from backup_api.restores import CreateRestore

Call = Callable[[BackupApiClient], Awaitable[object]]

NO_REPEATS = RetryPolicy(attempts=1)
QUICK_REPEATS = RetryPolicy(attempts=3, first_delay_s=0.001)

NEW = CreateBackup(name="wanted", configuration_id=1)

FIRST = ItemRange(0, 9)
RESTORE = CreateRestore(backup_id=1, groups=("CUSTOM_RULES_CONFIG",))
ALLOCATION = ChangeAllocation(eps_allocation=5500)
CHANGE = ChangeConfiguration(backup_retention_period=86_400_000)

CALLS: dict[Endpoint, Call] = {
    endpoints.LIST_BACKUPS: lambda client: client.list_backups_page(FIRST),
    endpoints.CREATE_BACKUP: lambda client: client.create_backup(NEW, BackupType.CONFIG),
    endpoints.GET_BACKUP: lambda client: client.get_backup(1),
    endpoints.CHANGE_BACKUP: lambda client: client.change_description(1, "d"),
    endpoints.DELETE_BACKUP: lambda client: client.delete_backup(1),
    endpoints.LIST_RESTORES: lambda client: client.list_restores_page(FIRST),
    endpoints.CREATE_RESTORE: lambda client: client.create_restore(RESTORE),
    endpoints.GET_RESTORE: lambda client: client.get_restore(1),
    endpoints.LAUNCH_RESTORE: lambda client: client.launch_restore(1),
    endpoints.DELETE_RESTORE: lambda client: client.delete_restore(1),
    endpoints.LIST_CONFIGURATIONS: lambda client: client.list_configurations(),
    endpoints.GET_CONFIGURATION: lambda client: client.get_configuration(),
    endpoints.LIST_STAGED_CONFIGURATIONS: lambda client: client.list_staged_configurations(),
    endpoints.GET_STAGED_CONFIGURATION: lambda client: client.get_staged_configuration(),
    endpoints.CHANGE_CONFIGURATION: lambda client: client.change_configuration(CHANGE),
    endpoints.LIST_HOSTS: lambda client: client.list_hosts(),
    endpoints.GET_HOST: lambda client: client.get_host(53),
    endpoints.CHANGE_ALLOCATION: lambda client: client.change_allocation(53, ALLOCATION),
    endpoints.LIST_STAGED_HOSTS: lambda client: client.list_staged_hosts(),
    endpoints.GET_STAGED_HOST: lambda client: client.get_staged_host(53),
    endpoints.LIST_TUNNELS: lambda client: client.list_tunnels(103),
    endpoints.LIST_STAGED_TUNNELS: lambda client: client.list_staged_tunnels(103),
    endpoints.CHANGE_TUNNEL: lambda client: client.change_tunnel(103, "ec1-ep1", True),
    endpoints.GET_DEPLOY: lambda client: client.deploy_status(),
    endpoints.START_DEPLOY: lambda client: client.start_deploy(),
    endpoints.ABOUT: lambda client: client.about(),
    endpoints.LIST_SERVERS: lambda client: client.list_servers(),
    endpoints.GET_SERVER: lambda client: client.get_server(53),
    endpoints.LIST_ENDPOINT_DESCRIPTIONS: (
        lambda client: client.list_endpoint_descriptions_page(FIRST)
    ),
    endpoints.GET_ENDPOINT_DESCRIPTION: lambda client: client.get_endpoint_description(1),
    endpoints.LIST_RESOURCE_DESCRIPTIONS: (
        lambda client: client.list_resource_descriptions_page(FIRST)
    ),
    endpoints.GET_RESOURCE_DESCRIPTION: lambda client: client.get_resource_description(1),
    endpoints.LIST_VERSIONS: lambda client: client.list_versions(),
    endpoints.GET_VERSION: lambda client: client.get_version(1),
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
