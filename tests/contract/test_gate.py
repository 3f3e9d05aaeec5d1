"""Checks that come before every endpoint (spec §2.2 to §2.4, §2.11, §14 "Order of checks")."""

import base64

import pytest

from appliance.server import FakeAppliance
from contract.places import (
    ASKS,
    LISTS,
    NO_CAPABILITY_ON_THE_ENGINE,
    WITH_BODY,
    WITH_FIELDS,
    WITH_JSON,
    Ask,
    on_each,
    on_the_appliance,
)
from contract.servers import BACKUPS, Conversation

MEBIBYTE = 1024 * 1024
ABOUT = "/system/about"


@on_each(ASKS)
async def test_without_credentials_the_answer_is_401_18(talk: Conversation, ask: Ask) -> None:
    reply = await talk.send(ask.method, ask.path, credentials={})

    reply.assert_refused(401, 18, "No SEC header present in request")


@pytest.mark.parametrize(
    "credentials",
    [
        {"SEC": "00000000-0000-0000-0000-000000000000"},
        {"SEC": ""},
        {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="},
        {"Authorization": "Basic not-base64"},
        {"Authorization": "Bearer not-a-token"},
        {"Authorization": "Negotiate"},
    ],
    ids=["unknown_token", "empty_token", "unknown_user", "no_base64", "wrong_bearer", "no_scheme"],
)
async def test_wrong_credentials_are_no_credentials(
    talk: Conversation, credentials: dict[str, str]
) -> None:
    reply = await talk.send("GET", ABOUT, credentials=credentials)

    reply.assert_refused(401, 18)


async def test_a_wrong_token_is_not_mended_by_other_credentials(talk: Conversation) -> None:
    credentials = {"SEC": "wrong", "Authorization": "Basic YWRtaW46YWRtaW4="}

    (await talk.send("GET", ABOUT, credentials=credentials)).assert_refused(401, 18)


@on_each(ASKS, NO_CAPABILITY_ON_THE_ENGINE)
async def test_without_the_capability_the_answer_is_403_26(talk: Conversation, ask: Ask) -> None:
    raw = ask.body.encode() if ask.body else None
    credentials = await talk.server.powerless()

    reply = await talk.send(
        ask.method, ask.path, headers=dict(ask.headers), raw=raw, credentials=credentials
    )

    reply.assert_refused(403, 26, "insufficient capabilities")


@on_each(ASKS)
async def test_a_malformed_version_is_refused(talk: Conversation, ask: Ask) -> None:
    raw = ask.body.encode() if ask.body else None

    reply = await talk.send(
        ask.method, ask.path, headers={**dict(ask.headers), "Version": "abc"}, raw=raw
    )

    reply.assert_refused(422, None, "valid version")


@pytest.mark.parametrize("version", ["-1", "26.0.0", "26,0", "v26", "26.x", "1e1", "322.0123"])
async def test_odd_versions_are_malformed(talk: Conversation, version: str) -> None:
    reply = await talk.send("GET", ABOUT, headers={"Version": version})

    reply.assert_refused(422, None, "valid version")


async def test_a_removed_version_says_so(talk: Conversation) -> None:
    reply = await talk.send("GET", ABOUT, headers={"Version": "8.0"})

    reply.assert_refused(422, None, "has been removed")


@pytest.mark.parametrize("version", ["24.0", "24", "25.0", "26", "26.0", "27.0", "99"])
async def test_supported_and_future_versions_are_answered(talk: Conversation, version: str) -> None:
    reply = await talk.send("GET", ABOUT, headers={"Version": version})

    assert "Deprecated" not in reply.assert_is(200).headers


@pytest.mark.parametrize("version", ["9.0", "12.0", "12.1", "13", "15.0", "17.0", "23.0"])
async def test_deprecated_versions_still_work_and_say_so(talk: Conversation, version: str) -> None:
    reply = await talk.send("GET", ABOUT, headers={"Version": version})

    assert reply.assert_is(200).headers["Deprecated"]


@pytest.mark.parametrize(
    ("version", "is_there"),
    [("25.0", False), ("12.0", False), ("26.0", True), ("30.0", True), (None, True)],
)
async def test_the_deployment_location_exists_from_26_on(
    talk: Conversation, version: str | None, is_there: bool
) -> None:
    prefix = await talk.server.populate()
    headers = {"Version": version} if version else {}

    reply = await talk.list({"filter": f'name = "{prefix}.a"'}, **headers)

    assert ("app_deployment_location" in reply.assert_is(200).json[0]) is is_there


@pytest.mark.parametrize(
    "path", ["/nope", "", "/", "/backup_and_restore", f"{BACKUPS}/1/2", "/help/versions/1/x"]
)
async def test_an_unknown_path_is_404_in_the_error_body(talk: Conversation, path: str) -> None:
    (await talk.send("GET", path)).assert_refused(404, None)


@on_each(ASKS)
async def test_a_wrong_method_is_405_and_the_right_ones_are_told(
    talk: Conversation, ask: Ask
) -> None:
    reply = await talk.send("PUT", ask.path, headers=dict(ask.headers))

    reply.assert_refused(405, None)
    allowed = {name.strip() for name in reply.headers["Allow"].split(",")}
    same_path = {other.method for other in ASKS if other.path == ask.path}
    assert same_path <= allowed
    assert "PUT" not in allowed


@on_each(WITH_JSON)
async def test_an_answer_that_is_not_accepted_is_406(talk: Conversation, ask: Ask) -> None:
    raw = ask.body.encode() if ask.body else None
    headers = {**dict(ask.headers), "Accept": "text/html"}

    reply = await talk.send(ask.method, ask.path, headers=headers, raw=raw)

    reply.assert_refused(406, None)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("text/html, application/xhtml+xml, */*;q=0.8", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 406),
        ("application/json;q=0", 406),
        ("application/xml, text/*", 406),
        ("application/json;q=0, */*", 406),
    ],
)
async def test_media_ranges_are_understood(talk: Conversation, accept: str, status: int) -> None:
    (await talk.send("GET", ABOUT, headers={"Accept": accept})).assert_is(status)


