"""Staged hosts, and the allocations of deployed ones (spec §6.1, §6.2, §14 no. 21)."""

import pytest

from appliance.hosts import CONSOLE, DATA_HOST
from appliance.server import FakeAppliance
from backup_api import endpoints
from contract.places import ids_named, on_the_appliance, where_served
from contract.servers import DEPLOY, HOSTS, STAGED_HOSTS, Conversation

staged = where_served(endpoints.LIST_STAGED_HOSTS, endpoints.GET_STAGED_HOST)
allocation = where_served(endpoints.CHANGE_ALLOCATION)


@staged
async def test_with_nothing_to_deploy_staged_hosts_are_the_deployed_ones(
    talk: Conversation,
) -> None:
    deployed = (await talk.send("GET", HOSTS)).assert_is(200).json

    reply = await talk.send("GET", STAGED_HOSTS)

    assert reply.assert_is(200).json == deployed
    assert reply.headers["Content-Range"] == f"items 0-{len(deployed) - 1}/{len(deployed)}"
    for host in deployed:
        one = await talk.send("GET", f"{STAGED_HOSTS}/{host['id']}")
        assert one.assert_is(200).json == host


@staged
async def test_staged_hosts_are_filtered_cut_and_reduced(talk: Conversation) -> None:
    query = {"filter": 'components contains "magistrate"', "fields": "id,appliance(id)"}

    reply = await talk.send("GET", STAGED_HOSTS, query=query, headers={"Range": "items=0-0"})

    [host] = reply.assert_is(200).json
    assert set(host) == {"id", "appliance"}
    assert host["id"] == talk.server.console_id


@staged
@pytest.mark.parametrize("text", ids_named("404_1006", positive=True))
async def test_an_unknown_staged_host_is_refused(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{STAGED_HOSTS}/{text}")).assert_refused(404, 1006)


@staged
@pytest.mark.parametrize("text", [pytest.param("0", id="422_1007"), "-1"])
async def test_a_staged_id_that_is_not_positive_is_refused(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{STAGED_HOSTS}/{text}")).assert_refused(422, 1007)


@on_the_appliance
async def test_a_staged_host_is_in_force_after_a_deploy(
    talk: Conversation, fake: FakeAppliance
) -> None:
    fake.state.staged.hosts[DATA_HOST]["encryption_enabled"] = True
    path = f"{HOSTS}/{DATA_HOST}"

    (await talk.create()).assert_refused(409, 1011)
    assert (await talk.send("GET", path)).json["encryption_enabled"] is False
    await talk.deploy()

    assert (await talk.send("GET", path)).json["encryption_enabled"] is True


@allocation
@pytest.mark.parametrize("text", [*ids_named("404_1010"), "0"])
async def test_an_unknown_host_gets_no_allocation(talk: Conversation, text: str) -> None:
    body = {"eps_allocation": 1}  # refused too, but later

    (await talk.send("POST", f"{HOSTS}/{text}", body=body)).assert_refused(404, 1010)


@allocation
@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="422_1009"),
        {"eps_allocation": None, "fpm_allocation": None},
        {"hostname": "other"},
    ],
)
async def test_a_body_without_an_allocation_is_refused(talk: Conversation, body: object) -> None:
    path = f"{HOSTS}/{talk.server.console_id}"

    (await talk.send("POST", path, body=body)).assert_refused(422, 1009)


@allocation
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        pytest.param("eps_allocation", 700, 1011, id="417_1011"),
        pytest.param("fpm_allocation", 15_000, 1012, id="417_1012"),
        pytest.param("eps_allocation", 0, 1013, id="417_1013"),
        pytest.param("eps_allocation", -500, 1013, id="417_1013-negative"),
        pytest.param("fpm_allocation", 0, 1014, id="417_1014"),
        pytest.param("eps_allocation", 15_500, 1019, id="417_1019"),
        pytest.param("fpm_allocation", 310_000, 1020, id="417_1020"),
    ],
)
async def test_an_impossible_allocation_is_refused(
    talk: Conversation, name: str, value: int, code: int
) -> None:
    path = f"{HOSTS}/{talk.server.console_id}"
    before = (await talk.send("GET", path)).json

    (await talk.send("POST", path, body={name: value})).assert_refused(417, code)

    assert (await talk.send("GET", path)).json == before


@on_the_appliance
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        pytest.param("eps_allocation", 10**9, 1017, id="417_1017"),
        pytest.param("fpm_allocation", 10**12, 1018, id="417_1018"),
    ],
)
async def test_the_hardware_has_its_limits(
    talk: Conversation, name: str, value: int, code: int
) -> None:
    (await talk.send("POST", f"{HOSTS}/{CONSOLE}", body={name: value})).assert_refused(417, code)


@on_the_appliance
async def test_a_serialized_licence_is_fixed_417_1016(
    talk: Conversation, fake: FakeAppliance
) -> None:
    for view in fake.state.views():
        view.hosts[CONSOLE]["license_serial_number"] = "S1"

    reply = await talk.send("POST", f"{HOSTS}/{CONSOLE}", body={"eps_allocation": 5500})

    reply.assert_refused(417, 1016)


@on_the_appliance
async def test_an_allocation_is_in_force_at_once(talk: Conversation) -> None:
    body = {"eps_allocation": 5500, "fpm_allocation": None, "hostname": "ignored"}
    path = f"{HOSTS}/{CONSOLE}"
    before = (await talk.send("GET", path)).json

    reply = await talk.send("POST", path, body=body)

    assert reply.assert_is(200).json == {**before, "eps_allocation": 5500}
    assert (await talk.send("GET", path)).json["eps_allocation"] == 5500
    (await talk.send("POST", DEPLOY, body={})).assert_refused(409, 1004)


@on_the_appliance
async def test_fields_are_a_header_of_a_change(talk: Conversation) -> None:
    reply = await talk.send(
        "POST",
        f"{HOSTS}/{CONSOLE}",
        headers={"fields": "id,eps_allocation"},
        body={"eps_allocation": 4500},
    )

    assert reply.assert_is(200).json == {"id": CONSOLE, "eps_allocation": 4500}
