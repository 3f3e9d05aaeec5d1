"""Restores, in two steps (spec §4, §14 no. 20)."""

from typing import Any

import pytest

from appliance.hosts import DATA_HOST
from appliance.server import FakeAppliance
from backup_api import endpoints
from contract.places import on_the_appliance, where_served
from contract.replies import Reply
from contract.servers import BACKUPS, RESTORES, Conversation

GROUPS = ["CUSTOM_RULES_CONFIG", "LICENSE_CONFIG"]
REQUESTING = {"status": "REQUESTING"}

MEMBERS = {
    "id",
    "initiated_by",
    "host_id",
    "time_initiated",
    "time_completed",
    "status",
    "is_cross_deployment_restore",
    "backup_id",
    "backup_name",
    "backup_version",
    "backup_type",
    "backup_filename",
    "groups",
}

on_restores = where_served(
    endpoints.LIST_RESTORES,
    endpoints.CREATE_RESTORE,
    endpoints.GET_RESTORE,
    endpoints.LAUNCH_RESTORE,
    endpoints.DELETE_RESTORE,
)


async def ask_for(talk: Conversation, backup_id: object, groups: object = GROUPS) -> Reply:
    return await talk.send("POST", RESTORES, body={"backup_id": backup_id, "groups": groups})


async def pending(talk: Conversation) -> dict[str, Any]:
    """A restore of a new backup, not launched."""
    backup = await talk.created()
    restore: dict[str, Any] = (await ask_for(talk, backup["id"])).assert_is(201).json
    return restore


async def launched(talk: Conversation) -> dict[str, Any]:
    """A restore that was launched and does not end before finish_restores."""
    await talk.server.prepare_hold()
    restore = await pending(talk)
    await talk.server.hold_restores()
    reply = await talk.send("POST", f"{RESTORES}/{restore['id']}", body=REQUESTING)
    record: dict[str, Any] = reply.assert_is(200).json
    return record


async def finished(talk: Conversation) -> dict[str, Any]:
    """A restore that has ended."""
    restore = await pending(talk)
    await talk.send("POST", f"{RESTORES}/{restore['id']}", body=REQUESTING)
    await talk.server.finish_restores()
    return restore


async def drop(talk: Conversation, restore_id: int) -> None:
    reply = await talk.send("DELETE", f"{RESTORES}/{restore_id}")
    assert reply.status == 204


@on_restores
async def test_a_restore_is_created_pending_and_nothing_happens_yet(talk: Conversation) -> None:
    backup = await talk.created()

    restore = (await ask_for(talk, backup["id"])).assert_is(201).json

    assert set(restore) == MEMBERS
    assert restore["status"] == "PENDING"
    assert restore["backup_id"] == backup["id"]
    assert restore["backup_name"] == backup["name"]
    assert restore["backup_version"] == backup["version"]
    assert restore["backup_type"] == "CONFIG"
    assert restore["backup_filename"] == backup["content_file_path"].rpartition("/")[2]
    assert restore["groups"] == GROUPS
    assert restore["host_id"] == talk.server.console_id
    assert restore["time_completed"] is None
    found = await talk.send("GET", f"{RESTORES}/{restore['id']}")
    assert found.assert_is(200).json == restore
    assert (await talk.created())["status"] == "SUCCESS"  # a pending restore blocks no backup
    await drop(talk, restore["id"])


@on_restores
async def test_fields_reduce_a_restore(talk: Conversation) -> None:
    backup = await talk.created()
    body = {"backup_id": backup["id"], "groups": GROUPS}

    reply = await talk.send("POST", RESTORES, headers={"fields": "id,status"}, body=body)

    restore = reply.assert_is(201).json
    assert set(restore) == {"id", "status"}
    path = f"{RESTORES}/{restore['id']}"
    reduced = await talk.send("GET", path, query={"fields": "backup_name"})
    assert reduced.assert_is(200).json == {"backup_name": backup["name"]}
    await drop(talk, restore["id"])


