"""Requests are repeated until they are answered for good."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from backup_engine.capture.asking import RetryPolicy
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.errors import RestoreError, WriteRefusedError
from backup_engine.restore.flight import work_through
from backup_engine.restore.sending import send

RETRIES = RetryPolicy(attempts=4, first_delay_s=0.001, longest_delay_s=0.002)
CUT = 0


@dataclass
class Moody:
    """A server that answers with the statuses given, then with 201."""

    moods: list[int]
    message: str = ""
    bodies: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        status = self.moods.pop(0) if self.moods else 201
        if status == CUT:
            assert request.transport is not None
            request.transport.close()
        headers = {"Retry-After": "0"} if status == 429 else {}
        body = {"kind": "Status", "message": self.message}
        return web.json_response(body, status=status or 500, headers=headers)


@pytest.fixture
async def moody() -> Moody:
    return Moody([])


@pytest.fixture
async def connection(moody: Moody, tmp_path: Path) -> AsyncIterator[ClusterConnection]:
    app = web.Application()
    app.router.add_post("/{path:.*}", moody.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": f"http://{host}:{port}"}}],
        "users": [{"name": "me", "user": {}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    async with ClusterConnection.from_kubeconfig(path) as connection:
        yield connection
    await runner.cleanup()


@pytest.mark.parametrize("moods", [[429], [503, 500], [CUT], [CUT, 429, 504]])
async def test_trouble_that_passes_is_waited_out(
    moody: Moody, connection: ClusterConnection, moods: list[int]
) -> None:
    moody.moods = list(moods)

    answer = await send(connection, "POST", "/x", RETRIES, body={"a": 1})

    assert answer.status == 201
    assert moody.bodies == [{"a": 1}] * (len(moods) + 1)


async def test_a_server_that_keeps_failing_fails_one_object(
    moody: Moody, connection: ClusterConnection
) -> None:
    moody.moods, moody.message = [503] * 9, "etcd is tired"

    with pytest.raises(WriteRefusedError, match="etcd is tired") as caught:
        await send(connection, "POST", "/x", RETRIES, body={})

    assert caught.value.status == 503
    assert len(moody.bodies) == 4


async def test_a_webhook_that_fails_is_not_asked_as_often(
    moody: Moody, connection: ClusterConnection
) -> None:
    moody.moods, moody.message = [500] * 9, 'failed calling webhook "judge.example"'

    with pytest.raises(WriteRefusedError, match=r"judge\.example"):
        await send(connection, "POST", "/x", RETRIES, body={})

    assert len(moody.bodies) == 3


@pytest.mark.parametrize(
    ("moods", "reason"), [([401], "Unauthorized"), ([CUT] * 9, "ClusterUnreachable")]
)
async def test_what_would_fail_on_all_objects_ends_the_restore(
    moody: Moody, connection: ClusterConnection, moods: list[int], reason: str
) -> None:
    moody.moods = list(moods)

    with pytest.raises(RestoreError) as caught:
        await send(connection, "POST", "/x", RETRIES, body={})

    assert caught.value.reason == reason
    assert not isinstance(caught.value, WriteRefusedError)


async def test_work_is_bounded_and_its_first_error_ends_it() -> None:
    running, most, closed = 0, 0, False

    async def numbers() -> AsyncGenerator[range, None]:
        nonlocal closed
        try:
            for number in range(0, 1000, 100):
                yield range(number, number + 100)
        finally:
            closed = True

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if number == 50:
            raise RestoreError("Enough", "fifty")

    with pytest.raises(RestoreError, match="fifty"):
        await work_through(numbers(), work, abreast=8)

    assert most <= 8
    assert closed


@pytest.mark.parametrize("abreast", [1, 8, 64])
async def test_every_item_of_every_batch_is_worked_on_once(abreast: int) -> None:
    done: list[int] = []

    async def batches() -> AsyncGenerator[range, None]:
        for begin, end in ((0, 0), (0, 3), (3, 3), (3, 50), (50, 51)):
            await asyncio.sleep(0)
            yield range(begin, end)

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await work_through(batches(), work, abreast=abreast)

    assert sorted(done) == list(range(51))
