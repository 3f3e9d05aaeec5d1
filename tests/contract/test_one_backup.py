"""GET, POST and DELETE of one backup (spec §3.3 to §3.5)."""

import asyncio

import pytest

from appliance.server import FakeAppliance
from contract.places import on_the_appliance
from contract.servers import BACKUPS, Conversation

NO_IDS = ["999999", "0", "-1", "abc", "1.5", str(2**63), str(10**40), "1x", "%20"]


@pytest.mark.parametrize("text", NO_IDS)
async def test_get_of_an_unknown_backup_is_404_1001(talk: Conversation, text: str) -> None:
    (await talk.get(text)).assert_refused(404, 1001)


@pytest.mark.parametrize("text", NO_IDS)
async def test_change_of_an_unknown_backup_is_404_1001(talk: Conversation, text: str) -> None:
    reply = await talk.send("POST", f"{BACKUPS}/{text}", body={"description": "d"})

    reply.assert_refused(404, 1001)


@pytest.mark.parametrize("text", NO_IDS)
async def test_delete_of_an_unknown_backup_is_404_1001(talk: Conversation, text: str) -> None:
    (await talk.delete(text)).assert_refused(404, 1001)


async def test_get_and_list_tell_the_same(talk: Conversation) -> None:
    record = await talk.created()

    listed = (await talk.list({"filter": f"id = {record['id']}"})).assert_is(200).json

    optional = {"app_deployment_location"}  # spec §13 no. 32
    assert [
        {name: value for name, value in one.items() if name not in optional} for one in listed
    ] == [{name: value for name, value in record.items() if name not in optional}]


async def test_head_is_a_get_without_the_body(talk: Conversation) -> None:
    record = await talk.created()

    reply = await talk.send("HEAD", f"{BACKUPS}/{record['id']}")

    assert reply.status == 200
    assert reply.content == b""
    assert (await talk.send("HEAD", f"{BACKUPS}/999999")).status == 404


async def test_the_description_changes_and_nothing_else(talk: Conversation) -> None:
    record = await talk.created(description="before")
    body = {"description": "after", "name": "other", "status": "FAILED", "nonsense": 1}

    reply = await talk.send("POST", f"{BACKUPS}/{record['id']}", body=body)

    assert reply.assert_is(200).json == {**record, "description": "after"}
    assert (await talk.get(record["id"])).json["description"] == "after"


async def test_a_description_of_255_characters_fits(talk: Conversation) -> None:
    record = await talk.created()

    reply = await talk.send("POST", f"{BACKUPS}/{record['id']}", body={"description": "é" * 255})

    assert reply.assert_is(200).json["description"] == "é" * 255


async def test_a_longer_description_is_422_1008(talk: Conversation) -> None:
    record = await talk.created(description="kept")

    reply = await talk.send("POST", f"{BACKUPS}/{record['id']}", body={"description": "d" * 256})

    reply.assert_refused(422, 1008)
    assert (await talk.get(record["id"])).json["description"] == "kept"


async def test_an_unknown_backup_counts_before_a_long_description(talk: Conversation) -> None:
    reply = await talk.send("POST", f"{BACKUPS}/999999", body={"description": "d" * 256})

    reply.assert_refused(404, 1001)


async def test_an_unreadable_body_counts_before_an_unknown_backup(talk: Conversation) -> None:
    reply = await talk.send("POST", f"{BACKUPS}/999999", body={"description": 5})

    reply.assert_refused(422, 11)


@pytest.mark.parametrize("body", [{}, {"description": None}, {"name": "other"}])
async def test_without_a_description_nothing_changes(
    talk: Conversation, body: dict[str, object]
) -> None:
    record = await talk.created(description="kept")

    reply = await talk.send("POST", f"{BACKUPS}/{record['id']}", body=body)

    assert reply.assert_is(200).json["description"] == "kept"


