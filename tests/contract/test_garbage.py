"""Whatever a request is made of, the answer is no 5xx, and a refusal has the error body."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from backup_api.about import ApiVersion
from backup_api.backups import BackupRecord
from backup_api.documentation import EndpointDescription, ResourceDescription
from backup_api.hosts import HostRecord
from backup_api.restores import RestoreRecord
from backup_api.servers import ServerRecord
from backup_api.tunnels import TunnelRecord
from backup_api.wire import WireRecord
from backup_engine.query.shapes import build_members
from contract.places import ASKS, LISTS, WITH_BODY, Ask
from contract.replies import ERROR_MEMBERS, Reply
from contract.servers import HOSTS, Conversation, EngineServer
from grammar.filters import filters, with_words
from grammar.garbage import BODIES, HEADERS, RANGES, SEGMENTS, TEXTS, drawn

AT_ONCE = 8
MODELS: dict[str, type[WireRecord]] = {
    "/backup_and_restore/backups": BackupRecord,
    "/backup_and_restore/restores": RestoreRecord,
    "/config/deployment/hosts": HostRecord,
    "/staged_config/deployment/hosts": HostRecord,
    "/config/deployment/hosts/{id}/tunnels": TunnelRecord,
    "/staged_config/deployment/hosts/{id}/tunnels": TunnelRecord,
    "/system/servers": ServerRecord,
    "/help/endpoints": EndpointDescription,
    "/help/resources": ResourceDescription,
    "/help/versions": ApiVersion,
}


async def each(cases: Iterable[Any], send: Callable[[Any], Awaitable[None]]) -> None:
    """Send all cases, some at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(case: Any) -> None:  # noqa: ANN401 - whatever the test draws
        async with places:
            await send(case)

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(one(case))


def assert_standard(reply: Reply, case: object) -> None:
    """Check that it is no failure of the server, and if a refusal, then in the error body."""
    shown = f"{case!r:.300}: HTTP {reply.status} {reply.content[:300]!r}"
    assert reply.status < 500, shown
    if reply.status >= 400:
        assert reply.headers["Content-Type"].startswith("application/json"), shown
        assert set(reply.json) == ERROR_MEMBERS, shown
        assert reply.json["http_response"]["code"] == reply.status, shown


def list_path(ask: Ask, talk: Conversation) -> str:
    return ask.endpoint.path.replace("{id}", str(talk.server.console_id))


@pytest.mark.parametrize(
    "server", ["appliance", pytest.param("engine", marks=pytest.mark.cluster)], indirect=True
)
@pytest.mark.parametrize("ask", LISTS, ids=lambda ask: ask.label)
async def test_every_form_of_a_filter_is_taken(talk: Conversation, ask: Ask) -> None:
    left_out = {"email_server_address"} if ask.endpoint.path == "/system/servers" else set[str]()
    members = with_words(build_members(MODELS[ask.endpoint.path], left_out))

    async def send(text: str) -> None:
        reply = await talk.send("GET", list_path(ask, talk), query={"filter": text})
        assert reply.status == 200, f"{text}: {reply.content[:300]!r}"

    await each(drawn(filters(members), 25), send)


async def test_garbage_in_a_query_is_refused_in_the_error_body(talk: Conversation) -> None:
    cases = zip(drawn(TEXTS, 40), drawn(TEXTS, 40), drawn(RANGES, 40), strict=False)

    async def send(case: tuple[str, str, str]) -> None:
        condition, other, items = case
        for path in ("/backup_and_restore/backups", HOSTS, "/help/endpoints"):
            for query in ({"filter": condition}, {"fields": other}, {"sort": other}):
                reply = await talk.send(
                    "GET", path, query=_encoded(query), headers=_header("Range", items)
                )
                assert_standard(reply, (path, query, items))

    await each(cases, send)


async def test_garbage_in_a_body_is_refused_in_the_error_body(talk: Conversation) -> None:
    async def send(body: bytes) -> None:
        for ask in WITH_BODY:
            reply = await talk.send(
                ask.method, ask.path, headers=dict(ask.headers), raw=body or b" "
            )
            assert_standard(reply, (str(ask.endpoint), body))
            assert reply.status >= 400 or ask.method == "POST"

    await each(drawn(BODIES, 40), send)
    await talk.server.settle()


async def test_garbage_in_headers_is_refused_in_the_error_body(talk: Conversation) -> None:
    async def send(headers: list[tuple[str, bytes]]) -> None:
        for ask in (ASKS[0], ASKS[2], ASKS[3]):
            for reply in [await _send_raw(talk, ask.method, ask.path, headers, ask.body.encode())]:
                assert_standard(reply, (str(ask.endpoint), headers))

    await each(drawn(HEADERS, 60), send)


