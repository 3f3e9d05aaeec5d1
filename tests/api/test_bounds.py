"""The client gives up in time, and on time, whatever a server sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from api.clients import NO_REPEATS
from backup_api import exchange
from backup_api.backups import BackupRecord
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import BearerToken, SecToken
from backup_api.exceptions import LostAnswerError, MalformedAnswerError, NotSentError
from backup_api.hosts import HostRecord

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def client_of(
    serve: Serve, answer_timeout_s: float = 100.0
) -> AsyncIterator[BackupApiClient]:
    """A client of a server that speaks plain HTTP and has a mind of its own."""
    is_over = asyncio.Event()

    async def serve_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass  # the client has had enough, as it should
        finally:
            writer.close()
            is_over.set()

    listening = await asyncio.start_server(serve_once, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    options = ClientOptions(
        f"http://{host}:{port}",
        SecToken("t"),
        retry=NO_REPEATS,
        answer_timeout_s=answer_timeout_s,
    )
    async with listening, BackupApiClient(options) as client:
        yield client
    async with asyncio.timeout(100):
        await is_over.wait()


async def test_a_server_that_trickles_is_not_waited_for_for_ever() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing() and not reader.at_eof():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with client_of(trickle, answer_timeout_s=0.5) as client:
        with pytest.raises(LostAnswerError, match=r"no whole answer .* within 0\.5 s"):
            await client.about()


async def test_an_answer_is_read_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LARGEST_ANSWER_BYTES", 1000)

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b" " * 2000)
        await writer.drain()

    async with client_of(flood) as client:
        with pytest.raises(MalformedAnswerError, match="longer than 1000 bytes"):
            await client.about()


async def test_a_token_that_cannot_be_read_is_trouble_of_ours() -> None:
    async def missing() -> str:
        raise FileNotFoundError("/var/run/token")

    options = ClientOptions("https://127.0.0.1:1", BearerToken(missing), retry=NO_REPEATS)
    async with BackupApiClient(options) as client:
        with pytest.raises(NotSentError, match="credentials cannot be read"):
            await client.about()


def test_a_word_of_a_newer_server_counts_as_not_known() -> None:
    record = BackupRecord.model_validate({"id": 1, "status": "VAULTED", "type": "TAPE"})
    host = HostRecord.model_validate({"id": 1, "status": "Dreaming"})

    assert (record.status, record.type, host.status) == (None, None, None)
