import pytest

from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.discovery import Kind, Target
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.listing import Listed, Page, PageLimits, list_pages
from backup_engine.capture.policy import STRICT, SuccessPolicy
from backup_engine.capture.split import split
from backup_engine.cluster import ClusterConnection
from listserver import Fault, Listing, ListServer, a_config_map

CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", is_namespaced=True)
PATH = "/api/v1/configmaps"
QUICK = RetryPolicy(attempts=4, busy_attempts=4, first_delay_s=0.001, longest_delay_s=0.01)
NAMES = [f"object-{number:02d}" for number in range(10)]


@pytest.fixture(autouse=True)
def ten_config_maps(server: ListServer) -> None:
    objects = [a_config_map(name) for name in NAMES]
    server.add(Listing("", "v1", "configmaps", "ConfigMap", objects))


async def listed(
    cluster: ClusterConnection,
    limits: PageLimits | None = None,
    retries: RetryPolicy = QUICK,
    policy: SuccessPolicy = STRICT,
) -> tuple[list[str], Listed, int]:
    """Return the names found, the end of the list, and the number of pages."""
    names: list[str] = []
    pages = 0
    end: Listed | None = None
    async for item in list_pages(
        cluster, Target(CONFIG_MAPS), limits or PageLimits(objects=3), retries, policy
    ):
        if isinstance(item, Page):
            pages += 1
            names += [one.name for one in split(item.items, item.api_version, "ConfigMap")]
        else:
            end = item
    assert end is not None
    return names, end, pages


async def test_pages_come_in_order_and_the_end_tells_version_and_count(
    cluster: ClusterConnection,
) -> None:
    names, end, pages = await listed(cluster)

    assert names == NAMES
    assert pages == 4
    assert end.entry is not None
    assert end.skipped is None
    assert (end.entry.resource_version, end.entry.objects) == ("1000", 10)
    assert end.entry.is_consistent


