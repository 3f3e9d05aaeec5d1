"""Steering the fake: what no client can do to it, and so no contract case reaches."""

import asyncio
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from appliance.faults import Moment
from appliance.server import FakeAppliance
from contract.replies import RawClient, Reply

BACKUPS = "/backup_and_restore/backups"


@pytest.fixture
async def raw(appliance: FakeAppliance) -> AsyncIterator[RawClient]:
    async with RawClient(appliance.url, appliance.ca_pem, {"SEC": appliance.token}) as client:
        yield client


async def create(raw: RawClient, name: str = "wanted") -> Reply:
    body = {"name": name, "configuration_id": 1}
    return await raw.request("POST", BACKUPS, headers={"backup_type": "CONFIG"}, body=body)


async def test_a_backup_runs_for_the_time_that_was_set(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    appliance.clock.freeze()
    appliance.backup_seconds = 100.0
    appliance.initializing_seconds = 10.0
    backup_id = (await create(raw)).json["id"]

    states = []
    for _ in range(4):
        states.append(appliance.backup(backup_id)["status"])
        appliance.clock.advance(33.4)

    assert states == ["INITIALIZING", "IN_PROGRESS", "IN_PROGRESS", "SUCCESS"]


async def test_a_deletion_takes_the_time_that_was_set(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    appliance.clock.freeze()
    appliance.deletion_seconds = 5.0
    backup_id = appliance.add_backup("old")
    await raw.request("DELETE", f"{BACKUPS}/{backup_id}")

    assert appliance.backup(backup_id)["status"] == "DELETING"
    appliance.clock.advance(5.0)
    assert appliance.backups == []


async def test_the_clock_shows_in_the_date_and_in_times(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    appliance.clock.advance(-86400.0)
    appliance.clock.freeze()

    reply = await create(raw)

    date = parsedate_to_datetime(reply.headers["Date"]).timestamp()
    assert date == int(appliance.clock.now_s())
    assert reply.json["time_initiated"] == appliance.clock.now_ms()


async def test_a_rotated_token_is_the_only_one(appliance: FakeAppliance, raw: RawClient) -> None:
    fresh = appliance.rotate_token()

    (await raw.request("GET", "/system/about")).assert_refused(401, 18)
    (await raw.request("GET", "/system/about", credentials={"SEC": fresh})).assert_is(200)


async def test_the_log_tells_what_was_asked_but_no_secret(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    await create(raw)
    await raw.request("GET", f"{BACKUPS}/7", query="fields=id")

    first, second = appliance.requests
    assert (first.method, first.path, first.status) == ("POST", f"/api{BACKUPS}", 201)
    assert first.backup_type == "CONFIG"
    assert first.body == b'{"name": "wanted", "configuration_id": 1}'
    assert (second.query, second.status) == ({"fields": "id"}, 404)
    assert appliance.token not in repr(appliance.requests)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("POST /backups", 1),
        ("GET /backups", 1),
        ("GET /backups/{id}", 1),
        ("GET /backups/7", 1),
        ("GET /backups/8", 0),
        ("GET /backups*", 2),
        (f"POST {BACKUPS}", 1),
        ("GET /about", 1),
        ("GET /system/about", 1),
        ("GET *", 3),
        ("*", 4),
        ("DELETE *", 0),
    ],
)
async def test_requests_go_by_several_names(
    appliance: FakeAppliance, raw: RawClient, pattern: str, count: int
) -> None:
    await create(raw)
    await raw.request("GET", BACKUPS)
    await raw.request("GET", f"{BACKUPS}/7")
    await raw.request("GET", "/system/about/")

    assert appliance.count(pattern) == count


async def test_waiting_for_a_request_ends_when_it_comes(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    waiting = asyncio.create_task(appliance.received("POST /backups", times=2))
    await create(raw, "first")
    assert not waiting.done()
    await create(raw, "second")

    assert (await waiting).body == b'{"name": "second", "configuration_id": 1}'


async def test_waiting_in_vain_says_what_was_seen(appliance: FakeAppliance, raw: RawClient) -> None:
    await raw.request("GET", "/system/about")

    with pytest.raises(TimeoutError, match=r"POST /backups.*GET /api/system/about"):
        await appliance.received("POST /backups", within_s=0.05)


async def test_a_request_that_is_held_has_arrived_but_not_been_answered(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    hold = appliance.faults.hold("POST /backups")
    asking = asyncio.create_task(create(raw))

    await appliance.received("POST /backups")
    with pytest.raises(TimeoutError):
        await appliance.answered("POST /backups", within_s=0.05)
    hold.release()

    assert (await appliance.answered("POST /backups")).status == 201
    (await asking).assert_is(201)


@pytest.mark.parametrize(
    ("moment", "existing"), [(Moment.BEFORE_ACTING, 0), (Moment.AFTER_ACTING, 1)]
)
async def test_a_held_request_waits_before_or_after_the_act(
    appliance: FakeAppliance, raw: RawClient, moment: Moment, existing: int
) -> None:
    hold = appliance.faults.hold("POST /backups", moment=moment)
    asking = asyncio.create_task(create(raw))
    await hold.arrived()

    assert len(appliance.backups) == existing
    hold.drop()

    with pytest.raises(httpx2.TransportError):
        await asking
    assert len(appliance.backups) == existing


async def test_a_held_request_is_acted_on_though_its_client_is_gone(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    hold = appliance.faults.hold("POST /backups")
    asking = asyncio.create_task(create(raw))
    await hold.arrived()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    hold.release()

    await eventually(lambda: len(appliance.backups) == 1)


async def test_faults_come_in_the_order_they_were_planned_and_are_used_up(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    appliance.faults.refuse("GET /about", 503, 0, times=2)
    appliance.faults.html_page("*", 502)

    statuses = [(await raw.request("GET", "/system/about")).status for _ in range(4)]

    assert statuses == [503, 503, 502, 200]


async def test_an_endless_fault_ends_when_it_is_cleared(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    appliance.faults.refuse("*", 550, 0, times=None)
    statuses = [(await raw.request("GET", "/system/about")).status for _ in range(3)]
    assert statuses == [550] * 3

    appliance.faults.clear()

    (await raw.request("GET", "/system/about")).assert_is(200)


async def test_a_server_that_is_down_refuses_and_comes_back_at_the_same_address(
    appliance: FakeAppliance, raw: RawClient
) -> None:
    address = appliance.url
    await appliance.go_down()
    with pytest.raises(httpx2.ConnectError):
        await raw.request("GET", "/system/about")

    await appliance.come_up()

    assert appliance.url == address
    (await raw.request("GET", "/system/about")).assert_is(200)


async def test_states_can_be_played(appliance: FakeAppliance) -> None:
    backup_id = appliance.add_backup("played", status="INITIALIZING")
    steps = [
        (appliance.begin, "IN_PROGRESS", False),
        (appliance.finish, "SUCCESS", True),
        (appliance.invalidate, "SUCCESS", False),
        (appliance.lose_archive, "MISSING", False),
        (appliance.return_archive, "SUCCESS", True),
        (appliance.fail, "FAILED", False),
    ]

    for step, status, is_valid in steps:
        step(backup_id)
        record = appliance.backup(backup_id)
        assert (record["status"], record["is_valid"]) == (status, is_valid)
    appliance.forget(backup_id)
    with pytest.raises(KeyError):
        appliance.backup(backup_id)


async def eventually(is_so: Callable[[], bool], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - the fake tells nobody that it acted
            await asyncio.sleep(0.01)
