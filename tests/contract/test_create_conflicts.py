"""POST /backup_and_restore/backups: hosts, names and states in the way (spec §3.2, §14)."""

import asyncio
import itertools

import pytest

from appliance.server import FakeAppliance
from backup_api import endpoints
from contract.places import on_the_appliance, where_served
from contract.servers import BACKUPS, STAGED_SCHEDULED, Conversation, unique_name

MEMBERS = {
    "id",
    "configuration_id",
    "host_id",
    "name",
    "description",
    "type",
    "version",
    "build_version",
    "time_initiated",
    "time_completed",
    "intiated_by",
    "status",
    "size_on_disk",
    "content_file_path",
    "is_valid",
    "is_version_compatible",
}
DATA_HOST, NOT_ACTIVE = 103, 104


async def test_a_taken_name_is_409_1005(talk: Conversation) -> None:
    name = unique_name()
    await talk.created(name)

    (await talk.create(name)).assert_refused(409, 1005)


async def test_names_differ_by_case(talk: Conversation) -> None:
    name = unique_name()
    await talk.created(name)

    (await talk.create(name.upper())).assert_is(201)
    await talk.server.settle()


async def test_a_taken_name_counts_before_a_busy_host(talk: Conversation) -> None:
    name = unique_name()
    (await talk.create(name)).assert_is(201)

    (await talk.create(name)).assert_refused(409, 1005)
    await talk.server.settle()


async def test_a_name_is_free_again_once_its_backup_is_gone(talk: Conversation) -> None:
    name = unique_name()
    record = await talk.created(name)
    (await talk.delete(record["id"])).assert_is(202)
    await talk.gone(record["id"])

    assert (await talk.created(name))["id"] != record["id"]


async def test_nightly_may_stand_once_on_demand(talk: Conversation) -> None:
    for record in (await talk.list({"filter": "name = nightly"})).json:
        await talk.delete(record["id"])
        await talk.gone(record["id"])
    await talk.created("nightly")

    (await talk.create("nightly")).assert_refused(409, 1005)


@on_the_appliance
async def test_a_scheduled_nightly_never_collides(talk: Conversation, fake: FakeAppliance) -> None:
    fake.add_backup("nightly", is_scheduled=True)
    fake.add_backup("nightly", is_scheduled=True)

    (await talk.create("nightly")).assert_is(201)


async def test_of_many_posts_with_one_name_exactly_one_wins(talk: Conversation) -> None:
    name = unique_name()

    replies = await asyncio.gather(*(talk.create(name) for _ in range(8)))
    await talk.server.settle()

    codes = sorted(reply.json.get("code", 0) for reply in replies)
    assert codes == [0] + [1005] * 7
    assert len((await talk.list({"filter": f'name = "{name}"'})).json) == 1


async def test_one_backup_at_a_time_runs_on_a_host_409_1015(talk: Conversation) -> None:
    replies = await asyncio.gather(*(talk.create() for _ in range(12)))
    accepted = [reply.json["id"] for reply in replies if reply.status == 201]
    refused = [reply for reply in replies if reply.status != 201]
    await talk.server.settle()

    assert accepted
    assert refused
    for reply in refused:
        reply.assert_refused(409, 1015)
    text = ",".join(map(str, accepted))
    done = (await talk.list({"filter": f"id in ({text})", "sort": "+time_initiated,+id"})).json
    for earlier, later in itertools.pairwise(done):
        assert earlier["time_completed"] <= later["time_initiated"]


@on_the_appliance
async def test_a_running_backup_makes_its_host_busy_409_1015(talk: Conversation) -> None:
    (await talk.create()).assert_is(201)

    (await talk.create()).assert_refused(409, 1015)
    await talk.server.settle()
    (await talk.create()).assert_is(201)


@on_the_appliance
async def test_backups_of_different_hosts_run_side_by_side(talk: Conversation) -> None:
    (await talk.create()).assert_is(201)
    body = {"name": unique_name(), "configuration_id": 1, "host_id": DATA_HOST}

    reply = await talk.send("POST", BACKUPS, headers={"backup_type": "DATA"}, body=body)

    assert reply.assert_is(201).json.get("app_deployment_location", "NA") == "NA"


@on_the_appliance
@pytest.mark.parametrize(
    ("backup_type", "host_id", "code"),
    [
        pytest.param("CONFIG", NOT_ACTIVE, 1010, id="422_1010-config"),
        pytest.param("DATA", NOT_ACTIVE, 1010, id="422_1010-data"),
        pytest.param("CONFIG", DATA_HOST, 1012, id="422_1012-not_the_console"),
        pytest.param("DATA", 53, 1014, id="422_1014-not_enabled"),
    ],
)
async def test_an_unfit_host_is_refused(
    talk: Conversation, backup_type: str, host_id: int, code: int
) -> None:
    body = {"name": unique_name(), "configuration_id": 1, "host_id": host_id}

    reply = await talk.send("POST", BACKUPS, headers={"backup_type": backup_type}, body=body)

    reply.assert_refused(422, code)


async def test_a_host_without_data_has_no_data_backup_422_1013(talk: Conversation) -> None:
    host_id = talk.server.no_data_host_id
    body = {"name": unique_name(), "configuration_id": 1, "host_id": host_id}

    reply = await talk.send("POST", BACKUPS, headers={"backup_type": "DATA"}, body=body)

    reply.assert_refused(422, 1013)


@on_the_appliance
async def test_a_restore_blocks_every_host_409_1016(
    talk: Conversation, fake: FakeAppliance
) -> None:
    (await talk.create("runs")).assert_is(201)
    fake.stage_change()
    fake.start_restore()

    (await talk.create()).assert_refused(409, 1016)  # counts before 1015 and 1011
    fake.end_restore()
    (await talk.create()).assert_refused(409, 1015)


@on_the_appliance
async def test_a_staged_change_has_to_be_deployed_409_1011(
    talk: Conversation, fake: FakeAppliance
) -> None:
    fake.deploy_seconds = None
    fake.stage_change()
    (await talk.create()).assert_refused(409, 1011)
    await talk.send("POST", "/staged_config/deploy_status", body={"type": "INCREMENTAL"})
    (await talk.create()).assert_refused(409, 1011)

    fake.finish_deploy()

    (await talk.create()).assert_is(201)


@where_served(endpoints.CHANGE_CONFIGURATION, endpoints.START_DEPLOY)
async def test_a_change_of_the_settings_has_to_be_deployed_409_1011(talk: Conversation) -> None:
    path = f"{STAGED_SCHEDULED}/1"
    before = (await talk.send("GET", path)).assert_is(200).json
    change = {"configuration_backup_enabled": not before["configuration_backup_enabled"]}
    (await talk.send("POST", path, body=change)).assert_is(200)

    reply = await talk.create()

    (await talk.send("POST", path, body=before)).assert_is(200)
    reply.assert_refused(409, 1011)
    (await talk.create()).assert_is(201)
    await talk.server.settle()


async def test_a_record_is_visible_before_its_201(talk: Conversation) -> None:
    record = (await talk.create()).assert_is(201).json

    (await talk.get(record["id"])).assert_is(200)
    await talk.server.settle()
