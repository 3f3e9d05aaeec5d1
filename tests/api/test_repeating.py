"""Which requests are repeated, how often, and how far apart (spec §2.11)."""

import asyncio
import itertools
from collections.abc import Callable

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.clients import CALLS, QUICK_REPEATS, client_of
from appliance.server import FakeAppliance
from backup_api.backups import BackupType, CreateBackup
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken
from backup_api.endpoints import ENDPOINTS, Endpoint
from backup_api.exceptions import BackupApiError, MalformedAnswerError, RefusedError
from backup_api.pacing import RetryPolicy

Plan = Callable[[FakeAppliance], object]

PASSING: dict[str, Plan] = {
    "reset": lambda a: a.faults.reset("*", times=2),
    "dropped_answer": lambda a: a.faults.drop_answer("*", times=2),
    "body_cut": lambda a: a.faults.cut_body("*", times=2),
    "refused_502": lambda a: a.faults.refuse("*", 502, 0, times=2),
    "refused_503": lambda a: a.faults.refuse("*", 503, 0, times=2),
    "refused_504": lambda a: a.faults.refuse("*", 504, 0, times=2),
    "refused_550": lambda a: a.faults.refuse("*", 550, 0, times=2),
    "html_502": lambda a: a.faults.html_page("*", 502, times=2),
}

GETS = [endpoint for endpoint in CALLS if endpoint.method == "GET"]
OTHERS = [
    pytest.param(endpoint, fault, id=f"{endpoint}-{fault}")
    for endpoint in CALLS
    for fault in PASSING
    if endpoint.method != "GET" and (endpoint.success, fault) != (204, "body_cut")  # no body
]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("endpoint", GETS, ids=str)
async def test_a_get_is_repeated_until_it_succeeds(
    appliance: FakeAppliance, endpoint: Endpoint, fault: str
) -> None:
    appliance.add_backup("there")
    appliance.add_restore()
    PASSING[fault](appliance)

    async with client_of(appliance, retry=QUICK_REPEATS) as client:
        await CALLS[endpoint](client)

    assert len(appliance.requests) == 3


@pytest.mark.parametrize(("endpoint", "fault"), OTHERS)
async def test_what_changes_something_is_never_repeated(
    appliance: FakeAppliance, endpoint: Endpoint, fault: str
) -> None:
    appliance.add_backup("there")
    appliance.add_restore()
    PASSING[fault](appliance)

    async with client_of(appliance, retry=QUICK_REPEATS) as client:
        with pytest.raises(BackupApiError):
            await CALLS[endpoint](client)

    assert len(appliance.requests) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(401, 18), (403, 26), (404, 1001), (409, 1015), (422, 11), (500, 1000)]
)
async def test_other_refusals_of_a_get_are_not_repeated(
    appliance: FakeAppliance, status: int, code: int
) -> None:
    appliance.faults.refuse("*", status, code, times=None)

    async with client_of(appliance, retry=QUICK_REPEATS) as client:
        with pytest.raises(RefusedError):
            await client.get_backup(1)

    assert len(appliance.requests) == 1


async def test_half_an_answer_with_200_is_not_repeated(appliance: FakeAppliance) -> None:
    appliance.faults.truncate("*", times=None)

    async with client_of(appliance, retry=QUICK_REPEATS) as client:
        with pytest.raises(MalformedAnswerError):
            await client.about()

    assert len(appliance.requests) == 1


async def test_the_last_trouble_is_told_when_all_attempts_are_used(
    appliance: FakeAppliance,
) -> None:
    appliance.faults.reset("*", times=2)
    appliance.faults.refuse("*", 503, 0, times=None)

    async with client_of(appliance, retry=QUICK_REPEATS) as client:
        with pytest.raises(RefusedError, match="503"):
            await client.about()

    assert len(appliance.requests) == 3


async def test_a_rotated_token_counts_from_the_next_attempt_on(appliance: FakeAppliance) -> None:
    appliance.faults.refuse("GET /about", 503, 0)
    tokens = iter(["gone", "rotated"])

    class Rotating:
        async def headers(self) -> dict[str, str]:
            return {"SEC": {"gone": "old", "rotated": appliance.token}[next(tokens)]}

    async with client_of(appliance, retry=QUICK_REPEATS, credentials=Rotating()) as client:
        await client.about()

    assert appliance.count("GET /about", status=200) == 1


def client_on(transport: httpx2.MockTransport, **changes: object) -> BackupApiClient:
    defaults: dict[str, object] = {"requests_per_second": 1000.0}
    options = ClientOptions("https://127.0.0.1", SecToken("t"), **{**defaults, **changes})  # type: ignore[arg-type]
    return BackupApiClient(options, transport)


@pytest.mark.looptime
async def test_attempts_are_spaced_by_the_policy() -> None:
    times: list[float] = []

    def unavailable(_: httpx2.Request) -> httpx2.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx2.Response(503)

    policy = RetryPolicy(attempts=6, first_delay_s=4.0, longest_delay_s=20.0)
    async with client_on(httpx2.MockTransport(unavailable), retry=policy) as client:
        with pytest.raises(MalformedAnswerError):
            await client.about()

    assert len(times) == 6
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for gap, ceiling in zip(gaps, [4.0, 8.0, 16.0, 20.0, 20.0], strict=True):
        assert gap <= ceiling + 0.01
    assert sum(gaps) > 0.1  # all five draws near zero: once in very many thousand runs


@pytest.mark.looptime
async def test_requests_are_paced() -> None:
    times: list[float] = []

    def about(_: httpx2.Request) -> httpx2.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx2.Response(200, json={})

    async with client_on(httpx2.MockTransport(about), requests_per_second=2.0) as client:
        await asyncio.gather(*(client.about() for _ in range(40)))

    assert len(times) == 40
    assert times[-1] - times[0] >= (40 - 11) / 2.0 - 0.01  # a burst of ten goes at once


@pytest.mark.looptime
async def test_a_post_that_is_refused_at_once_is_not_slept_over() -> None:
    def refused(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(503)

    async with client_on(httpx2.MockTransport(refused), retry=RetryPolicy(9, 60.0, 60.0)) as client:
        start = asyncio.get_running_loop().time()
        with pytest.raises(MalformedAnswerError):
            await client.create_backup(CreateBackup(name="x"), BackupType.CONFIG)
        assert asyncio.get_running_loop().time() - start < 1.0


@given(
    attempt=st.integers(1, 10_000),
    first=st.floats(0.001, 10.0),
    longest=st.floats(0.001, 100.0),
    chance=st.floats(0.0, 1.0),
)
def test_a_delay_is_never_longer_than_its_ceiling(
    attempt: int, first: float, longest: float, chance: float
) -> None:
    delay = RetryPolicy(3, first, longest).delay_s(attempt, lambda: chance)

    assert 0.0 <= delay <= min(longest, first * 2.0 ** min(attempt - 1, 1000))


def test_delays_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=9, first_delay_s=1.0, longest_delay_s=10.0)

    assert [policy.delay_s(n, lambda: 1.0) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    assert policy.delay_s(3, lambda: 0.5) == 2


def test_only_gets_are_safe() -> None:
    assert all(endpoint.is_safe == (endpoint.method == "GET") for endpoint in ENDPOINTS)
