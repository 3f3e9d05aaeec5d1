"""Tunnels between hosts (spec §6.3, §14 no. 24)."""

import pytest

from appliance.hosts import DATA_HOST
from backup_api import endpoints
from contract.places import Ask, ids_named, on_each, on_the_appliance, where_served
from contract.servers import HOSTS, STAGED_HOSTS, Conversation

LISTS = (
    Ask(endpoints.LIST_TUNNELS, HOSTS),
    Ask(endpoints.LIST_STAGED_TUNNELS, STAGED_HOSTS),
)
BODY = {"reverse_source": True}
TUNNEL = f"{STAGED_HOSTS}/{DATA_HOST}/tunnels/ec1-ep1"

changing = where_served(endpoints.CHANGE_TUNNEL)


@on_each(LISTS)
@pytest.mark.parametrize("text", ids_named("404_1009", positive=True))
async def test_an_unknown_host_has_no_tunnels(talk: Conversation, ask: Ask, text: str) -> None:
    (await talk.send("GET", f"{ask.path}/{text}/tunnels")).assert_refused(404, 1009)


@on_each(LISTS)
@pytest.mark.parametrize("text", [pytest.param("0", id="422_1010"), "-5"])
async def test_a_host_id_that_is_not_positive_is_refused(
    talk: Conversation, ask: Ask, text: str
) -> None:
    (await talk.send("GET", f"{ask.path}/{text}/tunnels")).assert_refused(422, 1010)


@on_each(LISTS)
async def test_the_tunnels_of_a_host_are_a_list(talk: Conversation, ask: Ask) -> None:
    reply = await talk.send("GET", f"{ask.path}/{talk.server.console_id}/tunnels")

    for tunnel in reply.assert_is(200).json:
        assert set(tunnel) == {
            "name",
            "remote_host_id",
            "remote_port",
            "local_port",
            "reverse_source",
        }


@changing
@pytest.mark.parametrize("text", ids_named("404_1013", positive=True))
async def test_no_tunnel_of_an_unknown_host_changes(talk: Conversation, text: str) -> None:
    path = f"{STAGED_HOSTS}/{text}/tunnels/any"

    (await talk.send("POST", path, body=BODY)).assert_refused(404, 1013)


@changing
@pytest.mark.parametrize("text", [pytest.param("0", id="422_1011"), "-5"])
async def test_no_tunnel_of_an_impossible_host_changes(talk: Conversation, text: str) -> None:
    path = f"{STAGED_HOSTS}/{text}/tunnels/any"

    (await talk.send("POST", path, body=BODY)).assert_refused(422, 1011)


@changing
async def test_an_unknown_tunnel_is_404_1012(talk: Conversation) -> None:
    path = f"{STAGED_HOSTS}/{talk.server.console_id}/tunnels/nonsense"

    (await talk.send("POST", path, body=BODY)).assert_refused(404, 1012)


@changing
async def test_a_tunnel_name_has_no_blanks_422_1010(talk: Conversation) -> None:
    path = f"{STAGED_HOSTS}/{talk.server.console_id}/tunnels/a%20b"

    (await talk.send("POST", path, body=BODY)).assert_refused(422, 1010)


@on_the_appliance
async def test_a_tunnel_of_the_console_cannot_change_422_1014(talk: Conversation) -> None:
    path = f"{STAGED_HOSTS}/{DATA_HOST}/tunnels/console1-ep1"

    (await talk.send("POST", path, body=BODY)).assert_refused(422, 1014)


@on_the_appliance
@pytest.mark.parametrize("body", [{}, {"reverse_source": None}, {"name": "other"}])
async def test_the_one_member_is_required_422_1016(talk: Conversation, body: object) -> None:
    (await talk.send("POST", TUNNEL, body=body)).assert_refused(422, 1016)


@on_the_appliance
async def test_a_changed_tunnel_needs_a_deploy(talk: Conversation) -> None:
    deployed = f"{HOSTS}/{DATA_HOST}/tunnels"
    query = {"filter": 'name = "ec1-ep1"', "fields": "reverse_source"}

    changed = (await talk.send("POST", TUNNEL, body=BODY)).assert_is(200).json

    assert (changed["name"], changed["reverse_source"]) == ("ec1-ep1", True)
    assert (await talk.send("GET", deployed, query=query)).json == [{"reverse_source": False}]
    (await talk.create()).assert_refused(409, 1011)
    await talk.deploy()
    assert (await talk.send("GET", deployed, query=query)).json == [{"reverse_source": True}]
    assert (await talk.send("GET", deployed)).headers["Content-Range"] == "items 0-1/2"
