"""Lists in pages (spec §2.10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.server import FakeAppliance
from backup_api.client import PAGE_LENGTH, BackupApiClient
from backup_api.filters import name_is
from backup_api.paging import MAX_POSITION, ItemRange, content_range, parse_range, parse_total


async def test_twelve_hundred_records_come_in_pages(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    wanted = [appliance.add_backup(f"b{number}") for number in range(1200)]

    found = [record.id async for record in client.list_backups()]

    assert found == wanted
    assert appliance.count("GET /backups") == 1200 // PAGE_LENGTH + 1


async def test_a_record_that_goes_between_two_pages_hides_no_other(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    ids = [appliance.add_backup(f"b{number}") for number in range(30)]
    found = []

    async for record in client.list_backups(page_length=10):
        found.append(record.id)
        if len(found) in {10, 20}:
            appliance.forget(found[0 if len(found) == 10 else 1])  # positions move by one
            appliance.forget(ids[len(found) + 5])

    assert found == [number for number in ids if number not in {ids[15], ids[25]}]


async def test_a_record_that_comes_between_two_pages_is_found_once(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    ids = [appliance.add_backup(f"b{number}") for number in range(10)]
    found = []

    async for record in client.list_backups(page_length=10):
        found.append(record.id)
        if len(found) == 5:
            ids.append(appliance.add_backup("late"))

    assert found == ids


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20])
async def test_page_borders(client: BackupApiClient, appliance: FakeAppliance, count: int) -> None:
    ids = [appliance.add_backup(f"b{number}") for number in range(count)]

    assert [record.id async for record in client.list_backups(page_length=10)] == ids


async def test_the_callers_filter_holds_on_every_page(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    kept = []
    for number in range(30):
        appliance.add_backup(f"good{number}")
        kept.append(appliance.add_backup(f"bad{number}", status="FAILED"))
    wanted = 'status = "FAILED" or status = "MISSING"'  # an or, to be bracketed by the client

    found = [r.id async for r in client.list_backups(filter_by=wanted, page_length=4)]

    assert found == kept


async def test_a_server_that_ignores_ranges_gives_every_record_once(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    body = b"[%s]" % b",".join(b'{"id": %d}' % number for number in range(1, 31))
    appliance.faults.answer_with("GET /backups", 200, body)

    assert [record.id async for record in client.list_backups(page_length=10)] == [*range(1, 31)]


async def test_206_is_a_page_too(client: BackupApiClient, appliance: FakeAppliance) -> None:
    appliance.faults.answer_with("GET /backups", 206, b'[{"id": 1}]')

    page = await client.list_backups_page(ItemRange(0, 9))

    assert [record.id for record in page.records] == [1]
    assert page.total is None


async def test_a_page_tells_the_size_of_the_whole_list(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    for number in range(7):
        appliance.add_backup(f"b{number}")

    page = await client.list_backups_page(ItemRange(2, 3), sort="-id")
    beyond = await client.list_backups_page(ItemRange(50, 59), filter_by=name_is("b3"))

    assert ([record.id for record in page.records], page.first, page.total) == ([5, 4], 2, 7)
    assert (beyond.records, beyond.total) == ((), 1)


@given(st.integers(0, MAX_POSITION), st.integers(0, MAX_POSITION))
def test_ranges_survive_the_wire(one: int, other: int) -> None:
    items = ItemRange(min(one, other), max(one, other))

    assert parse_range(str(items)) == items
    assert items.length >= 1


@given(st.integers(0, MAX_POSITION), st.integers(0, MAX_POSITION))
def test_reversed_ranges_are_refused(first: int, last: int) -> None:
    if first <= last:
        assert parse_range(f"items={first}-{last}").length == last - first + 1
    else:
        with pytest.raises(ValueError, match="negative"):
            parse_range(f"items={first}-{last}")


@given(st.text())
def test_any_other_header_is_refused_in_a_way_that_names_the_form(header: str) -> None:
    try:
        items = parse_range(header)
    except ValueError as trouble:
        assert "items=x-y" in str(trouble)  # noqa: PT017 - most texts are refused, not all
    else:
        assert items.first <= items.last


@pytest.mark.parametrize(
    "header", ["", "0-4", "items=-3-2", "items=1", "items=٣-٤", "items=0-1,3-4", "items=0 - 1"]
)
def test_malformed_ranges_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match="items=x-y"):
        parse_range(header)


def test_positions_end_where_a_long_ends() -> None:
    assert parse_range(f"items=0-{2**63 - 1}").last == 2**63 - 1
    with pytest.raises(ValueError, match="beyond"):
        parse_range(f"items=0-{2**63}")


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**9))
def test_totals_survive_the_wire(first: int, count: int, total: int) -> None:
    assert parse_total(content_range(first, count, total)) == total


@given(st.one_of(st.none(), st.text()))
def test_an_unreadable_total_is_not_told(header: str | None) -> None:
    total = parse_total(header)

    assert total is None or total >= 0


def test_the_examples_of_the_reference() -> None:
    assert content_range(0, 12, 12) == "items 0-11/12"
    assert content_range(5, 0, 3) == "items */3"
    assert parse_total("items 0-1/9") == 9
    assert parse_total("items */3") == 3
    assert parse_total("bytes 0-1/9") is None
