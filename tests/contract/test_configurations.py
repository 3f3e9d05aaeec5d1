"""Backup configurations, staged and deployed (spec §5, §14 no. 19)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance.hosts import DATA_HOST, NO_DATA, NOT_ACTIVE
from appliance.server import FakeAppliance
from backup_api import endpoints
from contract.places import Ask, ids_named, on_each, on_the_appliance, where_served
from contract.servers import DEPLOY, SCHEDULED, STAGED_SCHEDULED, Conversation

DAY_MS = 86_400_000
MINUTE_MS = 60_000
STAGED_ONE = f"{STAGED_SCHEDULED}/1"
DEPLOYED_ONE = f"{SCHEDULED}/1"

MEMBERS = {
    "configuration_id",
    "backup_directory_path",
    "backup_retention_period",
    "data_backup_host_configuration",
    "configuration_backup_enabled",
    "data_backup_priority",
    "configuration_backup_priority",
    "data_backup_time_limit",
    "configuration_backup_time_limit",
}

in_both_views = where_served(
    endpoints.LIST_CONFIGURATIONS,
    endpoints.GET_CONFIGURATION,
    endpoints.LIST_STAGED_CONFIGURATIONS,
    endpoints.GET_STAGED_CONFIGURATION,
    endpoints.CHANGE_CONFIGURATION,
    endpoints.GET_DEPLOY,
    endpoints.START_DEPLOY,
)

ONES = tuple(
    Ask(endpoint, path)
    for endpoint, path in (
        (endpoints.GET_CONFIGURATION, SCHEDULED),
        (endpoints.GET_STAGED_CONFIGURATION, STAGED_SCHEDULED),
    )
)


@pytest.fixture
async def settings(talk: Conversation) -> AsyncIterator[dict[str, Any]]:
    """The configuration as it is staged and deployed; so it is again after the test."""
    before = (await talk.send("GET", STAGED_ONE)).assert_is(200).json
    yield before
    (await talk.send("POST", STAGED_ONE, body=before)).assert_is(200)
    if (await talk.send("GET", DEPLOYED_ONE)).json != before:
        await talk.deploy()


@in_both_views
@pytest.mark.parametrize("path", [SCHEDULED, STAGED_SCHEDULED])
async def test_there_is_one_configuration(talk: Conversation, path: str) -> None:
    [configuration] = (await talk.send("GET", path)).assert_is(200).json

    assert set(configuration) == MEMBERS
    assert configuration["configuration_id"] == 1
    assert (await talk.send("GET", f"{path}/1")).assert_is(200).json == configuration


@in_both_views
@pytest.mark.parametrize("path", [SCHEDULED, STAGED_SCHEDULED])
async def test_fields_reduce_a_configuration(talk: Conversation, path: str) -> None:
    fields = "configuration_id,data_backup_host_configuration(host_id)"

    [configuration] = (await talk.send("GET", path, query={"fields": fields})).assert_is(200).json

    assert set(configuration) == {"configuration_id", "data_backup_host_configuration"}
    assert all(set(row) == {"host_id"} for row in configuration["data_backup_host_configuration"])


@in_both_views
@pytest.mark.parametrize("path", [SCHEDULED, STAGED_SCHEDULED])
async def test_range_filter_and_sort_are_ignored(talk: Conversation, path: str) -> None:
    query = {"filter": "(", "sort": "nonsense"}

    reply = await talk.send("GET", path, query=query, headers={"Range": "nonsense"})

    assert len(reply.assert_is(200).json) == 1


@on_each(ONES)
@pytest.mark.parametrize("text", ids_named("404_1001"))
async def test_an_unknown_configuration_is_refused(talk: Conversation, ask: Ask, text: str) -> None:
    (await talk.send("GET", f"{ask.path}/{text}")).assert_refused(404, 1001)


@in_both_views
@pytest.mark.parametrize("text", ["2", "0", "abc"])
async def test_an_unknown_configuration_cannot_be_changed_404_1001(
    talk: Conversation, text: str
) -> None:
    body = {"backup_directory_path": "relative"}  # refused too, but later

    (await talk.send("POST", f"{STAGED_SCHEDULED}/{text}", body=body)).assert_refused(404, 1001)


@in_both_views
async def test_a_change_is_staged_and_in_force_after_a_deploy(
    talk: Conversation, settings: dict[str, Any]
) -> None:
    retention = settings["backup_retention_period"] + DAY_MS

    reply = await talk.send("POST", STAGED_ONE, body={"backup_retention_period": retention})

    wanted = {**settings, "backup_retention_period": retention}
    assert reply.assert_is(200).json == wanted
    assert (await talk.send("GET", STAGED_ONE)).json == wanted
    assert (await talk.send("GET", DEPLOYED_ONE)).json == settings
    (await talk.create()).assert_refused(409, 1011)
    await talk.deploy()
    assert (await talk.send("GET", DEPLOYED_ONE)).json == wanted
    (await talk.create()).assert_is(201)
    await talk.server.settle()


@in_both_views
async def test_a_change_taken_back_leaves_nothing_to_deploy(
    talk: Conversation, settings: dict[str, Any]
) -> None:
    enabled = settings["configuration_backup_enabled"]
    body = {"configuration_backup_enabled": not enabled}
    (await talk.send("POST", STAGED_ONE, body=body)).assert_is(200)

    (await talk.send("POST", STAGED_ONE, body=settings)).assert_is(200)

    (await talk.send("POST", DEPLOY, body={})).assert_refused(409, 1004)


@in_both_views
async def test_periods_are_cut_to_days_and_minutes(
    talk: Conversation, settings: dict[str, Any]
) -> None:
    body = {
        "backup_retention_period": 3 * DAY_MS - 1,
        "data_backup_time_limit": 90 * MINUTE_MS - 1,
        "configuration_backup_time_limit": MINUTE_MS + 1,
    }

    reply = await talk.send("POST", STAGED_ONE, body=body)

    assert reply.assert_is(200).json == {
        **settings,
        "backup_retention_period": 2 * DAY_MS,
        "data_backup_time_limit": 89 * MINUTE_MS,
        "configuration_backup_time_limit": MINUTE_MS,
    }


@in_both_views
async def test_read_only_and_unknown_members_are_ignored(
    talk: Conversation, settings: dict[str, Any]
) -> None:
    body = {"configuration_id": 7, "nonsense": [1]}

    assert (await talk.send("POST", STAGED_ONE, body=body)).assert_is(200).json == settings


WRONG = [
    pytest.param({"backup_directory_path": None}, 1002, id="422_1002-null_path"),
    pytest.param({"data_backup_priority": None}, 1002, id="422_1002-null_priority"),
    pytest.param({"data_backup_priority": "low"}, 1002, id="422_1002-priority"),
    pytest.param({"configuration_backup_priority": "URGENT"}, 1002, id="422_1002-unknown_word"),
    pytest.param(
        {"data_backup_host_configuration": [{"host_id": 999999}]}, 1002, id="422_1002-host"
    ),
    pytest.param({"backup_directory_path": "relative/path"}, 1004, id="422_1004"),
    pytest.param({"backup_directory_path": ""}, 1004, id="422_1004-empty"),
    pytest.param({"backup_directory_path": "/no/such/directory"}, 1003, id="422_1003"),
    pytest.param({"backup_retention_period": DAY_MS - 1}, 1006, id="422_1006"),
    pytest.param({"backup_retention_period": -DAY_MS}, 1006, id="422_1006-negative"),
    pytest.param({"data_backup_time_limit": MINUTE_MS - 1}, 1007, id="422_1007-data"),
    pytest.param({"configuration_backup_time_limit": 0}, 1007, id="422_1007-config"),
    pytest.param(
        {
            "data_backup_time_limit": 1440 * MINUTE_MS,
            "configuration_backup_time_limit": MINUTE_MS,
        },
        1008,
        id="422_1008",
    ),
    pytest.param({"backup_retention_period": "604800000"}, 11, id="422_11-text"),
    pytest.param({"configuration_backup_enabled": 1}, 11, id="422_11-number"),
    pytest.param({"data_backup_host_configuration": {}}, 11, id="422_11-no_array"),
]


@in_both_views
@pytest.mark.parametrize(("change", "code"), WRONG)
async def test_a_wrong_change_is_refused_and_stages_nothing(
    talk: Conversation, settings: dict[str, Any], change: dict[str, object], code: int
) -> None:
    (await talk.send("POST", STAGED_ONE, body=change)).assert_refused(422, code)

    assert (await talk.send("GET", STAGED_ONE)).json == settings


@in_both_views
async def test_a_whole_day_is_the_most_for_both_limits(
    talk: Conversation, settings: dict[str, Any]
) -> None:
    body = {
        **settings,
        "data_backup_time_limit": 1260 * MINUTE_MS,
        "configuration_backup_time_limit": 180 * MINUTE_MS,
    }

    assert (await talk.send("POST", STAGED_ONE, body=body)).assert_is(200).json == body


@on_the_appliance
async def test_a_file_is_no_directory_422_1005(talk: Conversation) -> None:
    body = {"backup_directory_path": "/etc/hostname"}

    (await talk.send("POST", STAGED_ONE, body=body)).assert_refused(422, 1005)


@on_the_appliance
@pytest.mark.parametrize(
    ("ids", "code"),
    [
        pytest.param([NOT_ACTIVE], 1009, id="422_1009"),
        pytest.param([NO_DATA], 1010, id="422_1010"),
        pytest.param([NO_DATA, NOT_ACTIVE], 1009, id="422_1009-both"),
        pytest.param([DATA_HOST, DATA_HOST], 1002, id="422_1002-twice"),
    ],
)
async def test_unfit_hosts_are_refused(talk: Conversation, ids: list[int], code: int) -> None:
    rows = [{"host_id": one, "event_data_backup_enabled": True} for one in ids]
    body = {"data_backup_host_configuration": rows}

    (await talk.send("POST", STAGED_ONE, body=body)).assert_refused(422, code)


@on_the_appliance
async def test_a_host_that_is_disabled_has_no_data_backup_after_the_deploy(
    talk: Conversation, fake: FakeAppliance
) -> None:
    body: dict[str, object] = {"data_backup_host_configuration": []}
    (await talk.send("POST", STAGED_ONE, body=body)).assert_is(200)
    await talk.deploy()
    new = {"name": "data", "configuration_id": 1, "host_id": DATA_HOST}

    reply = await talk.send(
        "POST", "/backup_and_restore/backups", headers={"backup_type": "DATA"}, body=new
    )

    reply.assert_refused(422, 1014)
    assert fake.backups == []
