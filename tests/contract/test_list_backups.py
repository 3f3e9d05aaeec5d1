"""GET /backup_and_restore/backups: fields, range, sort (spec §2.7, §2.9, §2.10, §3.1)."""

import pytest

from contract.servers import Conversation

SORTABLE = [
    "id",
    "host_id",
    "name",
    "description",
    "type",
    "version",
    "time_initiated",
    "time_completed",
    "initiated_by",
    "intiated_by",
    "status",
    "size_on_disk",
    "content_file_path",
]


async def ours(talk: Conversation) -> tuple[str, str]:
    """Prefix of the population, and the filter for it."""
    prefix = await talk.server.populate()
    return prefix, f'name like "{prefix}.%"'


def endings(names: list[str]) -> str:
    """Last characters of the names, in order."""
    return "".join(name[-1] for name in names)


async def test_without_a_sort_the_order_is_by_ascending_id(talk: Conversation) -> None:
    _, wanted = await ours(talk)

    reply = (await talk.list({"filter": wanted})).assert_is(200)

    assert endings(reply.names) == "abcdE"
    assert reply.ids == sorted(reply.ids)


async def test_without_a_range_the_whole_list_comes_with_its_count(talk: Conversation) -> None:
    _, wanted = await ours(talk)

    reply = await talk.list({"filter": wanted})

    assert reply.headers["Content-Range"] == "items 0-4/5"


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("items=0-4", "abcdE", "items 0-4/5"),
        ("items=0-0", "a", "items 0-0/5"),
        ("items=1-3", "bcd", "items 1-3/5"),
        ("items=4-4", "E", "items 4-4/5"),
        ("items=3-99", "dE", "items 3-4/5"),
        ("items=5-9", "", "items */5"),
        (f"items=0-{2**63 - 1}", "abcdE", "items 0-4/5"),
        ("items=00-01", "ab", "items 0-1/5"),
    ],
)
async def test_a_range_cuts_the_list(
    talk: Conversation, header: str, expected: str, content_range: str
) -> None:
    _, wanted = await ours(talk)

    reply = (await talk.list({"filter": wanted}, Range=header)).assert_is(200)

    assert endings(reply.names) == expected
    assert reply.headers["Content-Range"] == content_range


async def test_a_filter_that_matches_nothing_gives_an_empty_list(talk: Conversation) -> None:
    reply = (await talk.list({"filter": "id = 999999"}, Range="items=0-9")).assert_is(200)

    assert reply.json == []
    assert reply.headers["Content-Range"] == "items */0"


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("+id", "abcdE"),
        ("-id", "Edcba"),
        ("id", "abcdE"),
        (" id", "abcdE"),
        ("-time_initiated,+id", "Edcba"),
        ("+name", "Eabcd"),
        ("-name", "dcbaE"),
        ("+description", "bEdca"),
        ("-description", "acdEb"),
        ("+type", "abcdE"),
        ("-type", "abcdE"),
        ("+status,-name", "dcbaE"),
        ("-host_id,-id", "Edcba"),
        ("+initiated_by", "abcdE"),
        ("-intiated_by", "abcdE"),
    ],
)
async def test_sorting(talk: Conversation, sort: str, expected: str) -> None:
    _, wanted = await ours(talk)

    reply = (await talk.list({"filter": wanted, "sort": sort})).assert_is(200)

    assert endings(reply.names) == expected


@pytest.mark.parametrize("name", SORTABLE)
async def test_sortable_names(talk: Conversation, name: str) -> None:
    (await talk.list({"sort": f"+{name}"})).assert_is(200)


@pytest.mark.parametrize(
    "sort",
    [
        pytest.param(sort, id=f"422_1018-{sort}")
        for sort in (
            "+nonsense",
            "configuration_id",
            "-build_version",
            "is_valid",
            "+is_version_compatible",
            "app_deployment_location",
            "+id,+nonsense",
            "ID",
        )
    ],
)
async def test_other_names_are_not_sortable(talk: Conversation, sort: str) -> None:
    (await talk.list({"sort": sort})).assert_refused(422, 1018)


async def test_sort_then_range_then_fields(talk: Conversation) -> None:
    prefix, wanted = await ours(talk)

    reply = await talk.list({"filter": wanted, "sort": "-id", "fields": "name"}, Range="items=1-2")

    assert reply.assert_is(200).json == [{"name": f"{prefix}.d"}, {"name": f"{prefix}.c"}]


@pytest.mark.parametrize(
    ("fields", "members"),
    [
        ("id,name", {"id", "name"}),
        (" id , name ", {"id", "name"}),
        ("intiated_by", {"intiated_by"}),
        ("initiated_by", {"intiated_by"}),
        ("name,name", {"name"}),
    ],
)
async def test_fields_reduce_each_record(
    talk: Conversation, fields: str, members: set[str]
) -> None:
    _, wanted = await ours(talk)

    reply = (await talk.list({"filter": wanted, "fields": fields})).assert_is(200)

    assert all(set(record) == members for record in reply.json)


async def test_empty_fields_are_all_fields(talk: Conversation) -> None:
    _, wanted = await ours(talk)

    whole = await talk.list({"filter": wanted})
    reply = await talk.list({"filter": wanted, "fields": ""})

    assert reply.assert_is(200).json == whole.json


@pytest.mark.parametrize("fields", ["NAME", "id(x)", "id(", "id)", "id,(name)", "id name", "*"])
async def test_malformed_fields_are_422_30(talk: Conversation, fields: str) -> None:
    (await talk.list({"fields": fields})).assert_refused(422, 30)
