"""Hosts, tunnels, servers and what the engine has nothing to act on (spec §4.6, §6, §8)."""

from typing import Any, TypeAlias

import pytest

from localengine import LocalEngine

Anything: TypeAlias = Any
HOSTS = "/api/config/deployment/hosts"
STAGED_HOSTS = "/api/staged_config/deployment/hosts"
SERVERS = "/api/system/servers"


async def code(engine: LocalEngine, method: str, path: str, **options: Anything) -> tuple[int, int]:
    answer = await engine.send(method, path, **options)
    return answer.status_code, answer.json()["code"]


async def test_staged_and_deployed_hosts_are_the_same(resting: LocalEngine) -> None:
    (console,) = (await resting.send("GET", HOSTS)).json()
    assert (await resting.send("GET", STAGED_HOSTS)).json() == [console]
    assert (await resting.send("GET", f"{STAGED_HOSTS}/1")).json() == console
    assert console["primary_server_id"] == 1


@pytest.mark.parametrize(
    ("path", "number", "refusal"),
    [
        (HOSTS, "2", (404, 1002)),
        (HOSTS, "0", (422, 1003)),
        (HOSTS, "x", (404, 1002)),
        (STAGED_HOSTS, "2", (404, 1006)),
        (STAGED_HOSTS, "-1", (422, 1007)),
        (STAGED_HOSTS, str(2**63), (404, 1006)),
        (SERVERS, "2", (404, 1002)),
        (SERVERS, "0", (422, 1005)),
    ],
)
async def test_ids_that_are_none(
    resting: LocalEngine, path: str, number: str, refusal: tuple[int, int]
) -> None:
    assert await code(resting, "GET", f"{path}/{number}") == refusal


@pytest.mark.parametrize(
    ("host_id", "body", "refusal"),
    [
        ("2", {"eps_allocation": 501}, (404, 1010)),
        ("0", {"eps_allocation": 501}, (404, 1010)),
        ("1", {}, (422, 1009)),
        ("1", {"eps_allocation": None, "fpm_allocation": None}, (422, 1009)),
        ("1", {"eps_allocation": 501, "fpm_allocation": 1}, (417, 1011)),
        ("1", {"eps_allocation": 0, "fpm_allocation": 1}, (417, 1012)),
        ("1", {"eps_allocation": 0, "fpm_allocation": 0}, (417, 1013)),
        ("1", {"eps_allocation": -500}, (417, 1013)),
        ("1", {"eps_allocation": 500, "fpm_allocation": 0}, (417, 1014)),
        ("1", {"eps_allocation": 500, "fpm_allocation": 10_000}, (417, 1019)),
        ("1", {"fpm_allocation": 10_000}, (417, 1020)),
        ("1", {"eps_allocation": "500"}, (422, 11)),
    ],
)
async def test_without_a_licence_pool_no_allocation_can_be_had(
    resting: LocalEngine, host_id: str, body: dict[str, Any], refusal: tuple[int, int]
) -> None:
    assert await code(resting, "POST", f"{HOSTS}/{host_id}", json=body) == refusal


@pytest.mark.parametrize("hosts", [HOSTS, STAGED_HOSTS])
async def test_no_host_has_tunnels(resting: LocalEngine, hosts: str) -> None:
    query = {"filter": "remote_host_id = 5", "fields": "name"}
    answer = await resting.send("GET", f"{hosts}/1/tunnels", params=query)
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["Content-Range"] == "items */0"
    assert await code(resting, "GET", f"{hosts}/2/tunnels") == (404, 1009)
    assert await code(resting, "GET", f"{hosts}/0/tunnels") == (422, 1010)
    wrong = await code(resting, "GET", f"{hosts}/2/tunnels", headers={"Range": "items=1"})
    assert wrong == (422, 36)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("1/tunnels/t1", (404, 1012)),
        ("2/tunnels/t1", (404, 1013)),
        ("1/tunnels/a%20b", (422, 1010)),
        ("0/tunnels/t1", (422, 1011)),
    ],
)
async def test_a_tunnel_cannot_be_turned(
    resting: LocalEngine, path: str, refusal: tuple[int, int]
) -> None:
    body = {"reverse_source": True}
    assert await code(resting, "POST", f"{STAGED_HOSTS}/{path}", json=body) == refusal


async def test_there_is_one_server_per_host(resting: LocalEngine) -> None:
    listed = {
        "server_id": 1,
        "managed_host_id": 1,
        "hostname": "console",
        "private_ip": None,
        "status": "ACTIVE",
    }
    assert (await resting.send("GET", SERVERS)).json() == [listed]
    single = (await resting.send("GET", f"{SERVERS}/1")).json()
    assert single == {**listed, "email_server_address": None}
    filtered = await resting.send("GET", SERVERS, params={"filter": "managed_host_id > 1"})
    assert filtered.json() == []


async def test_there_is_no_standby_and_no_packet_filter_to_act_on(resting: LocalEngine) -> None:
    below = "/api/backup_and_restore"
    assert await code(resting, "GET", f"{below}/haAction/restore") == (404, 1001)
    assert await code(resting, "POST", f"{below}/updateiptablesprefile") == (404, 1001)
    assert await code(resting, "POST", f"{below}/haAction/restore") == (405, 2)
