"""Each method against a server in good health (spec §3, §6 to §8)."""

import json
from contextlib import suppress

import pytest

from api.clients import CALLS, NEW, client_of
from appliance.server import FakeAppliance
from backup_api.backups import BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient
from backup_api.credentials import BasicCredentials, BearerToken
from backup_api.deploy import DeployType
from backup_api.endpoints import DELETE_RESTORE, ENDPOINTS, NEVER_CALLED
from backup_api.exceptions import RefusedError


async def test_a_backup_is_asked_for_watched_changed_and_deleted(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    created = await client.create_backup(NEW, BackupType.CONFIG)
    assert created.status is RecordStatus.INITIALIZING
    assert (await client.get_backup(created.id)).status is RecordStatus.IN_PROGRESS

    appliance.finish_all()

    done = await client.get_backup(created.id)
    assert (done.status, done.is_valid) == (RecordStatus.SUCCESS, True)
    assert (await client.change_description(created.id, "why")).description == "why"
    assert (await client.delete_backup(created.id)).status is RecordStatus.DELETING
    with pytest.raises(RefusedError) as refusal:
        await client.get_backup(created.id)
    assert (refusal.value.http_status, refusal.value.code) == (404, 1001)


async def test_the_type_travels_in_a_header_and_absent_members_do_not_travel(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    wanted = CreateBackup(name="weekly", configuration_id=1, host_id=103)

    record = await client.create_backup(wanted, BackupType.DATA)

    [seen] = appliance.requests
    assert seen.backup_type == "DATA"
    assert seen.body is not None
    assert json.loads(seen.body) == {"name": "weekly", "configuration_id": 1, "host_id": 103}
    assert record.type is BackupType.DATA


async def test_every_request_names_the_version_and_what_it_accepts(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    for call in CALLS.values():
        with suppress(RefusedError):  # there is nothing to act on
            await call(client)

    assert len(appliance.requests) == len(CALLS)
    for endpoint, seen in zip(CALLS, appliance.requests, strict=True):
        assert seen.headers["Version"] == "26.0"
        expected = "*/*" if endpoint is DELETE_RESTORE else "application/json"  # spec §2.4
        assert seen.headers["Accept"] == expected


def test_every_endpoint_has_a_method_but_those_that_are_never_called() -> None:
    assert set(ENDPOINTS) - set(CALLS) == NEVER_CALLED


async def test_without_a_version_no_header_is_sent(appliance: FakeAppliance) -> None:
    async with client_of(appliance, api_version=None) as client:
        await client.about()

    assert "Version" not in appliance.requests[0].headers


async def test_a_staged_change_is_deployed(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    appliance.deploy_seconds = None
    appliance.stage_change()

    started = await client.start_deploy(DeployType.INCREMENTAL)

    assert not started.is_finished
    appliance.finish_deploy()
    assert (await client.deploy_status()).is_finished


async def test_hosts_tell_the_console(client: BackupApiClient) -> None:
    hosts = await client.list_hosts()

    assert [host.id for host in hosts if host.is_console] == [53]


async def test_a_user_logs_in_with_a_password(appliance: FakeAppliance) -> None:
    callers = appliance.callers
    credentials = BasicCredentials(callers.username, callers.password)

    async with client_of(appliance, credentials=credentials) as client:
        about = await client.about()
        assert about.external_version == "7.5.0"
        assert await client.about() == about


async def test_a_bearer_token_is_asked_for_before_each_request(appliance: FakeAppliance) -> None:
    asked = 0

    async def current() -> str:
        nonlocal asked
        asked += 1
        return f"token-{asked}"

    async with client_of(appliance, credentials=BearerToken(current)) as client:
        for _ in range(2):
            with pytest.raises(RefusedError):  # the appliance knows no such tokens
                await client.about()

    assert asked == 2
