"""Requests as curl, ``http.client`` and ``urllib`` really send them, over TLS, to both servers.

The habits are those of scripts and Ansible modules for this API: they pin an old ``Version``, page
by ``Range``, send ``Allow-Hidden``, and know no library that would tidy up after them.
"""

import asyncio
import base64
import http.client
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import pytest

from contract.servers import BACKUPS, Conversation, unique_name

Result = TypeVar("Result")

ANSIBLE_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Version": "9.1",
    "Allow-Hidden": "true",
}


async def blocking(work: Callable[[], Result]) -> Result:
    """Run a client that blocks; the fake lives in this loop."""
    return await asyncio.to_thread(work)


@pytest.fixture
def connect(talk: Conversation) -> Callable[[], http.client.HTTPSConnection]:
    address = urlsplit(talk.server.client.url)

    def build() -> http.client.HTTPSConnection:
        assert address.hostname is not None
        return http.client.HTTPSConnection(
            address.hostname, address.port, context=talk.server.client.context, timeout=200
        )

    return build


def curl(talk: Conversation, ca: str, *arguments: str, body: str | None = None) -> tuple[int, str]:
    """Run curl with the token, ``body`` on its standard input; returns status and body."""
    token = talk.server.client.credentials["SEC"]
    always = ("--silent", "--cacert", ca, "--write-out", "\n%{http_code}")
    done = subprocess.run(
        ["curl", *always, "--header", f"SEC: {token}", *arguments],
        input=body,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), answer


@pytest.fixture
def ca(talk: Conversation, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    der = talk.server.client.context.get_ca_certs(binary_form=True)
    path.write_text("".join(ssl.DER_cert_to_PEM_cert(each) for each in der))
    return str(path)


async def test_an_ansible_module_creates_finds_and_deletes(
    talk: Conversation, connect: Callable[[], http.client.HTTPSConnection]
) -> None:
    name = unique_name()
    headers = {**ANSIBLE_HEADERS, **talk.server.client.credentials}

    def ask(method: str, path: str, body: object = None, **more: str) -> tuple[int, Any]:
        connection = connect()  # such modules open a connection per request
        sent = json.dumps(body) if body is not None else None
        connection.request(method, "/api" + path, body=sent, headers={**headers, **more})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    found = f"{BACKUPS}?filter=" + quote(f'name="{name}"')
    assert await blocking(lambda: ask("GET", found)) == (200, [])
    body = {"name": name, "configuration_id": 1}
    status, record = await blocking(lambda: ask("POST", BACKUPS, body, backup_type="CONFIG"))
    assert status == 201
    await talk.server.settle()
    status, listed = await blocking(lambda: ask("GET", found, Range="items=0-49"))
    assert (status, [each["id"] for each in listed]) == (200, [record["id"]])
    status, left = await blocking(lambda: ask("DELETE", f"{BACKUPS}/{record['id']}"))
    assert (status, left["status"]) == (202, "DELETING")


async def test_one_connection_serves_many_requests(
    talk: Conversation, connect: Callable[[], http.client.HTTPSConnection]
) -> None:
    def work() -> list[int]:
        connection, statuses = connect(), []
        connection.connect()
        first = connection.sock
        for path in ("/system/about", "/nope", "/help/versions", f"{BACKUPS}/0", "/system/about"):
            connection.request("GET", f"/api{path}", headers=talk.server.client.credentials)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            assert connection.sock is first  # a refusal is no reason to hang up
        connection.close()
        return statuses

    assert await blocking(work) == [200, 404, 200, 404, 200]


async def test_urllib_raises_with_the_error_body_in_hand(talk: Conversation) -> None:
    request = urllib.request.Request(  # noqa: S310 - the server under test
        f"{talk.server.client.url}/api{BACKUPS}/999999", headers=talk.server.client.credentials
    )

    def work() -> dict[str, Any]:
        try:
            urllib.request.urlopen(request, context=talk.server.client.context, timeout=200)  # noqa: S310
        except urllib.error.HTTPError as refusal:
            with refusal:
                body: dict[str, Any] = json.load(refusal)
                return body
        raise AssertionError("it was not refused")

    assert (await blocking(work))["code"] == 1001


@pytest.mark.parametrize("protocol", ["--http1.0", "--http1.1"])
async def test_curl_speaks_either_http(talk: Conversation, ca: str, protocol: str) -> None:
    url = f"{talk.server.client.url}/api/system/about/"

    status, body = await blocking(lambda: curl(talk, ca, protocol, url))

    assert status == 200
    assert "release_name" in json.loads(body)


async def test_curl_posts_a_large_body_behind_expect(talk: Conversation, ca: str) -> None:
    name = unique_name()
    padding = "x" * 900_000  # beyond what curl sends without asking for leave
    body = json.dumps({"name": name, "configuration_id": 1, "ignored": padding})
    url = f"{talk.server.client.url}/api{BACKUPS}/"

    options = ("--data-binary", "@-", "--header", "Expect: 100-continue")
    kind = ("--header", "Content-Type: application/json;charset=UTF-8")
    header = ("--header", "backup_type: CONFIG")

    status, text = await blocking(lambda: curl(talk, ca, *options, *kind, *header, url, body=body))
    await talk.server.settle()

    assert (status, json.loads(text)["name"]) == (201, name)


async def test_curl_encodes_a_filter_itself(talk: Conversation, ca: str) -> None:
    record = await talk.created()
    condition = f'name = "{record["name"]}" and type = CONFIG'
    url = f"{talk.server.client.url}/api{BACKUPS}"

    status, body = await blocking(
        lambda: curl(talk, ca, "--get", "--data-urlencode", f"filter={condition}", url)
    )

    assert (status, [each["id"] for each in json.loads(body)]) == (200, [record["id"]])


async def test_a_filter_that_is_encoded_twice_is_told_what_came_of_it(talk: Conversation) -> None:
    twice = quote(quote('name = "a"'))  # a server decodes once (spec §2.8)

    reply = await talk.list(f"filter={twice}")

    reply.assert_refused(422, 11, "filter")


async def test_form_encoding_of_the_query_works(talk: Conversation) -> None:
    query = urlencode({"filter": "type = CONFIG and id > 0", "fields": "id", "sort": "-id"})

    (await talk.list(query)).assert_is(200)


async def test_a_wrong_password_is_no_way_in(talk: Conversation) -> None:
    pair = base64.b64encode(b"admin:wrong").decode()

    reply = await talk.send("GET", "/system/about", credentials={"Authorization": f"Basic {pair}"})

    reply.assert_refused(401, 18)


async def test_a_connection_that_is_dropped_in_mid_request_harms_nobody(
    talk: Conversation,
) -> None:
    address = urlsplit(talk.server.client.url)

    def work() -> None:
        with (
            socket.create_connection((address.hostname or "", address.port or 0), 20) as plain,
            talk.server.client.context.wrap_socket(plain, server_hostname=address.hostname) as tls,
        ):
            tls.sendall(f"POST /api{BACKUPS} HTTP/1.1\r\nHost: x\r\nContent-Le".encode())

    await blocking(work)

    (await talk.send("GET", "/system/about")).assert_is(200)
