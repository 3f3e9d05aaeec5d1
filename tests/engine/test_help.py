"""The server describes itself, and tells each caller truthfully what it may (spec §8)."""

from typing import Any

import pytest

from backup_api.endpoints import ENDPOINTS
from backup_engine.routes.table import RIGHTS
from localengine import LocalEngine

ENDPOINT_ROWS = "/api/help/endpoints"
RESOURCE_ROWS = "/api/help/resources"


async def rows(engine: LocalEngine, path: str, condition: str = "") -> list[dict[str, Any]]:
    answer = await engine.send("GET", path, params={"filter": condition})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_every_endpoint_is_described_once_per_supported_version(
    resting: LocalEngine,
) -> None:
    described = await rows(resting, ENDPOINT_ROWS)
    expected = {
        (version, each.method, each.path) for version in ("24.0", "25.0", "26.0") for each in RIGHTS
    }
    found = [(row["version"], row["http_method"], row["path"]) for row in described]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert set(RIGHTS) <= set(ENDPOINTS)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "condition",
    [
        'path = "{}backup_and_restore/backups"',
        'path in ("{}backup_and_restore/backups", "x")',
        'path like "{}backup_and_restore/back%ps"',
        'not path != "{}backup_and_restore/backups"',
        'path between "{}backup_and_restore/backups" and "{}backup_and_restore/backups"',
    ],
)
async def test_a_filter_takes_paths_with_and_without_a_leading_slash(
    resting: LocalEngine, slash: str, condition: str
) -> None:
    found = await rows(resting, ENDPOINT_ROWS, condition.replace("{}", slash))
    assert {row["path"] for row in found} == {"/backup_and_restore/backups"}
    assert len(found) == 6


async def test_a_description_has_parameters_and_refusals(resting: LocalEngine) -> None:
    condition = 'path = "/backup_and_restore/backups" and http_method = POST and version = "26.0"'
    (row,) = await rows(resting, ENDPOINT_ROWS, condition)
    places = {each["parameter_name"]: each["type"] for each in row["parameters"]}
    assert places == {
        "Version": "HEADER",
        "fields": "HEADER",
        "backup_type": "HEADER",
        "backup": "BODY",
    }
    codes = {(each["response_code"], each["unique_code"]) for each in row["error_responses"]}
    assert {(409, 1005), (409, 1011), (401, 18), (500, 1000)} <= codes
    assert [each["response_code"] for each in row["success_responses"]] == [201]
    assert row["summary"] == "Start an on-demand backup"
    assert row["deprecated"] is False
    single = await resting.send("GET", f"{ENDPOINT_ROWS}/{row['id']}")
    assert single.json() == row


async def test_fields_reach_into_a_description(resting: LocalEngine) -> None:
    query = {"filter": "id = 1", "fields": "id,parameters(parameter_name),caller_has_access"}
    (row,) = (await resting.send("GET", ENDPOINT_ROWS, params=query)).json()
    assert set(row) == {"id", "parameters", "caller_has_access"}
    assert all(set(each) == {"parameter_name"} for each in row["parameters"])


async def test_resources_make_a_tree_that_versions_and_endpoints_agree_with(
    resting: LocalEngine,
) -> None:
    resources = {row["id"]: row for row in await rows(resting, RESOURCE_ROWS)}
    for row in resources.values():
        for child in row["child_resource_ids"]:
            assert resources[child]["parent_resource_id"] == row["id"]
            assert resources[child]["path"] == f"{row['path']}/{resources[child]['resource']}"
            assert resources[child]["version"] == row["version"]
    for endpoint in await rows(resting, ENDPOINT_ROWS):
        resource = resources[endpoint["resource_id"]]
        assert endpoint["id"] in resource["endpoint_ids"]
        assert endpoint["path"] == resource["path"]
    (newest,) = await rows(resting, "/api/help/versions", 'version = "26.0"')
    roots = {resources[each]["path"] for each in newest["root_resource_ids"]}
    assert roots == {"/backup_and_restore", "/config", "/staged_config", "/system", "/help"}
    first = await resting.send("GET", f"{RESOURCE_ROWS}/{newest['root_resource_ids'][0]}")
    assert first.json()["path"] == "/backup_and_restore"


@pytest.mark.parametrize("path", [ENDPOINT_ROWS, RESOURCE_ROWS])
@pytest.mark.parametrize("number", ["0", "99999", "x"])
async def test_nothing_is_described_under_other_ids(
    resting: LocalEngine, path: str, number: str
) -> None:
    answer = await resting.send("GET", f"{path}/{number}")
    assert (answer.status_code, answer.json()["code"]) == (404, 1002)


async def test_a_token_of_the_engine_may_call_everything(resting: LocalEngine) -> None:
    assert all(row["caller_has_access"] for row in await rows(resting, ENDPOINT_ROWS))
