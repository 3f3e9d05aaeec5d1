"""Habits of existing clients, each of which has to go on working (spec §2, §14 no. 15 and 22)."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import pytest

from contract.servers import BACKUPS, CONFIG, HOSTS, Conversation, unique_name


async def test_the_header_with_an_underscore_arrives(talk: Conversation) -> None:
    for spelling in ("backup_type", "BACKUP_TYPE", "Backup_Type"):
        body = {"name": unique_name(), "configuration_id": 1}
        reply = await talk.send("POST", BACKUPS, headers={spelling: "CONFIG"}, body=body)
        reply.assert_is(201)
        await talk.server.settle()


async def test_a_header_with_a_hyphen_is_another_header(talk: Conversation) -> None:
    body = {"name": unique_name(), "configuration_id": 1}

    reply = await talk.send("POST", BACKUPS, headers={"backup-type": "CONFIG"}, body=body)

    reply.assert_refused(422, 8)


@pytest.mark.parametrize("version", ["9.0", "12.0", "16.0", "19.0", "20", "26.0"])
async def test_clients_pinned_to_a_version_create_and_read(
    talk: Conversation, version: str
) -> None:
    headers = {**CONFIG, "Version": version}
    body = {"name": unique_name(), "configuration_id": 1}

    record = (await talk.send("POST", BACKUPS, headers=headers, body=body)).assert_is(201).json
    await talk.server.settle()

    reply = await talk.send("GET", f"{BACKUPS}/{record['id']}", headers={"Version": version})
    assert reply.assert_is(200).json["name"] == body["name"]


@pytest.mark.parametrize("path", [BACKUPS, HOSTS, "/system/about", "/help/versions"])
async def test_a_trailing_slash_is_ignored(talk: Conversation, path: str) -> None:
    plain = await talk.send("GET", path)

    reply = await talk.send("GET", path + "/")

    assert reply.assert_is(200).json == plain.json


async def test_a_trailing_slash_is_ignored_behind_an_id_and_on_posts(talk: Conversation) -> None:
    body = {"name": unique_name(), "configuration_id": 1}
    record = (await talk.send("POST", BACKUPS + "/", headers=CONFIG, body=body)).assert_is(201).json
    await talk.server.settle()
    path = f"{BACKUPS}/{record['id']}/"

    assert (await talk.send("GET", path)).assert_is(200).json["name"] == body["name"]
    (await talk.send("POST", path, body={"description": "d"})).assert_is(200)
    (await talk.send("DELETE", path)).assert_is(202)


async def test_two_trailing_slashes_are_too_many(talk: Conversation) -> None:
    (await talk.send("GET", "/system/about//")).assert_refused(404, None)


async def test_without_accept_json_comes(talk: Conversation) -> None:
    for method, path in (("GET", BACKUPS), ("GET", "/system/about"), ("DELETE", f"{BACKUPS}/0")):
        reply = await talk.send(method, path)
        assert reply.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    "headers",
    [
        {"Prefer": "wait=5"},
        {"Prefer": "respond-async"},
        {"Allow-Hidden": "true"},
        {"Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"User-Agent": "curl/7.29.0", "Accept": "*/*"},
        {"Cookie": "JSESSIONID=1; SEC=stale"},
        {"If-None-Match": '"x"'},
        {"X-Requested-With": "XMLHttpRequest", "Origin": "https://console.example.net"},
    ],
    ids="-".join,
)
async def test_headers_of_no_meaning_here_are_ignored(
    talk: Conversation, headers: dict[str, str]
) -> None:
    (await talk.send("GET", BACKUPS, headers=headers)).assert_is(200)


async def test_a_range_that_nobody_asked_for_does_no_harm(talk: Conversation) -> None:
    record = await talk.created()

    reply = await talk.send("GET", f"{BACKUPS}/{record['id']}", headers={"Range": "items=0-49"})

    assert reply.assert_is(200).json["id"] == record["id"]


async def test_the_usual_page_of_fifty_comes_with_a_count(talk: Conversation) -> None:
    await talk.server.populate()

    reply = (await talk.list("", Range="items=0-49")).assert_is(200)

    total = int(reply.headers["Content-Range"].rpartition("/")[2])
    assert len(reply.json) == min(50, total)


async def test_spaces_may_be_plus_signs(talk: Conversation) -> None:
    record = await talk.created()

    reply = await talk.list(f"filter=id+%3D+{record['id']}&sort=%2Bid&fields=id,+name")

    assert reply.assert_is(200).json == [{"id": record["id"], "name": record["name"]}]


async def test_the_curl_example_of_the_reference_works(talk: Conversation) -> None:
    await talk.server.populate()

    reply = await talk.list(
        "filter=type%20%3D%20CONFIG%20and%20status%20%3D%20SUCCESS&sort=-time_initiated",
        Range="items=0-1",
        Version="26.0",
        Accept="application/json",
    )

    first, second = reply.assert_is(200).json
    assert first["time_initiated"] >= second["time_initiated"]
    assert reply.headers["Content-Range"].startswith("items 0-1/")


async def test_unencoded_punctuation_in_a_query_is_read(talk: Conversation) -> None:
    record = await talk.created()

    reply = await talk.list(f"filter=id=%22{record['id']}%22&fields=id,status")

    assert reply.assert_is(200).ids == [record["id"]]


async def test_unknown_query_parameters_are_ignored(talk: Conversation) -> None:
    (await talk.list("nonsense=1&limit=5&page=2")).assert_is(200)


async def test_a_client_that_waits_for_continue_is_told_to(talk: Conversation) -> None:
    client = talk.server.client
    address = urlsplit(client.url)
    body = json.dumps({"name": unique_name(), "configuration_id": 1}).encode()
    headers = {
        **client.credentials,
        **CONFIG,
        "Host": address.netloc,
        "Content-Length": str(len(body)),
        "Expect": "100-continue",
        "Connection": "close",
    }
    lines = [f"POST /api{BACKUPS} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    reader, writer = await asyncio.open_connection(
        address.hostname, address.port, ssl=client.context
    )
    async with asyncio.timeout(100):
        writer.write("\r\n".join(lines).encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        writer.write(body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    await talk.server.settle()

    assert b"HTTP/1.1 201" in answer


async def test_an_offer_of_http_2_is_left_unanswered_and_harmless(talk: Conversation) -> None:
    """Java's client offers it on plain connections, and curl with --http2 (RFC 9113 §3.1)."""
    client = talk.server.client
    address = urlsplit(client.url)
    body = json.dumps({"name": unique_name(), "configuration_id": 1}).encode()
    offer = {
        "Host": address.netloc,
        **client.credentials,
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
    }
    sent = {**offer, **CONFIG, "Content-Length": str(len(body)), "Connection": "close, Upgrade"}
    requests = [(f"GET /api{BACKUPS}/0", offer, b""), (f"POST /api{BACKUPS}", sent, body)]
    reader, writer = await asyncio.open_connection(
        address.hostname, address.port, ssl=client.context
    )
    async with asyncio.timeout(100):
        for line, headers, content in requests:
            lines = [f"{line} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            writer.write("\r\n".join(lines).encode() + content)
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            assert found is not None
            await reader.readexactly(int(found[1]))
            assert head.split()[1] == (b"404" if not content else b"201")
        writer.close()
        await writer.wait_closed()
    await talk.server.settle()


async def test_every_answer_tells_the_time(talk: Conversation) -> None:
    assert (await talk.send("GET", "/system/about")).headers["Date"].endswith("GMT")