async def test_an_expired_token_costs_consistency_but_no_object(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.fail(PATH, Fault(410, "too old", continue_="3", only_with_token=True))

    names, end, _ = await listed(cluster)

    assert names == NAMES
    assert end.entry is not None
    assert not end.entry.is_consistent
    assert server.requests[2][1]["continue"] == "3"


async def test_an_expired_token_without_a_fresh_one_begins_anew_and_doubles_nothing(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.fail(PATH, Fault(410, "too old", only_with_token=True))

    names, end, _ = await listed(cluster)

    assert names == NAMES
    assert end.entry is not None
    assert (end.entry.is_consistent, end.entry.objects) == (False, 10)
    tokens = [query.get("continue") for _, query in server.requests]
    assert tokens == [None, "3", None, "3", "6", "9"]


async def test_a_list_that_expires_without_getting_on_fails_in_the_end(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.fail(PATH, Fault(410, "too old", only_with_token=True, times=99))

    with pytest.raises(CaptureError) as caught:
        await listed(cluster)

    assert caught.value.reason == "ListExpired"


async def test_an_expired_list_without_order_fails_rather_than_losing_objects(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.listings[0].objects.reverse()
    server.fail(PATH, Fault(410, "too old", only_with_token=True))

    with pytest.raises(CaptureError) as caught:
        await listed(cluster)

    assert caught.value.reason == "ListExpired"


@pytest.mark.parametrize("status", [429, 500, 503, 0])
async def test_a_busy_or_absent_server_is_asked_again(
    server: ListServer, cluster: ClusterConnection, status: int
) -> None:
    server.fail(PATH, Fault(status, times=3))

    names, end, _ = await listed(cluster)

    assert names == NAMES
    assert end.entry is not None
    assert end.entry.is_consistent


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "ServerUnavailable"), (0, "ClusterUnreachable")]
)
async def test_a_server_that_stays_away_fails_the_capture(
    server: ListServer, cluster: ClusterConnection, status: int, reason: str
) -> None:
    server.fail(PATH, Fault(status, "later", times=99))

    with pytest.raises(CaptureError) as caught:
        await listed(cluster)

    assert caught.value.reason == reason
    assert "4 attempts" in caught.value.message


def test_the_servers_own_wish_for_a_pause_goes_first() -> None:
    policy = RetryPolicy(attempts=9, first_delay_s=0.5, longest_delay_s=8)

    assert [policy.delay_s(failed, None) for failed in (1, 2, 3, 9)] == [0.5, 1, 2, 8]
    assert policy.delay_s(1, "3") == 3
    assert policy.delay_s(1, "3600") == 300
    assert policy.delay_s(2, "Fri, 01 Jan 2027 00:00:00 GMT") == 1


async def test_a_forbidden_kind_fails_the_capture_and_is_named(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.fail(PATH, Fault(403, "user x cannot list"))

    with pytest.raises(CaptureError) as caught:
        await listed(cluster)

    assert caught.value.reason == "Forbidden"
    assert "configmaps" in caught.value.message


async def test_a_server_that_sheds_load_is_waited_for_longer_than_one_that_fails(
    server: ListServer, cluster: ClusterConnection
) -> None:
    patient = RetryPolicy(attempts=2, busy_attempts=30, first_delay_s=0.001, longest_delay_s=0.001)
    server.fail(PATH, Fault(429, "too many requests", times=20, headers={"Retry-After": "0"}))

    names, _, _ = await listed(cluster, retries=patient)

    assert names == NAMES


@pytest.mark.parametrize(
    ("fault", "tolerance", "reason"),
    [
        (Fault(403, "no", times=9), "tolerate_forbidden", "Forbidden"),
        (Fault(503, "down", times=9), "tolerate_unavailable", "ServerUnavailable"),
        (Fault(400, "odd", times=9), "tolerate_failed", "UnexpectedAnswer"),
    ],
)
async def test_a_gap_is_noted_only_where_the_policy_tolerates_it(
    server: ListServer, cluster: ClusterConnection, fault: Fault, tolerance: str, reason: str
) -> None:
    server.fail(PATH, fault)
    others = {"tolerate_forbidden", "tolerate_unavailable", "tolerate_failed"} - {tolerance}
    with pytest.raises(CaptureError) as caught:
        await listed(cluster, policy=SuccessPolicy(**dict.fromkeys(others, ("*",))))
    assert caught.value.reason == reason
    fault.times = 9

    names, end, _ = await listed(cluster, policy=SuccessPolicy(**{tolerance: ("configmaps.",)}))

    assert (names, end.entry) == ([], None)
    assert end.skipped is not None
    assert end.skipped.reason == reason


async def test_a_tolerated_gap_half_way_keeps_what_was_listed_and_says_so(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.fail(PATH, Fault(503, "down", times=9, only_with_token=True))

    names, end, _ = await listed(cluster, policy=SuccessPolicy(tolerate_unavailable=("*",)))

    assert names == NAMES[:3]
    assert end.entry is not None
    assert (end.entry.objects, end.entry.is_consistent) == (3, False)
    assert end.skipped is not None
    assert "after 3 objects" in end.skipped.message


async def test_no_list_asks_for_a_state_that_may_be_stale(
    server: ListServer, cluster: ClusterConnection
) -> None:
    await listed(cluster)

    assert all("resourceVersion" not in query for _, query in server.requests)


@pytest.mark.parametrize("status", [404, 405])
async def test_a_kind_that_vanished_is_noted(
    server: ListServer, cluster: ClusterConnection, status: int
) -> None:
    server.fail(PATH, Fault(status, "gone"))

    names, end, _ = await listed(cluster)

    assert names == []
    assert end.entry is None
    assert end.skipped is not None
    assert end.skipped.reason == "Vanished"


async def test_a_kind_that_vanishes_between_two_pages_keeps_its_first_objects(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.fail(PATH, Fault(404, "gone", only_with_token=True))

    names, end, _ = await listed(cluster)

    assert names == NAMES[:3]
    assert end.entry is not None
    assert end.skipped is not None
    assert (end.entry.objects, end.entry.is_consistent) == (3, False)


async def test_big_objects_are_asked_for_in_smaller_pages(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.listings[0].objects = [a_config_map(name, x="y" * 50_000) for name in NAMES]

    names, _, _ = await listed(cluster, PageLimits(objects=500, bytes=200_000))

    assert names == NAMES
    assert [int(query["limit"]) for _, query in server.requests[:4]] == [500, 125, 31, 7]
    assert all(int(query["limit"]) <= 3 for _, query in server.requests[4:])


async def test_pages_grow_again_behind_big_objects(
    server: ListServer, cluster: ClusterConnection
) -> None:
    big = [a_config_map(f"big-{number}", x="y" * 50_000) for number in range(8)]
    small = [a_config_map(f"small-{number:03d}") for number in range(300)]
    server.listings[0].objects = big + small

    names, _, pages = await listed(cluster, PageLimits(objects=100, bytes=200_000))

    assert len(names) == len(set(names)) == 308
    assert pages <= 16
    assert server.requests[-1][1]["limit"] == "100"


async def test_an_object_larger_than_a_page_is_still_captured(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.listings[0].objects = [a_config_map(name, x="y" * 50_000) for name in NAMES]

    names, _, _ = await listed(cluster, PageLimits(objects=4, bytes=20_000))

    assert names == NAMES


async def test_an_answer_that_would_fill_the_memory_is_not_read(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.listings[0].objects = [a_config_map(name, x="y" * 50_000) for name in NAMES]
    limits = PageLimits(objects=4, bytes=20_000, largest_bytes=40_000)

    with pytest.raises(CaptureError, match="limit=1; the object is larger") as caught:
        await listed(cluster, limits)
    names, end, _ = await listed(cluster, limits, policy=SuccessPolicy(tolerate_failed=("*",)))

    assert caught.value.reason == "AnswerTooLarge"
    assert (names, end.entry) == ([], None)
    assert end.skipped is not None
    assert end.skipped.reason == "AnswerTooLarge"


async def test_lists_of_custom_resources_tell_their_token_behind_the_items(
    server: ListServer, cluster: ClusterConnection
) -> None:
    server.listings[0].is_typed = False

    names, _, _ = await listed(cluster)

    assert names == NAMES
