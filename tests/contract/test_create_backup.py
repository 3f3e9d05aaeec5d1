"""POST /backup_and_restore/backups (spec §3.2, §14)."""

import time
from typing import Any

import pytest

from contract.servers import BACKUPS, CONFIG, Conversation, unique_name

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


async def test_a_new_backup_is_answered_201_with_its_record(talk: Conversation) -> None:
    name = unique_name()
    before_ms = time.time() * 1000 - 2000

    record = (await talk.create(name, description="why")).assert_is(201).json
    await talk.server.settle()

    assert set(record) - {"app_deployment_location"} == MEMBERS
    assert record["name"] == name
    assert record["description"] == "why"
    assert record["type"] == "CONFIG"
    assert record["configuration_id"] == 1
    assert record["host_id"] == talk.server.console_id
    assert record["status"] == "INITIALIZING"
    assert record["time_initiated"] >= before_ms
    assert record["intiated_by"]
    assert record["version"]


async def test_what_is_not_known_yet_is_null_zero_or_false(talk: Conversation) -> None:
    record = (await talk.create()).assert_is(201).json
    await talk.server.settle()

    assert record["time_completed"] is None
    assert record["size_on_disk"] == 0
    assert record["content_file_path"] is None
    assert record["is_valid"] is False
    assert record["description"] is None


async def test_a_backup_ends_as_a_valid_archive(talk: Conversation) -> None:
    name = unique_name()

    record = await talk.created(name)

    assert record["status"] == "SUCCESS"
    assert record["is_valid"] is True
    assert record["is_version_compatible"] is True
    assert record["size_on_disk"] > 0
    assert record["time_completed"] >= record["time_initiated"]
    match = talk.server.archive_pattern.match(record["content_file_path"])
    assert match is not None, record["content_file_path"]
    assert match["name"] == name
    assert match["type"] == "config"
    assert int(match["hostid"]) == talk.server.console_id
    assert int(match["ts"]) == record["time_initiated"]


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        pytest.param({"name": None}, 422, 1002, id="422_1002-null"),
        pytest.param({"name": ""}, 422, 1002, id="422_1002-empty"),
        pytest.param({"name": "n" * 101}, 422, 1003, id="422_1003-101_characters"),
        pytest.param({"name": "/" * 101}, 422, 1003, id="422_1003-before_1004"),
        pytest.param({"name": "two words"}, 422, 1004, id="422_1004-space"),
        pytest.param({"name": "a/b"}, 422, 1004, id="422_1004-slash"),
        pytest.param({"name": "ä"}, 422, 1004, id="422_1004-umlaut"),
        pytest.param({"name": "٣"}, 422, 1004, id="422_1004-arabic_digit"),
        pytest.param({"name": "line\n"}, 422, 1004, id="422_1004-newline"),
        pytest.param({"name": "nul\0"}, 422, 1004, id="422_1004-nul"),
        pytest.param({"name": "half\ud800"}, 422, 1004, id="422_1004-lone_surrogate"),
        pytest.param({"configuration_id": None}, 422, 1006, id="422_1006-null"),
        pytest.param({"configuration_id": 2}, 422, 1007, id="422_1007-unknown"),
        pytest.param({"configuration_id": 0}, 422, 1007, id="422_1007-zero"),
        pytest.param({"description": "d" * 256}, 422, 1008, id="422_1008-256_characters"),
        pytest.param({"host_id": 987654}, 422, 1009, id="422_1009-unknown"),
        pytest.param({"host_id": -1}, 422, 1009, id="422_1009-negative"),
    ],
)
async def test_a_wrong_member_is_refused(
    talk: Conversation, members: dict[str, Any], status: int, code: int
) -> None:
    body = {"name": unique_name(), "configuration_id": 1, **members}

    reply = await talk.send("POST", BACKUPS, headers=CONFIG, body=body)

    reply.assert_refused(status, code)
    assert reply.json["description"]


@pytest.mark.parametrize("member", ["name", "configuration_id"])
async def test_a_missing_member_is_like_null(talk: Conversation, member: str) -> None:
    body: dict[str, object] = {"name": unique_name(), "configuration_id": 1}
    del body[member]
    code = {"name": 1002, "configuration_id": 1006}[member]

    (await talk.send("POST", BACKUPS, headers=CONFIG, body=body)).assert_refused(422, code)


