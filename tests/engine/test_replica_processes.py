"""Two real engine processes on one PostgreSQL: killed, restarted in turn, under load (ADR 7)."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fixtures.engine import EngineProcess
from listserver import ListServer
from localengine import BACKUPS, TOKEN

pytestmark = pytest.mark.process

HELD = "/api/v1/secrets"
CONFIG = {"backup_type": "CONFIG"}
TAKEOVER_S = 5
DRAIN_S = 3.0
WITHIN_S = 100
ENOUGH = 40  # answers to each restart

Pair = tuple[EngineProcess, EngineProcess]


@pytest.fixture
def pair(tmp_path: Path, source: ListServer, postgres_url: str) -> Iterator[Pair]:
    """Two engines of one installation, started together on an empty database."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN} replica-test\n")
    options = (
        *("--plain-http", "--token-file", str(tokens), "--database-url", postgres_url),
        *("--archive-url", (tmp_path / "archives").as_uri(), "--no-signing"),
        *("--takeover-after", str(TAKEOVER_S), "--drain", str(DRAIN_S)),
    )
    (tmp_path / "archives").mkdir()
    kubeconfig = source.kubeconfig(tmp_path)
    engines = tuple(EngineProcess(tmp_path / name, kubeconfig, options) for name in ("a", "b"))
    try:
        yield engines[0], engines[1]
    finally:
        for engine in engines:
            engine.kill()


async def start(*engines: EngineProcess) -> None:
    await asyncio.gather(*(asyncio.to_thread(engine.start) for engine in engines))


@asynccontextmanager
async def session() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(headers={"SEC": TOKEN}, timeout=60, trust_env=False) as client:
        yield client


async def create(client: httpx2.AsyncClient, engine: EngineProcess, name: str) -> httpx2.Response:
    """Ask once, for an engine that is only busy answers in the end."""
    body = {"name": name, "configuration_id": 1}
    return await client.post(f"{engine.url}{BACKUPS}", json=body, headers=CONFIG)


async def until(client: httpx2.AsyncClient, engine: EngineProcess, backup_id: int) -> Any:  # noqa: ANN401
    async with asyncio.timeout(WITHIN_S):
        while True:
            record = (await client.get(f"{engine.url}{BACKUPS}/{backup_id}")).json()
            if record["status"] not in {"INITIALIZING", "IN_PROGRESS"}:
                return record
            await asyncio.sleep(0.05)


def codes_of(answers: list[httpx2.Response]) -> Counter[int]:
    return Counter(answer.json().get("code", answer.status_code) for answer in answers)


async def test_a_killed_engines_capture_is_finished_by_the_other_under_its_id(
    pair: Pair, source: ListServer, tmp_path: Path
) -> None:
    first, second = pair
    await start(first, second)
    source.hold(HELD)
    async with session() as client:
        names = ["same" if n % 2 else f"own-{n}" for n in range(200)]
        answers = await asyncio.gather(
            *(create(client, pair[n % 4 // 2], name) for n, name in enumerate(names))
        )
        codes = codes_of(answers)
        assert codes[201] == 1
        assert codes[1005] + codes[1015] == 199
        created = next(each.json() for each in answers if each.status_code == 201)
        # whoever had the name or not: once it runs, each clash is told by its own code
        again = await asyncio.gather(
            *(create(client, pair[n % 2], created["name"]) for n in range(20))
        )
        assert codes_of(again) == {1005: 20}

        await asyncio.wait_for(source.reached.wait(), WITHIN_S)
        runs_it = f"backup {created['id']} "
        capturing, other = (first, second) if runs_it in first.log else (second, first)
        capturing.kill()
        source.held[HELD].set()

        record = await until(client, other, created["id"])
        assert (record["status"], record["is_valid"]) == ("SUCCESS", True)
        assert [path.suffix for path in (tmp_path / "archives").iterdir()] == [".tar"]
        listed = (await client.get(f"{other.url}{BACKUPS}")).json()
        assert [each["id"] for each in listed] == [created["id"]]


@dataclass
class Balancer:
    """What a Service does: sends each request to an engine that is ready, as far as it knows."""

    engines: Pair
    client: httpx2.AsyncClient
    ready: list[EngineProcess] = field(default_factory=list)
    turns: Iterator[int] = field(default_factory=itertools.count)

    async def watch(self) -> None:
        while True:
            self.ready = [each for each in self.engines if await self._is_ready(each)]
            await asyncio.sleep(0.05)

    async def _is_ready(self, engine: EngineProcess) -> bool:
        if engine.process is None or not engine.url:
            return False
        try:
            return (await self.client.get(f"{engine.url}/readyz")).status_code == 200
        except httpx2.TransportError:
            return False

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401
        """Send, and send again as long as the connection is refused or the answer is 503."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                if self.ready:
                    engine = self.ready[next(self.turns) % len(self.ready)]
                    with suppress(httpx2.ConnectError):
                        answer = await self.client.request(method, engine.url + path, **options)
                        if answer.status_code != 503:
                            return answer
                await asyncio.sleep(0.02)


async def test_engines_are_restarted_in_turn_and_no_request_fails(pair: Pair) -> None:
    await start(*pair)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session())
        balancer = Balancer(pair, client)
        watching = asyncio.create_task(balancer.watch())
        stack.callback(watching.cancel)
        created = await balancer.send(
            "POST", BACKUPS, json={"name": "one", "configuration_id": 1}, headers=CONFIG
        )
        place = f"{BACKUPS}/{created.json()['id']}"
        is_over = asyncio.Event()
        answers: Counter[tuple[str, int]] = Counter()

        async def ask(number: int) -> None:
            for turn in itertools.count():
                if is_over.is_set():
                    return
                words = f"{number}-{turn}"
                told = await balancer.send("POST", place, json={"description": words})
                seen = await balancer.send("GET", BACKUPS, headers={"Range": "items=0-9"})
                answers["POST", told.status_code] += 1
                answers["GET", seen.status_code] += 1

        asking = [asyncio.create_task(ask(number)) for number in range(4)]
        for engine in pair:
            before = answers.total()
            assert await asyncio.to_thread(engine.stop) == 0, engine.log
            await start(engine)
            async with asyncio.timeout(WITHIN_S):
                while len(balancer.ready) < 2 or answers.total() < before + ENOUGH:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        is_over.set()
        await asyncio.gather(*asking)
        assert set(answers) == {("POST", 200), ("GET", 200)}