async def test_fields_of_a_change_are_in_a_header(talk: Conversation) -> None:
    record = await talk.created()
    path = f"{BACKUPS}/{record['id']}"

    reply = await talk.send("POST", path, headers={"fields": "id"}, body={"description": "d"})

    assert reply.assert_is(200).json == {"id": record["id"]}


async def test_a_finished_backup_is_deleted(talk: Conversation) -> None:
    record = await talk.created()

    reply = (await talk.delete(record["id"])).assert_is(202)

    assert reply.json["id"] == record["id"]
    assert reply.json["status"] == "DELETING"
    await talk.gone(record["id"])
    (await talk.delete(record["id"])).assert_refused(404, 1001)


async def test_fields_of_a_deletion_are_in_the_query(talk: Conversation) -> None:
    record = await talk.created()

    reply = await talk.send("DELETE", f"{BACKUPS}/{record['id']}", query="fields=status")

    assert reply.assert_is(202).json == {"status": "DELETING"}
    await talk.gone(record["id"])


async def test_a_backup_that_runs_is_cancelled_and_goes(talk: Conversation) -> None:
    record = (await talk.create()).assert_is(201).json

    reply = (await talk.delete(record["id"])).assert_is(202)

    assert reply.json["status"] in {"CANCELLING", "DELETING"}  # it may have ended meanwhile
    await talk.gone(record["id"])
    (await talk.create(record["name"])).assert_is(201)  # the host is free and so is the name
    await talk.server.settle()


@on_the_appliance
@pytest.mark.parametrize("status", ["INITIALIZING", "IN_PROGRESS"])
async def test_cancelling_shows(talk: Conversation, fake: FakeAppliance, status: str) -> None:
    fake.initializing_seconds = None
    backup_id = fake.add_backup("runs", status=status)

    assert (await talk.delete(backup_id)).assert_is(202).json["status"] == "CANCELLING"


@on_the_appliance
@pytest.mark.parametrize("status", ["SUCCESS", "FAILED", "MISSING"])
async def test_deleting_shows(talk: Conversation, fake: FakeAppliance, status: str) -> None:
    backup_id = fake.add_backup("over", status=status)

    assert (await talk.delete(backup_id)).assert_is(202).json["status"] == "DELETING"


@on_the_appliance
@pytest.mark.parametrize("status", ["SUCCESS", "IN_PROGRESS"])
async def test_a_second_delete_is_422_1017(
    talk: Conversation, fake: FakeAppliance, status: str
) -> None:
    fake.deletion_seconds = None
    backup_id = fake.add_backup("leaves", status=status)
    (await talk.delete(backup_id)).assert_is(202)

    (await talk.delete(backup_id)).assert_refused(422, 1017)
    fake.finish_deletions()
    (await talk.delete(backup_id)).assert_refused(404, 1001)


async def test_of_many_deletes_one_is_accepted_and_others_are_422_1017(
    talk: Conversation,
) -> None:
    record = await talk.created()

    replies = await asyncio.gather(*(talk.delete(record["id"]) for _ in range(6)))

    codes = sorted(reply.json.get("code", 0) if reply.status != 202 else 0 for reply in replies)
    assert codes[0] == 0
    assert set(codes[1:]) <= {1001, 1017}  # gone already, or going
    await talk.gone(record["id"])


async def test_a_lost_file_is_missing_until_it_is_back(talk: Conversation) -> None:
    record = await talk.created()

    await talk.server.lose_archive(record)
    assert (await talk.becomes(record["id"], "MISSING"))["is_valid"] is False

    await talk.server.return_archive(record)
    assert (await talk.becomes(record["id"], "SUCCESS"))["is_valid"] is True


async def test_a_missing_backup_can_be_deleted(talk: Conversation) -> None:
    record = await talk.created()
    await talk.server.lose_archive(record)
    await talk.becomes(record["id"], "MISSING")

    assert (await talk.delete(record["id"])).assert_is(202).json["status"] == "DELETING"
    await talk.gone(record["id"])