@on_restores
@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"groups": GROUPS}, 1002, id="422_1002-absent"),
        pytest.param({"backup_id": None, "groups": []}, 1002, id="422_1002-null"),
        pytest.param({"backup_id": 999999}, 1008, id="422_1008-absent"),
        pytest.param({"backup_id": 999999, "groups": None}, 1008, id="422_1008-null"),
        pytest.param({"backup_id": 999999, "groups": []}, 1008, id="422_1008-empty"),
        pytest.param(
            {"backup_id": 999999, "groups": ["INSTALLED_APPS_CONFIG"]}, 1009, id="422_1009-apps"
        ),
        pytest.param(
            {"backup_id": 999999, "groups": ["OFFENSES_DATA", "USERS_CONFIG"]},
            1009,
            id="422_1009-offenses",
        ),
        pytest.param({"backup_id": 999999, "groups": ["NONSENSE"]}, 1010, id="422_1010-unknown"),
        pytest.param({"backup_id": 999999, "groups": ["license_config"]}, 1010, id="422_1010-case"),
        pytest.param({"backup_id": 999999, "groups": GROUPS}, 1003, id="422_1003-unknown"),
        pytest.param({"backup_id": -1, "groups": GROUPS}, 1003, id="422_1003-negative"),
        pytest.param({"backup_id": "1", "groups": GROUPS}, 11, id="422_11-text"),
        pytest.param({"backup_id": 1, "groups": "USERS_CONFIG"}, 11, id="422_11-no_array"),
        pytest.param({"backup_id": 1, "groups": [1]}, 11, id="422_11-no_words"),
    ],
)
async def test_a_wrong_request_is_refused(
    talk: Conversation, body: dict[str, object], code: int
) -> None:
    (await talk.send("POST", RESTORES, body=body)).assert_refused(422, code)


@on_restores
async def test_the_archive_has_to_be_there_422_1005(talk: Conversation) -> None:
    backup = await talk.created()
    await talk.server.lose_archive(backup)
    await talk.becomes(backup["id"], "MISSING")

    (await ask_for(talk, backup["id"])).assert_refused(422, 1005)
    await talk.server.return_archive(backup)
    await talk.becomes(backup["id"], "SUCCESS")


@on_the_appliance
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param({"backup_type": "DATA", "host_id": DATA_HOST}, 1004, id="422_1004"),
        pytest.param({"status": "FAILED"}, 1005, id="422_1005-failed"),
        pytest.param({"status": "IN_PROGRESS"}, 1005, id="422_1005-running"),
        pytest.param({"is_valid": False}, 1006, id="422_1006"),
        pytest.param({"is_version_compatible": False}, 1007, id="422_1007"),
    ],
)
async def test_an_unfit_backup_is_refused(
    talk: Conversation, fake: FakeAppliance, spoil: dict[str, Any], code: int
) -> None:
    backup_id = fake.add_backup("unfit", **spoil)

    (await ask_for(talk, backup_id)).assert_refused(422, code)
    assert fake.restores.records == {}


@on_restores
async def test_only_one_restore_may_be_open_409_1011(talk: Conversation) -> None:
    first = await pending(talk)

    (await ask_for(talk, first["backup_id"])).assert_refused(409, 1011)

    await drop(talk, first["id"])
    again = (await ask_for(talk, first["backup_id"])).assert_is(201).json
    assert again["id"] > first["id"]
    await drop(talk, again["id"])


@on_restores
@pytest.mark.parametrize("text", ["999999", "0", "-1", "abc", str(2**63)])
@pytest.mark.parametrize(
    ("method", "body"),
    [
        pytest.param("GET", None, id="get-404_1001"),
        pytest.param("POST", REQUESTING, id="post-404_1001"),
        pytest.param("POST", {"status": "SUCCESS"}, id="post_wrong-404_1001"),
        pytest.param("DELETE", None, id="delete-404_1001"),
    ],
)
async def test_an_unknown_restore_is_refused(
    talk: Conversation, text: str, method: str, body: object
) -> None:
    (await talk.send(method, f"{RESTORES}/{text}", body=body)).assert_refused(404, 1001)


@on_restores
@pytest.mark.parametrize("body", [{"status": "SUCCESS"}, {"status": "PENDING"}, {}, {"id": 5}])
async def test_only_requesting_launches_422_1013(talk: Conversation, body: object) -> None:
    restore = await pending(talk)
    path = f"{RESTORES}/{restore['id']}"

    (await talk.send("POST", path, body=body)).assert_refused(422, 1013)

    assert (await talk.send("GET", path)).json["status"] == "PENDING"
    await drop(talk, restore["id"])


@on_restores
async def test_dropping_a_restore_has_no_body_and_any_accept(talk: Conversation) -> None:
    for accept in ("text/plain", "*/*", "application/json", "image/png"):
        restore = await pending(talk)
        path = f"{RESTORES}/{restore['id']}"

        reply = await talk.send("DELETE", path, headers={"Accept": accept})

        assert (reply.status, reply.content) == (204, b"")
        (await talk.send("GET", path)).assert_refused(404, 1001)


