"""Calls of restores, settings, hosts and descriptions against a server in good health."""

import json

import pytest
from pydantic import ValidationError

from appliance.server import FakeAppliance
from backup_api.about import ApiVersion
from backup_api.client import BackupApiClient
from backup_api.configurations import (
    BackupConfigurationRecord,
    BackupPriority,
    ChangeConfiguration,
    ChangeDataBackupHost,
)
from backup_api.documentation import EndpointDescription, ResourceDescription
from backup_api.endpoints import CHANGE_TUNNEL
from backup_api.exceptions import RefusedError
from backup_api.hosts import ChangeAllocation
from backup_api.restores import CreateRestore, LaunchRestore, RestoreRecord, RestoreStatus
from backup_api.servers import ServerRecord
from backup_api.tunnels import TunnelRecord
from backup_api.wire import WireRecord, WireRequest


async def test_a_restore_goes_in_two_steps(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    wanted = CreateRestore(backup_id=appliance.add_backup("good"), groups=("LICENSE_CONFIG",))

    created = await client.create_restore(wanted)
    launched = await client.launch_restore(created.id)

    assert created.status is RestoreStatus.PENDING
    assert launched.status is RestoreStatus.REQUESTING
    assert (await client.get_restore(created.id)).status is RestoreStatus.IN_PROGRESS
    appliance.finish_restore(created.id)
    assert (await client.get_restore(created.id)).status is RestoreStatus.SUCCESS


async def test_a_dropped_restore_leaves_no_record(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    restore_id = appliance.add_restore()

    await client.delete_restore(restore_id)

    with pytest.raises(RefusedError) as refusal:
        await client.delete_restore(restore_id)  # the refusal is JSON though the answer is not
    assert (refusal.value.http_status, refusal.value.code) == (404, 1001)


async def test_restores_are_walked_page_by_page(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    ids = [appliance.add_restore(status="FAILED") for _ in range(7)]

    found = [one.id async for one in client.list_restores(page_length=3)]

    assert found == ids
    assert appliance.count("GET /restores") == 3


async def test_descriptions_are_walked_page_by_page(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    paths = [one.path async for one in client.list_endpoint_descriptions(page_length=10)]
    resources = [one.path async for one in client.list_resource_descriptions(page_length=10)]

    assert len(paths) == 36
    assert set(paths) <= set(resources)
    assert appliance.count("GET /help/endpoints") == 4


async def test_access_is_asked_for(client: BackupApiClient) -> None:
    wanted = 'path = "/backup_and_restore/restores" and http_method = "POST"'

    [found] = [one async for one in client.list_endpoint_descriptions(filter_by=wanted)]

    assert found.caller_has_access is True
    assert (await client.get_endpoint_description(found.id)) == found
    assert found.resource_id is not None
    resource = await client.get_resource_description(found.resource_id)
    assert found.id in resource.endpoint_ids


async def test_staged_settings_differ_until_they_are_deployed(client: BackupApiClient) -> None:
    rows = (ChangeDataBackupHost(host_id=53, flow_data_backup_enabled=True),)
    change = ChangeConfiguration(data_backup_host_configuration=rows, data_backup_priority="HIGH")

    staged = await client.change_configuration(change)

    assert staged.data_backup_priority is BackupPriority.HIGH
    assert await client.list_staged_configurations() == (staged,)
    assert await client.get_configuration() != staged
    await client.start_deploy()
    assert await client.list_configurations() == (staged,)


async def test_an_allocation_is_in_force_at_once(client: BackupApiClient) -> None:
    changed = await client.change_allocation(53, ChangeAllocation(eps_allocation=5500))

    assert changed.eps_allocation == 5500
    assert await client.get_host(53) == changed == await client.get_staged_host(53)
    assert [host.id for host in await client.list_staged_hosts() if host.stores_data] == [
        53,
        103,
        104,
    ]


async def test_lists_of_hosts_take_a_filter(client: BackupApiClient) -> None:
    [host] = await client.list_hosts(filter_by="id = 103")
    [server] = await client.list_servers(filter_by=f"server_id = {host.primary_server_id}")

    assert server.managed_host_id == 103
    assert (await client.get_server(server.server_id)).email_server_address == "localhost"


async def test_a_tunnel_is_changed(client: BackupApiClient) -> None:
    changed = await client.change_tunnel(103, "ec1-ep1", reverse_source=True)

    assert changed in await client.list_staged_tunnels(103)
    assert changed not in await client.list_tunnels(103)


def test_what_stands_in_a_path_cannot_leave_its_place() -> None:
    path = CHANGE_TUNNEL.url_path(id=1, name="../../x?y#z")

    assert path == "/api/staged_config/deployment/hosts/1/tunnels/..%2F..%2Fx%3Fy%23z"


RECORDS: list[tuple[type[WireRecord], str]] = [
    (RestoreRecord, "id"),
    (BackupConfigurationRecord, "configuration_id"),
    (ServerRecord, "server_id"),
    (EndpointDescription, "id"),
    (ResourceDescription, "id"),
]


@pytest.mark.parametrize(("model", "identity"), RECORDS)
def test_everything_but_the_identity_may_be_null(model: type[WireRecord], identity: str) -> None:
    nulls = {name: None for name in model.model_fields if name != identity}

    read = model.model_validate_json(json.dumps({identity: 1, **nulls, "new": {}}))

    assert read == model.model_validate({identity: 1})


def test_words_of_newer_servers_make_nothing_unreadable() -> None:
    restore = RestoreRecord.model_validate(
        {"id": 1, "status": "PAUSED", "backup_type": "BOTH", "groups": ["DOMAINS"]}
    )
    settings = BackupConfigurationRecord.model_validate(
        {"configuration_id": 1, "data_backup_priority": "URGENT"}
    )

    assert (restore.status, restore.backup_type, restore.groups) == (None, None, ("DOMAINS",))
    assert settings.data_backup_priority is None


def test_a_tunnel_is_read_in_both_spellings() -> None:
    assert TunnelRecord.model_validate({"name": "t", "remote_hostID": 5}).remote_host_id == 5
    assert TunnelRecord.model_validate({"name": "t", "remote_host_id": 6}).remote_host_id == 6


def test_a_version_with_nulls_counts_as_live() -> None:
    read = ApiVersion.model_validate(
        {"id": 1, "version": "26.0", "deprecated": None, "root_resource_ids": None}
    )

    assert (read.deprecated, read.removed, read.root_resource_ids) == (False, False, ())


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (CreateRestore, {"backup_id": "1"}),
        (CreateRestore, {"groups": "USERS_CONFIG"}),
        (LaunchRestore, {"status": 1}),
        (ChangeConfiguration, {"backup_retention_period": 1.5}),
        (ChangeConfiguration, {"configuration_backup_enabled": "true"}),
        (ChangeAllocation, {"eps_allocation": True}),
    ],
)
def test_requests_convert_nothing(model: type[WireRequest], body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps(body))
