"""GET /config/deployment/hosts (spec §6.0, §6.1)."""

import pytest

from contract.places import on_the_appliance
from contract.servers import HOSTS, Conversation

MEMBERS = {
    "id",
    "hostname",
    "private_ip",
    "public_ip",
    "appliance",
    "version",
    "status",
    "components",
    "eps_rate_hardware_limit",
    "eps_allocation",
    "average_eps",
    "peak_eps",
    "fpm_rate_hardware_limit",
    "fpm_allocation",
    "average_fpm",
    "peak_fpm",
    "primary_server_id",
    "secondary_server_id",
    "license_serial_number",
    "compression_enabled",
    "encryption_enabled",
    "email_server_id",
    "proxy_server_id",
    "remote_tunnel_initiation_enabled",
    "cpus",
    "total_memory",
    "app_memory",
}


async def test_the_console_is_the_host_with_the_magistrate(talk: Conversation) -> None:
    reply = await talk.send("GET", HOSTS, query={"filter": 'components contains "magistrate"'})

    [console] = reply.assert_is(200).json
    assert console["id"] == talk.server.console_id
    assert console["hostname"] == talk.server.console_hostname
    assert console["status"] == "Active"


async def test_a_host_has_the_members_of_the_spec(talk: Conversation) -> None:
    for host in (await talk.send("GET", HOSTS)).assert_is(200).json:
        assert set(host) == MEMBERS
        assert set(host["appliance"]) == {"id", "type"}


async def test_one_host_is_told_as_in_the_list(talk: Conversation) -> None:
    for host in (await talk.send("GET", HOSTS)).json:
        assert (await talk.send("GET", f"{HOSTS}/{host['id']}")).assert_is(200).json == host


@pytest.mark.parametrize("text", ["999999", "abc", "1.5", str(2**63), str(10**30)])
async def test_an_unknown_host_is_404_1002(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{HOSTS}/{text}")).assert_refused(404, 1002)


@pytest.mark.parametrize("text", ["0", "-1", "-53"])
async def test_an_id_that_is_not_positive_is_422_1003(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{HOSTS}/{text}")).assert_refused(422, 1003)


async def test_fields_reach_into_the_appliance(talk: Conversation) -> None:
    path = f"{HOSTS}/{talk.server.console_id}"

    whole = (await talk.send("GET", path)).json
    reply = await talk.send("GET", path, query={"fields": "id,hostname,appliance( id )"})

    assert reply.assert_is(200).json == {
        "id": talk.server.console_id,
        "hostname": talk.server.console_hostname,
        "appliance": {"id": whole["appliance"]["id"]},
    }


@pytest.mark.parametrize("fields", ["appliance(nonsense)", "appliance(id", "components(id)"])
async def test_wrong_sub_fields_are_422_30(talk: Conversation, fields: str) -> None:
    (await talk.send("GET", HOSTS, query={"fields": fields})).assert_refused(422, 30)


@pytest.mark.parametrize(
    "expression",
    [
        'appliance(id) = "3199" or components contains "magistrate"',
        "components contains magistrate",
        'components contains (. = "magistrate")',
        'components contains . = "magistrate"',
    ],
)
async def test_filters_find_the_console(talk: Conversation, expression: str) -> None:
    reply = await talk.send("GET", HOSTS, query={"filter": expression})

    assert reply.assert_is(200).ids == [talk.server.console_id]


@pytest.mark.parametrize(
    "expression",
    [
        "status = ACTIVE",
        'components contains "nonsense"',
        "appliance(x) = 1",
        "id contains 1",
        'components contains (. = "magistrate" and status = "Active")',  # names are the element's
    ],
)
async def test_wrong_filters_are_422_11(talk: Conversation, expression: str) -> None:
    (await talk.send("GET", HOSTS, query={"filter": expression})).assert_refused(422, 11)


async def test_no_host_is_deleted(talk: Conversation) -> None:
    every = (await talk.send("GET", HOSTS)).ids

    reply = await talk.send("GET", HOSTS, query={"filter": 'status != "Deleted"'})

    assert reply.assert_is(200).ids == every
    assert reply.headers["Content-Range"] == f"items 0-{len(every) - 1}/{len(every)}"


async def test_hosts_come_in_ranges(talk: Conversation) -> None:
    every = (await talk.send("GET", HOSTS)).ids

    first = await talk.send("GET", HOSTS, headers={"Range": "items=0-0"})
    beyond = await talk.send("GET", HOSTS, headers={"Range": "items=90-99"})

    assert first.assert_is(200).ids == every[:1]
    assert first.headers["Content-Range"] == f"items 0-0/{len(every)}"
    assert beyond.assert_is(200).json == []
    assert beyond.headers["Content-Range"] == f"items */{len(every)}"


async def test_a_sort_is_ignored_where_none_is_offered(talk: Conversation) -> None:
    plain = await talk.send("GET", HOSTS)

    reply = await talk.send("GET", HOSTS, query={"sort": "-nonsense"})

    assert reply.assert_is(200).json == plain.json


@on_the_appliance
@pytest.mark.parametrize("expression", ['appliance(id) = "3199"', "appliance(id) = 3199"])
async def test_the_type_of_its_machine_hints_at_the_console(
    talk: Conversation, expression: str
) -> None:
    reply = await talk.send("GET", HOSTS, query={"filter": expression})

    assert reply.assert_is(200).ids == [talk.server.console_id]


@on_the_appliance
async def test_active_hosts_can_be_told_apart(talk: Conversation) -> None:
    active = await talk.send("GET", HOSTS, query={"filter": "status = Active"})
    nested = await talk.send(
        "GET", HOSTS, query={"filter": "not components contains eventprocessor"}
    )

    assert active.ids == [53, 103, 105]
    assert nested.ids == [105]