@on_restores
async def test_restores_are_listed_sorted_filtered_and_cut(talk: Conversation) -> None:
    restore = await pending(talk)

    reply = await talk.send(
        "GET",
        RESTORES,
        query={
            "filter": f'status = "PENDING" and groups contains "LICENSE_CONFIG" '
            f"and id = {restore['id']}",
            "sort": "-time_initiated,+backup_name",
            "fields": "id,groups",
        },
        headers={"Range": "items=0-4"},
    )

    assert reply.assert_is(200).json == [{"id": restore["id"], "groups": GROUPS}]
    assert reply.headers["Content-Range"] == "items 0-0/1"
    await drop(talk, restore["id"])


@on_restores
@pytest.mark.parametrize(
    "name", ["status", "host_id", "backup_id", "groups", "nonsense", "intiated_by"]
)
async def test_other_names_are_not_sortable_422_1018(talk: Conversation, name: str) -> None:
    (await talk.send("GET", RESTORES, query={"sort": name})).assert_refused(422, 1018)


@on_restores
async def test_a_launched_restore_runs_to_its_end(talk: Conversation) -> None:
    restore = await launched(talk)
    path = f"{RESTORES}/{restore['id']}"

    assert restore["status"] == "REQUESTING"
    (await talk.send("POST", path, body=REQUESTING)).assert_refused(422, 1012)
    (await talk.create()).assert_refused(409, 1016)
    (await ask_for(talk, restore["backup_id"])).assert_refused(409, 1011)
    running = (await talk.send("GET", path)).json
    assert running["status"] in {"REQUESTING", "INITIALIZING", "IN_PROGRESS"}
    assert running["backup_id"] == restore["backup_id"]
    await talk.server.finish_restores()

    done = (await talk.send("GET", path)).json
    assert (done["status"], done["backup_id"]) == ("SUCCESS", None)
    assert done["backup_filename"] == restore["backup_filename"]
    assert done["time_completed"] >= done["time_initiated"]


@on_restores
async def test_a_second_launch_is_422_1012(talk: Conversation) -> None:
    path = f"{RESTORES}/{(await finished(talk))['id']}"

    (await talk.send("POST", path, body={"status": "SUCCESS"})).assert_refused(422, 1012)
    (await talk.send("POST", path, body=REQUESTING)).assert_refused(422, 1012)


@on_restores
async def test_a_finished_restore_stays_422_1017(talk: Conversation) -> None:
    path = f"{RESTORES}/{(await finished(talk))['id']}"

    (await talk.send("DELETE", path)).assert_refused(422, 1017)
    (await talk.send("GET", path)).assert_is(200)


@on_the_appliance
async def test_rebalancing_is_in_the_way_409_1014(talk: Conversation, fake: FakeAppliance) -> None:
    restore = await pending(talk)
    fake.restores.is_rebalancing = True

    reply = await talk.send("POST", f"{RESTORES}/{restore['id']}", body=REQUESTING)

    reply.assert_refused(409, 1014)


@on_the_appliance
async def test_a_running_backup_is_in_the_way_409_1015(talk: Conversation) -> None:
    restore = await pending(talk)
    (await talk.create()).assert_is(201)

    reply = await talk.send("POST", f"{RESTORES}/{restore['id']}", body=REQUESTING)

    reply.assert_refused(409, 1015)


@on_restores
async def test_a_running_restore_is_in_the_way_409_1016(talk: Conversation) -> None:
    first = await launched(talk)
    await drop(talk, first["id"])  # it runs on without its record
    second = (await ask_for(talk, first["backup_id"])).assert_is(201).json
    path = f"{RESTORES}/{second['id']}"

    (await talk.send("POST", path, body=REQUESTING)).assert_refused(409, 1016)

    (await talk.create()).assert_refused(409, 1016)
    assert (await talk.send("GET", path)).json["status"] == "PENDING"
    await talk.server.finish_restores()
    (await talk.send("GET", f"{RESTORES}/{first['id']}")).assert_refused(404, 1001)
    await drop(talk, second["id"])


@on_restores
async def test_a_restore_whose_backup_went_fails(talk: Conversation) -> None:
    restore = await pending(talk)
    path = f"{RESTORES}/{restore['id']}"
    (await talk.send("DELETE", f"{BACKUPS}/{restore['backup_id']}")).assert_is(202)
    await talk.gone(restore["backup_id"])

    (await talk.send("POST", path, body=REQUESTING)).assert_is(200)
    await talk.server.finish_restores()

    failed = (await talk.send("GET", path)).json
    assert (failed["status"], failed["backup_id"]) == ("FAILED", None)
    (await talk.send("DELETE", path)).assert_refused(422, 1017)
