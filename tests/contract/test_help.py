"""What a server says about its own API (spec §8, §14 no. 23)."""

from typing import Any

import pytest

from backup_api import endpoints
from contract.places import (
    ENDPOINT_DESCRIPTIONS,
    RESOURCE_DESCRIPTIONS,
    SERVED_BY_THE_ENGINE,
    Ask,
    ids_named,
    on_each,
    where_served,
)
from contract.servers import BACKUPS, Conversation

ITEMS = (
    Ask(endpoints.GET_ENDPOINT_DESCRIPTION, ENDPOINT_DESCRIPTIONS),
    Ask(endpoints.GET_RESOURCE_DESCRIPTION, RESOURCE_DESCRIPTIONS),
)

ENDPOINT_MEMBERS = {
    "id",
    "version",
    "last_modified_version",
    "path",
    "http_method",
    "summary",
    "description",
    "deprecated",
    "caller_has_access",
    "resource_id",
    "response_description",
    "parameters",
    "response_mime_types",
    "success_responses",
    "error_responses",
}

on_endpoints = where_served(
    endpoints.LIST_ENDPOINT_DESCRIPTIONS, endpoints.GET_ENDPOINT_DESCRIPTION
)
on_resources = where_served(
    endpoints.LIST_RESOURCE_DESCRIPTIONS, endpoints.GET_RESOURCE_DESCRIPTION
)


def newest(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Endpoints of the newest version by method and path."""
    latest = max(rows, key=lambda row: float(row["version"]))["version"]
    return {(r["http_method"], r["path"]): r for r in rows if r["version"] == latest}


@on_endpoints
async def test_every_endpoint_is_described_with_its_codes(talk: Conversation) -> None:
    rows = (await talk.send("GET", ENDPOINT_DESCRIPTIONS)).assert_is(200).json

    told = newest(rows)
    is_engine = SERVED_BY_THE_ENGINE if talk.server.console_id == 1 else set(endpoints.ENDPOINTS)
    for endpoint in is_engine:
        row = told[endpoint.method, endpoint.path]
        assert set(row) == ENDPOINT_MEMBERS
        assert [one["response_code"] for one in row["success_responses"]] == [endpoint.success]
        codes = {
            (one["response_code"], one["unique_code"])
            for one in row["error_responses"]
            if one["unique_code"] >= 1000
        }
        assert codes == {(one.http_status, one.code) for one in endpoint.refusals}
        assert row["caller_has_access"] is True


@on_endpoints
async def test_parameters_stand_where_they_travel(talk: Conversation) -> None:
    rows = (await talk.send("GET", ENDPOINT_DESCRIPTIONS)).assert_is(200).json

    told = newest(rows)
    for path, method, expected in (
        (BACKUPS, "GET", {"Range": "HEADER", "filter": "QUERY", "sort": "QUERY"}),
        (BACKUPS, "POST", {"backup_type": "HEADER", "fields": "HEADER", "backup": "BODY"}),
        (f"{BACKUPS}/{{id}}", "DELETE", {"id": "PATH", "fields": "QUERY"}),
    ):
        row = told[method, path]
        found = {one["parameter_name"]: one["type"] for one in row["parameters"]}
        assert expected.items() <= found.items()


@on_endpoints
@pytest.mark.parametrize("path", [BACKUPS, BACKUPS.removeprefix("/")])
async def test_access_is_asked_for_by_path_with_and_without_slash(
    talk: Conversation, path: str
) -> None:
    query = {"filter": f'path = "{path}"', "fields": "path,http_method,caller_has_access"}

    rows = (await talk.send("GET", ENDPOINT_DESCRIPTIONS, query=query)).assert_is(200).json

    assert {row["http_method"] for row in rows} == {"GET", "POST"}
    assert {row["path"] for row in rows} == {BACKUPS}
    assert all(row["caller_has_access"] for row in rows)


@on_each(ITEMS)
async def test_one_description_is_told_as_in_the_list(talk: Conversation, ask: Ask) -> None:
    reply = await talk.send("GET", ask.path, headers={"Range": "items=0-4"})

    for row in reply.assert_is(200).json:
        assert (await talk.send("GET", f"{ask.path}/{row['id']}")).assert_is(200).json == row


@on_each(ITEMS)
@pytest.mark.parametrize("text", ids_named("404_1002"))
async def test_an_unknown_description_is_refused(talk: Conversation, ask: Ask, text: str) -> None:
    (await talk.send("GET", f"{ask.path}/{text}")).assert_refused(404, 1002)


@on_resources
async def test_resources_form_trees_that_lead_to_every_endpoint(talk: Conversation) -> None:
    resources = {
        row["id"]: row
        for row in (await talk.send("GET", RESOURCE_DESCRIPTIONS)).assert_is(200).json
    }
    rows = (await talk.send("GET", ENDPOINT_DESCRIPTIONS)).json

    for resource in resources.values():
        assert set(resource) == {
            "id",
            "version",
            "resource",
            "path",
            "parent_resource_id",
            "child_resource_ids",
            "endpoint_ids",
        }
        for child in resource["child_resource_ids"]:
            assert resources[child]["parent_resource_id"] == resource["id"]
    for row in rows:
        assert row["id"] in resources[row["resource_id"]]["endpoint_ids"]
        assert resources[row["resource_id"]]["path"] == row["path"]