@on_each(WITH_BODY)
async def test_a_body_beyond_one_mebibyte_is_413(talk: Conversation, ask: Ask) -> None:
    raw = ask.body.encode().ljust(MEBIBYTE + 1)

    reply = await talk.send("POST", ask.path, headers=dict(ask.headers), raw=raw)

    reply.assert_refused(413, None)


@on_each(WITH_BODY)
async def test_a_body_of_one_mebibyte_is_read(talk: Conversation, ask: Ask) -> None:
    raw = b"[]".ljust(MEBIBYTE)

    reply = await talk.send("POST", ask.path, headers=dict(ask.headers), raw=raw)

    reply.assert_refused(422, 11)  # read to its end, and found to be no object


@on_each(WITH_BODY)
async def test_a_body_of_another_type_is_415(talk: Conversation, ask: Ask) -> None:
    headers = {**dict(ask.headers), "Content-Type": "text/plain"}

    reply = await talk.send("POST", ask.path, headers=headers, raw=ask.body.encode())

    reply.assert_refused(415, None)


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=UTF-8", "Application/JSON"],
)
async def test_json_goes_by_several_names(talk: Conversation, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    reply = await talk.send("POST", f"{BACKUPS}/999999", headers=headers, raw=b"{}")

    reply.assert_refused(404, 1001)


@on_each(WITH_BODY)
async def test_a_missing_body_is_422_10(talk: Conversation, ask: Ask) -> None:
    reply = await talk.send("POST", ask.path, headers=dict(ask.headers))

    reply.assert_refused(422, 10, "Request body must be populated")


@on_each(WITH_BODY)
@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'"text"', b"5", b"\xff\xfe{}", b"{'a': 1}", b'{"x": 1} {}']
)
async def test_a_body_that_is_no_json_object_is_422_11(
    talk: Conversation, ask: Ask, raw: bytes
) -> None:
    reply = await talk.send("POST", ask.path, headers=dict(ask.headers), raw=raw)

    reply.assert_refused(422, 11, ask.parameter)


@on_each(WITH_FIELDS)
async def test_an_unknown_field_is_422_30(talk: Conversation, ask: Ask) -> None:
    is_post = ask.method == "POST"
    fields = {"fields": f"{ask.field},nonsense"}
    headers = {**dict(ask.headers), **(fields if is_post else {})}
    query = {} if is_post else fields
    raw = ask.body.encode() if ask.body else None

    reply = await talk.send(ask.method, ask.path, query=query, headers=headers, raw=raw)

    reply.assert_refused(422, 30, 'Specified field "nonsense" is not recognized')


@on_each(LISTS)
@pytest.mark.parametrize(
    "header",
    ["0-4", "items=-3-2", "items=0", "items=0-", "items=a-b", "bytes=0-4", "items=0-4,6-7"],
)
async def test_a_malformed_range_is_422_36(talk: Conversation, ask: Ask, header: str) -> None:
    reply = await talk.send("GET", ask.path, headers={"Range": header})

    reply.assert_refused(422, 36, "items=x-y")


@on_each(LISTS)
@pytest.mark.parametrize(
    "header", ["items=3-2", f"items=0-{2**63 + 1}", f"items={10**30}-{10**31}"]
)
async def test_an_impossible_range_is_422_36(talk: Conversation, ask: Ask, header: str) -> None:
    (await talk.send("GET", ask.path, headers={"Range": header})).assert_refused(422, 36)


async def test_a_reversed_range_is_called_negative(talk: Conversation) -> None:
    (await talk.list("", Range="items=3-2")).assert_refused(422, 36, "negative")


@on_each(LISTS)
@pytest.mark.parametrize("text", ["id =", "nonsense = 1", "id = abc", "(id = 1", "id = 1 id = 2"])
async def test_a_wrong_filter_is_422_11_with_its_position(
    talk: Conversation, ask: Ask, text: str
) -> None:
    reply = await talk.send("GET", ask.path, query={"filter": text})

    reply.assert_refused(422, 11, 'Failed to transform user query parameter "filter"')
    assert any(character.isdigit() for character in reply.json["message"])


@on_the_appliance
async def test_a_user_logs_in_once_and_is_known_by_cookie(
    talk: Conversation, fake: FakeAppliance
) -> None:
    pair = f"{fake.callers.username}:{fake.callers.password}".encode()
    credentials = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    reply = await talk.send("GET", ABOUT, credentials=credentials)

    cookie = reply.assert_is(200).headers["Set-Cookie"]
    assert {"HttpOnly", "Secure"} <= {part.strip() for part in cookie.split(";")}
    again = await talk.send("GET", ABOUT, credentials={"Cookie": cookie.split(";")[0]})
    again.assert_is(200)
