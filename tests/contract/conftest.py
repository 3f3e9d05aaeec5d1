"""The server under test, chosen by parameter; the engine runs once for the whole session."""

from collections.abc import AsyncIterator, Iterator

import pytest

from appliance.server import FakeAppliance
from contract.places import BOTH
from contract.replies import RawClient
from contract.servers import (
    ApplianceServer,
    Conversation,
    EngineServer,
    EngineSite,
    Server,
)
from fixtures.cluster import Cluster, run_kubectl
from fixtures.databases import OPTION, POSTGRESQL
from fixtures.engine import running_engine
from fixtures.postgresql import PostgresServer

AUDIENCE = "backup-engine"
ONLOOKER = "contract-onlooker"


@pytest.fixture(scope="session")
def database_options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Options for the engine's database: SQLite, unless ``--database postgresql`` was said."""
    if request.config.getoption(OPTION) != POSTGRESQL:
        return ()
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return "--database-url", postgres.url(postgres.make_database())


@pytest.fixture(scope="session")
def engine_site(
    tmp_path_factory: pytest.TempPathFactory, sandbox: Cluster, database_options: tuple[str, ...]
) -> Iterator[EngineSite]:
    """An engine on the sandbox, and the token of a ServiceAccount that no role names."""
    data_dir = tmp_path_factory.mktemp("contract") / "engine"
    where = ("--namespace", "default")
    run_kubectl(sandbox, "create", "serviceaccount", ONLOOKER, *where)
    options = ("--scan-interval", "0.2", *database_options)
    with running_engine(data_dir, sandbox.kubeconfig, *options) as process:
        token = run_kubectl(sandbox, "create", "token", ONLOOKER, f"--audience={AUDIENCE}", *where)
        yield EngineSite(process, token.stdout.strip(), sandbox)
    run_kubectl(sandbox, "delete", "serviceaccount", ONLOOKER, *where)


@pytest.fixture
def started_engine(request: pytest.FixtureRequest) -> EngineSite | None:
    """The engine if it is the server under test; asked for late, so that others need no cluster."""
    if request.node.callspec.params["server"] != "engine":
        return None
    site: EngineSite = request.getfixturevalue("engine_site")
    return site


@pytest.fixture(params=BOTH)
async def server(started_engine: EngineSite | None) -> AsyncIterator[Server]:
    """The server under test."""
    if started_engine is not None:
        engine = started_engine.process
        async with RawClient(engine.url, engine.ca_pem, {"SEC": engine.token}) as client:
            yield EngineServer(client, started_engine)
        return
    async with (
        FakeAppliance() as fake,
        RawClient(fake.url, fake.ca_pem, {"SEC": fake.token}) as client,
    ):
        yield ApplianceServer(client, fake)


@pytest.fixture
def talk(server: Server) -> Conversation:
    """Shorthands for requests to the server under test."""
    return Conversation(server)


@pytest.fixture
def fake(server: Server) -> FakeAppliance:
    """The levers of the fake appliance, for cases that run on it alone."""
    assert isinstance(server, ApplianceServer)
    return server.fake
