"""Servers behind the hosts (spec §8, §14 no. 8)."""

import pytest

from backup_api import endpoints
from contract.places import ids_named, where_served
from contract.servers import HOSTS, SERVERS, Conversation

MEMBERS = {"server_id", "managed_host_id", "hostname", "private_ip", "status"}

pytestmark = where_served(endpoints.LIST_SERVERS, endpoints.GET_SERVER)


async def test_every_host_has_its_server(talk: Conversation) -> None:
    hosts = (await talk.send("GET", HOSTS)).assert_is(200).json

    servers = (await talk.send("GET", SERVERS)).assert_is(200).json

    assert all(set(server) >= MEMBERS for server in servers)
    found = {(server["managed_host_id"], server["server_id"]) for server in servers}
    assert found == {(host["id"], host["primary_server_id"]) for host in hosts}


async def test_one_server_has_a_mail_server_too(talk: Conversation) -> None:
    for server in (await talk.send("GET", SERVERS)).json:
        reply = await talk.send("GET", f"{SERVERS}/{server['server_id']}")
        one = reply.assert_is(200).json
        assert set(one) == MEMBERS | {"email_server_address"}
        assert {name: one[name] for name in MEMBERS} == {name: server[name] for name in MEMBERS}


async def test_servers_are_filtered_cut_and_reduced(talk: Conversation) -> None:
    query = {"filter": f"managed_host_id = {talk.server.console_id}", "fields": "hostname"}

    reply = await talk.send("GET", SERVERS, query=query, headers={"Range": "items=0-5"})

    assert reply.assert_is(200).json == [{"hostname": talk.server.console_hostname}]
    assert reply.headers["Content-Range"] == "items 0-0/1"


@pytest.mark.parametrize("text", ids_named("404_1002", positive=True))
async def test_an_unknown_server_is_refused(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{SERVERS}/{text}")).assert_refused(404, 1002)


@pytest.mark.parametrize("text", [pytest.param("0", id="422_1005"), "-1"])
async def test_a_server_id_that_is_not_positive_is_refused(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{SERVERS}/{text}")).assert_refused(422, 1005)
