"""Hosts that cannot be backed up, in a backup and in the configuration (spec §3.2, §5.2)."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from appliance.hosts import NOT_ACTIVE
from contract.servers import (
    BACKUPS,
    HOSTS,
    STAGED_HOSTS,
    STAGED_SCHEDULED,
    ApplianceServer,
    Conversation,
    unique_name,
)
from fixtures.cluster import Cluster, run_kubectl

STAGED_ONE = f"{STAGED_SCHEDULED}/1"


async def seen(talk: Conversation, path: str, hostname: str) -> int | None:
    """Return the id of the host of that name, None if there is none."""
    query = {"filter": f'hostname = "{hostname}" and status != "Deleting"', "fields": "id"}
    found = (await talk.send("GET", path, query=query)).assert_is(200).json
    return found[0]["id"] if found else None


async def staged(talk: Conversation, hostname: str, *, is_there: bool) -> int | None:
    """Wait until the host is staged, or is staged to be gone."""
    async with asyncio.timeout(100):
        while True:
            host_id = await seen(talk, STAGED_HOSTS, hostname)
            if (host_id is not None) is is_there:
                return host_id
            await asyncio.sleep(0.05)


@pytest.fixture
async def inactive_id(talk: Conversation, request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """A deployed host that is not Active; on the engine one of volumes, made for the test."""
    if isinstance(talk.server, ApplianceServer):
        yield NOT_ACTIVE
        return
    cluster: Cluster = request.getfixturevalue("sandbox")
    name = unique_name()
    manifest = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupHost",
        "metadata": {"name": name},
        "spec": {
            "type": "Data",
            "engineRef": {"name": "in-cluster"},
            "volumes": [{"namespace": "default", "selector": {}}],
        },
    }
    create = ("create", "--filename=-")
    await asyncio.to_thread(run_kubectl, cluster, *create, stdin=json.dumps(manifest))
    host_id = await staged(talk, name, is_there=True)
    assert host_id is not None
    (await talk.create()).assert_refused(409, 1011)
    assert await seen(talk, HOSTS, name) is None
    await talk.deploy()
    yield host_id
    await asyncio.to_thread(run_kubectl, cluster, "delete", "backuphost", name)
    await staged(talk, name, is_there=False)
    await talk.deploy()
    assert await seen(talk, HOSTS, name) is None


@pytest.mark.parametrize("backup_type", [pytest.param("DATA", id="422_1010"), "CONFIG"])
async def test_a_host_that_is_not_active_has_no_backup(
    talk: Conversation, inactive_id: int, backup_type: str
) -> None:
    body = {"name": unique_name(), "configuration_id": 1, "host_id": inactive_id}

    reply = await talk.send("POST", BACKUPS, headers={"backup_type": backup_type}, body=body)

    reply.assert_refused(422, 1010)


@pytest.mark.parametrize("code", [pytest.param(1009, id="422_1009")])
async def test_a_host_that_is_not_active_is_not_configured(
    talk: Conversation, inactive_id: int, code: int
) -> None:
    entry = {"host_id": inactive_id, "event_data_backup_enabled": True}

    reply = await talk.send("POST", STAGED_ONE, body={"data_backup_host_configuration": [entry]})

    reply.assert_refused(422, code)


@pytest.mark.parametrize("code", [pytest.param(1010, id="422_1010")])
async def test_a_host_without_data_is_not_configured(talk: Conversation, code: int) -> None:
    entry = {"host_id": talk.server.no_data_host_id, "event_data_backup_enabled": True}

    reply = await talk.send("POST", STAGED_ONE, body={"data_backup_host_configuration": [entry]})

    reply.assert_refused(422, code)
