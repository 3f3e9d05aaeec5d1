"""GET /system/about and /help/versions (spec §8)."""

import pytest

from contract.servers import Conversation

ABOUT = "/system/about"
VERSIONS = "/help/versions"


async def test_about_tells_the_product_version(talk: Conversation) -> None:
    told = (await talk.send("GET", ABOUT)).assert_is(200).json

    assert set(told) == {"build_version", "external_version", "release_name", "fips_enabled"}
    assert told["build_version"]
    assert told["external_version"]
    assert told["release_name"]
    assert isinstance(told["fips_enabled"], bool)


async def test_fields_reduce_about(talk: Conversation) -> None:
    reply = await talk.send("GET", ABOUT, query={"fields": "external_version"})

    assert set(reply.assert_is(200).json) == {"external_version"}


async def test_a_backup_has_the_version_that_about_tells(talk: Conversation) -> None:
    about = (await talk.send("GET", ABOUT)).json

    record = await talk.created()

    assert record["version"] == about["external_version"]
    assert record["build_version"] == about["build_version"]


async def test_the_newest_versions_are_live_and_older_ones_deprecated(talk: Conversation) -> None:
    versions = (await talk.send("GET", VERSIONS)).assert_is(200).json

    for version in versions:
        assert set(version) == {"id", "version", "deprecated", "removed", "root_resource_ids"}
    live = {one["version"] for one in versions if not (one["deprecated"] or one["removed"])}
    assert live == {"24.0", "25.0", "26.0"}


async def test_every_version_that_is_listed_is_answered(talk: Conversation) -> None:
    for version in (await talk.send("GET", VERSIONS)).json:
        reply = await talk.send("GET", ABOUT, headers={"Version": version["version"]})
        if version["removed"]:
            reply.assert_refused(422, None, "has been removed")
        else:
            assert ("Deprecated" in reply.assert_is(200).headers) is version["deprecated"]


async def test_one_version_is_told_as_in_the_list(talk: Conversation) -> None:
    for version in (await talk.send("GET", VERSIONS)).json:
        reply = await talk.send("GET", f"{VERSIONS}/{version['id']}")
        assert reply.assert_is(200).json == version


@pytest.mark.parametrize("text", ["999999", "0", "-1", "abc", str(2**63)])
async def test_an_unknown_version_is_404_1002(talk: Conversation, text: str) -> None:
    (await talk.send("GET", f"{VERSIONS}/{text}")).assert_refused(404, 1002)


async def test_versions_can_be_filtered_and_cut(talk: Conversation) -> None:
    query = {"filter": "deprecated = false and removed = false", "fields": "version"}

    reply = await talk.send("GET", VERSIONS, query=query, headers={"Range": "items=0-1"})

    assert len(reply.assert_is(200).json) == 2
    assert reply.headers["Content-Range"] == "items 0-1/3"
    assert all(set(one) == {"version"} for one in reply.json)
