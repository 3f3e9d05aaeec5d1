"""GET and POST /staged_config/deploy_status (spec §7, §14 no. 4 and 5)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from appliance.hosts import DATA_HOST
from appliance.server import FakeAppliance
from backup_api import endpoints
from contract.places import ENGINE, on_the_appliance, where_served
from contract.servers import DEPLOY, STAGED_SCHEDULED, Conversation

STAGED_ONE = f"{STAGED_SCHEDULED}/1"

on_deploys = where_served(
    endpoints.GET_DEPLOY, endpoints.START_DEPLOY, endpoints.CHANGE_CONFIGURATION
)


@pytest.fixture
async def staged(talk: Conversation) -> AsyncIterator[None]:
    """A change that waits for a deploy; all is deployed again after the test."""
    before = (await talk.send("GET", STAGED_ONE)).assert_is(200).json
    is_enabled = before["configuration_backup_enabled"]
    change = {"configuration_backup_enabled": not is_enabled}
    (await talk.send("POST", STAGED_ONE, body=change)).assert_is(200)
    yield
    (await talk.send("POST", STAGED_ONE, body=before)).assert_is(200)
    await talk.deploy("FULL")


@pytest.mark.usefixtures("staged")
@on_deploys
async def test_a_deploy_shows_its_hosts_and_ends(talk: Conversation) -> None:
    hosts = (await talk.send("GET", "/config/deployment/hosts")).json

    status = await talk.deploy()

    assert status["percent_complete"] == 100
    # the engine's hosts have no address, so their name stands there
    names = {host["private_ip"] or host["hostname"] for host in hosts}
    assert {row["ip"] for row in status["hosts"]} <= names
    for row in status["hosts"]:
        assert set(row) == {"ip", "host_status", "status"}
        assert {row["host_status"], row["status"]} == {"SUCCESS"}
    (await talk.send("POST", DEPLOY, body={})).assert_refused(409, 1004)


@pytest.mark.parametrize("server", [ENGINE], indirect=True)
async def test_of_many_deploys_one_runs_at_a_time_409_1002(talk: Conversation) -> None:
    full = {"type": "FULL"}

    replies = await asyncio.gather(*(talk.send("POST", DEPLOY, body=full) for _ in range(8)))

    refused = [reply for reply in replies if reply.status != 200]
    assert 0 < len(refused) < len(replies)
    for reply in refused:
        reply.assert_refused(409, 1002)
    await talk.deployed()


@on_the_appliance
async def test_hosts_are_deployed_one_after_the_other(
    talk: Conversation, fake: FakeAppliance
) -> None:
    fake.clock.freeze()
    fake.deploy_seconds = 100.0
    fake.state.hosts_that_fail_to_deploy = {DATA_HOST}
    (await talk.send("POST", DEPLOY, body={"type": "FULL"})).assert_is(200)

    seen = []
    for _ in range(4):
        status = (await talk.send("GET", DEPLOY)).json
        states = [row["status"] for row in status["hosts"]]
        seen.append((status["status"], status["percent_complete"], states))
        fake.clock.advance(40.0)

    assert seen == [
        ("IN_PROGRESS", 0, ["IN_PROGRESS", "INITIATING", "INITIATING"]),
        ("IN_PROGRESS", 40, ["SUCCESS", "IN_PROGRESS", "INITIATING"]),
        ("IN_PROGRESS", 80, ["SUCCESS", "ERROR", "IN_PROGRESS"]),
        ("COMPLETE", 100, ["SUCCESS", "ERROR", "SUCCESS"]),
    ]


@on_the_appliance
async def test_before_any_deploy_all_is_complete(talk: Conversation) -> None:
    status = (await talk.send("GET", DEPLOY)).assert_is(200).json

    assert status["status"] == "COMPLETE"
    assert status["percent_complete"] == 100


@on_the_appliance
async def test_a_deploy_is_scheduled_and_ends(talk: Conversation, fake: FakeAppliance) -> None:
    fake.deploy_seconds = None
    fake.stage_change()

    started = (await talk.send("POST", DEPLOY, body={"type": "INCREMENTAL"})).assert_is(200).json

    assert set(started) == {
        "type",
        "status",
        "percent_complete",
        "initiated_by",
        "initiated_from",
        "hosts",
    }
    assert started["status"] in {"INITIALIZING", "IN_PROGRESS"}
    assert started["percent_complete"] < 100
    fake.finish_deploy()
    ended = (await talk.send("GET", DEPLOY)).json
    assert (ended["type"], ended["status"]) == ("INCREMENTAL", "COMPLETE")


@on_deploys
async def test_nothing_to_deploy_is_409_1004(talk: Conversation) -> None:
    reply = await talk.send("POST", DEPLOY, body={"type": "INCREMENTAL"})

    reply.assert_refused(409, 1004, "No changes to deploy")


@on_deploys
async def test_a_full_deploy_needs_no_change(talk: Conversation) -> None:
    reply = await talk.send("POST", DEPLOY, body={"type": "FULL"})

    assert reply.assert_is(200).json["type"] == "FULL"
    await talk.deployed()


@on_deploys
@pytest.mark.usefixtures("staged")
async def test_without_a_type_it_is_incremental(talk: Conversation) -> None:
    reply = await talk.send("POST", DEPLOY, body={"percent_complete": 3})

    assert reply.assert_is(200).json["type"] == "INCREMENTAL"
    await talk.deployed()


@on_the_appliance
async def test_a_deploy_that_runs_is_409_1002(talk: Conversation, fake: FakeAppliance) -> None:
    fake.deploy_seconds = None
    fake.stage_change()
    (await talk.send("POST", DEPLOY, body={})).assert_is(200)

    (await talk.send("POST", DEPLOY, body={"type": "FULL"})).assert_refused(409, 1002)


@on_deploys
async def test_an_unknown_type_is_422_1005(talk: Conversation) -> None:
    (await talk.send("POST", DEPLOY, body={"type": "HALF"})).assert_refused(422, 1005)


@on_the_appliance
async def test_a_change_staged_meanwhile_belongs_to_the_next_deploy(
    talk: Conversation, fake: FakeAppliance
) -> None:
    fake.deploy_seconds = None
    fake.stage_change()
    (await talk.send("POST", DEPLOY, body={})).assert_is(200)
    fake.stage_change()
    fake.finish_deploy()

    (await talk.create()).assert_refused(409, 1011)
    (await talk.send("POST", DEPLOY, body={})).assert_is(200)
    fake.finish_deploy()
    (await talk.create()).assert_is(201)
