"""Both servers lead the life that the model in ``life.py`` foretells."""

import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from appliance.server import FakeAppliance
from contract.life import Life, Peer
from contract.replies import Reply
from contract.servers import EngineSite

JOB_S = 0.05  # every job of the fake takes so long, for the walk to meet some that run


@dataclass
class Caller:
    """A client without a loop of its own, for Hypothesis walks step by step."""

    http: httpx2.Client

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        content = None if body is None else json.dumps(body).encode()
        answer = self.http.request(
            method, f"/api{path}", params=dict(query or {}), headers=headers, content=content
        )
        return Reply(answer.status_code, answer.headers, answer.content)


@dataclass
class FakePeer(Caller):
    """The fake appliance, in another thread; its levers are plain assignments."""

    fake: FakeAppliance

    def lose_archive(self, record: Mapping[str, Any]) -> None:
        self.fake.lose_archive(record["id"])

    def return_archive(self, record: Mapping[str, Any]) -> None:
        self.fake.return_archive(record["id"])


@dataclass
class EnginePeer(Caller):
    """The in-cluster engine."""

    archives: Path

    def lose_archive(self, record: Mapping[str, Any]) -> None:
        self._path(record).rename(self.archives / "walked-off")

    def return_archive(self, record: Mapping[str, Any]) -> None:
        (self.archives / "walked-off").rename(self._path(record))

    def _path(self, record: Mapping[str, Any]) -> Path:
        name: str = record["content_file_path"].rpartition("/")[2]
        return self.archives / name


@pytest.fixture
def fake_peer() -> Iterator[Peer]:
    """A fake appliance whose loop runs beside the test."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FakeAppliance()) as it,
    ):
        it.backup_seconds = it.deletion_seconds = it.deploy_seconds = JOB_S
        it.restores.restore_seconds = JOB_S
        with open_http(it.url, it.ca_pem, it.token) as http:
            yield FakePeer(http, it)


@pytest.fixture
def engine_peer(engine_site: EngineSite) -> Iterator[Peer]:
    """The engine that the other cases of this suite talk to."""
    engine = engine_site.process
    with open_http(engine.url, engine.ca_pem, engine.token) as http:
        yield EnginePeer(http, engine.archives)


def open_http(url: str, ca_pem: str, token: str) -> httpx2.Client:
    context = ssl.create_default_context(cadata=ca_pem)
    return httpx2.Client(
        base_url=url, headers={"SEC": token}, verify=context, timeout=200.0, trust_env=False
    )


@pytest.mark.parametrize(
    ("server", "walks", "steps"),
    [
        pytest.param("appliance", 6, 30, id="appliance"),
        pytest.param("engine", 4, 30, id="engine", marks=pytest.mark.cluster),
    ],
)
def test_every_answer_is_one_that_the_state_leaves_open(
    request: pytest.FixtureRequest, server: str, walks: int, steps: int
) -> None:
    peer: Peer = request.getfixturevalue(
        {"appliance": "fake_peer", "engine": "engine_peer"}[server]
    )
    bounds = settings(
        max_examples=walks,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),  # a shorter walk meets other moments, so shrinking says nothing
        suppress_health_check=list(HealthCheck),  # a server takes its time
    )

    class Walk(Life):
        def __init__(self) -> None:
            super().__init__(peer)

    run_state_machine_as_test(Walk, settings=bounds)