async def test_garbage_in_a_path_is_refused_in_the_error_body(talk: Conversation) -> None:
    async def send(path: str) -> None:
        for method in ("GET", "POST", "DELETE", "PATCH"):
            reply = await _send_raw(talk, method, f"/{path}", [], b"")
            assert_standard(reply, (method, path))

    await each(drawn(SEGMENTS, 60), send)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /api/system/about HTTP/1.1\r\nBad Name: 1\r\nHost: x\r\n\r\n",
        b"GET /api/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/backup_and_restore/backups HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
    ids=["words", "name", "byte", "negative", "lengths"],
)
async def test_what_is_no_http_is_refused_in_the_error_body(
    talk: Conversation, request_bytes: bytes
) -> None:
    reply = await send_bytes(talk, [request_bytes])

    reply.assert_refused(400, None)


ABOUT = b"GET /api/system/about"


@pytest.mark.parametrize("is_in_pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        pytest.param(b"%b HTTP/9.9\r\nHost: x\r\n\r\n" % ABOUT, {505, 400}, id="version"),
        pytest.param(
            b"%b?fields=%b HTTP/1.1\r\nHost: x\r\n\r\n" % (ABOUT, b"x" * 40_000),
            {414, 400},
            id="query_of_40_kB",
        ),
        pytest.param(
            b"GET /api/%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 100_000),
            {414, 400},
            id="path_of_100_kB",
        ),
        pytest.param(
            b"%b HTTP/1.1\r\nHost: x\r\nX-Long: %b\r\n\r\n" % (ABOUT, b"x" * 40_000),
            {400},
            id="header_of_40_kB",
        ),
        pytest.param(
            b"%b HTTP/1.1\r\nHost: x\r\nX-Long: %b\r\n\r\n" % (ABOUT, b"x" * 1_000_000),
            {400},
            id="header_of_1_MB",
        ),
        pytest.param(
            b"%b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (ABOUT, b"X-Many: 1\r\n" * 20_000),
            {400},
            id="many_headers",
        ),
    ],
)
async def test_a_head_beyond_the_limits_is_refused_however_it_arrives(
    talk: Conversation, request_bytes: bytes, statuses: set[int], is_in_pieces: bool
) -> None:
    size = 1000 if is_in_pieces and len(request_bytes) < 200_000 else 100_000
    pieces = [request_bytes[at : at + size] for at in range(0, len(request_bytes), size)]

    reply = await send_bytes(talk, pieces if is_in_pieces else [request_bytes])

    assert reply.status in statuses
    if isinstance(talk.server, EngineServer):
        assert reply.status == max(statuses)  # the reference names none: its own limits are told
    reply.assert_refused(reply.status, None)


async def send_bytes(talk: Conversation, pieces: Iterable[bytes]) -> Reply:
    """Send bytes as they are, and read one answer."""
    address = urlsplit(talk.server.client.url)
    reader, writer = await asyncio.open_connection(
        address.hostname, address.port, ssl=talk.server.client.context
    )
    try:
        async with asyncio.timeout(100):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            assert found is not None
            body = await reader.readexactly(int(found[1]))
    finally:
        writer.close()
        with suppress(OSError):  # the server may have hung up meanwhile
            await writer.wait_closed()
    first, *rest = head.decode("latin-1").strip().split("\r\n")
    headers = {name.title(): value for name, value in (line.split(": ", 1) for line in rest)}
    return Reply(int(first.split()[1]), headers, body)


def _encoded(query: dict[str, str]) -> str:
    return "&".join(
        f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in query.items()
    )


def _header(name: str, value: str) -> dict[str, str]:
    return {name: value} if value.isascii() else {}


async def _send_raw(
    talk: Conversation, method: str, path: str, headers: list[tuple[str, bytes]], body: bytes
) -> Reply:
    """Send a request byte by byte as given, which no HTTP library would; repeated names stay."""
    client = talk.server.client
    address = urlsplit(client.url)
    lines = [f"{method} /api{path} HTTP/1.1".encode(), f"Host: {address.netloc}".encode()]
    lines += [f"{name}: {value}".encode() for name, value in client.credentials.items()]
    lines += [name.encode() + b": " + value for name, value in headers]
    lines += [f"Content-Length: {len(body)}".encode(), b"Connection: close", b"", body]
    reader, writer = await asyncio.open_connection(
        address.hostname, address.port, ssl=client.context
    )
    try:
        async with asyncio.timeout(100):
            writer.write(b"\r\n".join(lines))
            answer = await reader.read()
    finally:
        writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    told = dict(line.split(": ", 1) for line in rest)
    return Reply(
        int(first.split()[1]), {name.title(): value for name, value in told.items()}, content
    )