@pytest.mark.parametrize(
    "members",
    [
        {"name": 5},
        {"name": ["x"]},
        {"configuration_id": "1"},
        {"configuration_id": 1.5},
        {"configuration_id": True},
        {"configuration_id": 2**63},
        {"host_id": "53"},
        {"host_id": False},
        {"description": 7},
        {"description": "nul\0"},
        {"description": "half\udfff"},
    ],
    ids=lambda members: "-".join(f"{name}_{value!a}"[:30] for name, value in members.items()),
)
async def test_nothing_in_a_body_is_converted(
    talk: Conversation, members: dict[str, object]
) -> None:
    body = {"name": unique_name(), "configuration_id": 1, **members}

    reply = await talk.send("POST", BACKUPS, headers=CONFIG, body=body)

    reply.assert_refused(422, 11, "backup")


async def test_the_type_is_a_header_and_required_422_8(talk: Conversation) -> None:
    body = {"name": unique_name(), "configuration_id": 1, "backup_type": "CONFIG"}

    reply = await talk.send("POST", BACKUPS, query={"backup_type": "CONFIG"}, body=body)

    reply.assert_refused(422, 8, "backup_type")


@pytest.mark.parametrize("backup_type", ["config", "FULL", "CONFIG,DATA"])
async def test_another_type_is_422_11(talk: Conversation, backup_type: str) -> None:
    body = {"name": unique_name(), "configuration_id": 1}

    reply = await talk.send("POST", BACKUPS, headers={"backup_type": backup_type}, body=body)

    reply.assert_refused(422, 11, "backup_type")


@pytest.mark.parametrize("name", ["x", "A-b_c.9", "n" * 100, "...", "-"])
async def test_allowed_names_are_taken_as_they_are(talk: Conversation, name: str) -> None:
    wanted = name if len(name) == 100 else f"{name}{unique_name()}"
    for record in (await talk.list({"filter": f'name = "{wanted}"'})).json:
        await talk.delete(record["id"])
        await talk.gone(record["id"])

    assert (await talk.created(wanted))["name"] == wanted


async def test_lengths_count_code_points(talk: Conversation) -> None:
    description = "\U0001f4be" * 255

    record = await talk.created(description=description)

    assert record["description"] == description


async def test_unknown_and_read_only_members_are_ignored(talk: Conversation) -> None:
    given = {
        "id": 987654,
        "status": "SUCCESS",
        "size_on_disk": 9,
        "is_valid": True,
        "nonsense": [1],
    }

    record = (await talk.create(None, **given)).assert_is(201).json
    await talk.server.settle()

    assert record["id"] != 987654
    assert record["status"] == "INITIALIZING"
    assert record["size_on_disk"] == 0
    assert "nonsense" not in record


async def test_null_is_like_absent(talk: Conversation) -> None:
    record = await talk.created(host_id=None, description=None)

    assert record["host_id"] == talk.server.console_id
    assert record["description"] is None


async def test_of_duplicate_members_the_last_counts(talk: Conversation) -> None:
    name = unique_name()
    raw = f'{{"name": "/", "configuration_id": 1, "name": "{name}"}}'.encode()

    reply = await talk.send("POST", BACKUPS, headers=CONFIG, raw=raw)
    await talk.server.settle()

    assert reply.assert_is(201).json["name"] == name


async def test_fields_is_a_header_and_reduces_the_answer(talk: Conversation) -> None:
    body = {"name": unique_name(), "configuration_id": 1}
    headers = {**CONFIG, "fields": "name , status"}

    reply = await talk.send("POST", BACKUPS, headers=headers, body=body)
    await talk.server.settle()

    assert reply.assert_is(201).json == {"name": body["name"], "status": "INITIALIZING"}


async def test_fields_in_the_query_of_a_post_is_ignored(talk: Conversation) -> None:
    body = {"name": unique_name(), "configuration_id": 1}

    reply = await talk.send("POST", BACKUPS, query="fields=nonsense", headers=CONFIG, body=body)
    await talk.server.settle()

    assert set(reply.assert_is(201).json) >= MEMBERS
