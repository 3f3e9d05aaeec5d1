"""GET and POST /staged_config/deploy_status (spec §7, §14 no. 4 and 5)."""

from appliance.server import FakeAppliance
from contract.places import on_the_appliance
from contract.servers import DEPLOY, Conversation

pytestmark = on_the_appliance  # the engine stages nothing yet


async def test_before_any_deploy_all_is_complete(talk: Conversation) -> None:
    status = (await talk.send("GET", DEPLOY)).assert_is(200).json

    assert status["status"] == "COMPLETE"
    assert status["percent_complete"] == 100


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


async def test_nothing_to_deploy_is_409_1004(talk: Conversation) -> None:
    reply = await talk.send("POST", DEPLOY, body={"type": "INCREMENTAL"})

    reply.assert_refused(409, 1004, "No changes to deploy")


async def test_a_full_deploy_needs_no_change(talk: Conversation) -> None:
    reply = await talk.send("POST", DEPLOY, body={"type": "FULL"})

    assert reply.assert_is(200).json["type"] == "FULL"


async def test_without_a_type_it_is_incremental(talk: Conversation, fake: FakeAppliance) -> None:
    fake.stage_change()

    reply = await talk.send("POST", DEPLOY, body={"percent_complete": 3})

    assert reply.assert_is(200).json["type"] == "INCREMENTAL"


async def test_a_deploy_that_runs_is_409_1002(talk: Conversation, fake: FakeAppliance) -> None:
    fake.deploy_seconds = None
    fake.stage_change()
    (await talk.send("POST", DEPLOY, body={})).assert_is(200)

    (await talk.send("POST", DEPLOY, body={"type": "FULL"})).assert_refused(409, 1002)


async def test_an_unknown_type_is_422_1005(talk: Conversation) -> None:
    (await talk.send("POST", DEPLOY, body={"type": "HALF"})).assert_refused(422, 1005)


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
