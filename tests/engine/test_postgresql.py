"""What is special about PostgreSQL: it goes away and comes back, and asks for a password."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from backup_engine.records import postgresql
from backup_engine.records.database import Database, DatabaseError
from backup_engine.records.migrating import migrate
from backup_engine.records.troubles import DatabaseAwayError
from backup_engine.records.version import wait_until_current
from fixtures.postgresql import LOCKED, PostgresServer, running_postgres
from listserver import ListServer
from localengine import BACKUPS, local_engine

HELD = "/api/v1/secrets"
PASSWORD = "never seen in a log"


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """A server of the test's own, to stop and start."""
    with running_postgres(synchronous_commit="on") as server:
        yield server


async def test_a_database_that_restarts_costs_nothing_but_time(
    tmp_path: Path, source: ListServer, mortal: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = source.kubeconfig(tmp_path)
    url = mortal.url(mortal.make_database())
    async with local_engine(tmp_path, kubeconfig, database_url=url) as engine:
        engine.start()
        source.hold(HELD)
        # a busy machine may take its time to connect for the first time
        while (created := await engine.create("first")).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        backup_id = created.json()["id"]
        await asyncio.wait_for(source.reached.wait(), 100)
        await asyncio.to_thread(mortal.stop, is_crash=True)

        for method, path in (("GET", BACKUPS), ("DELETE", f"{BACKUPS}/{backup_id}")):
            refused = await engine.send(method, path)
            assert refused.status_code == 503
            assert refused.json()["code"] == 0
            assert refused.json()["http_response"]["code"] == 503
            assert "database" in refused.json()["message"]
        assert (await engine.create("second")).status_code == 503
        assert (await engine.send("GET", "/readyz")).status_code == 503
        assert (await engine.send("GET", "/healthz")).status_code == 200

        source.held[HELD].set()
        await asyncio.to_thread(mortal.start)
        record = await engine.until(backup_id, "SUCCESS")
        assert record["is_valid"] is True
        assert len(engine.archives) == 1
        assert len((await engine.send("GET", BACKUPS)).json()) == 1
        assert (await engine.send("GET", "/readyz")).status_code == 200
    assert "Traceback" not in caplog.text


async def test_an_engine_waits_for_a_database_that_starts_after_it(
    mortal: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = mortal.url(mortal.make_database())
    await asyncio.to_thread(mortal.stop)
    database = Database.open(url)
    try:
        waiting = asyncio.create_task(wait_until_current(database, url, None))
        while "asking again" not in caplog.text:
            assert not waiting.done()
            await asyncio.sleep(0.01)
        await asyncio.to_thread(mortal.start)
        await waiting
        assert await database.is_ready()
    finally:
        await database.close()
    assert caplog.text.count("does not answer") == 1


async def test_a_database_that_stays_silent_is_given_up_and_one_that_refuses_at_once(
    postgres: PostgresServer,
) -> None:
    absent = "postgresql+asyncpg://me@127.0.0.1:1/engine"
    for url, patience_s, said in (
        (absent, 0.1, "does not answer"),
        (postgres.url("no_such_database"), 3600.0, "does not exist"),
    ):
        database = Database.open(url)
        with pytest.raises(DatabaseError, match=said):
            await wait_until_current(database, url, None, patience_s)
        await database.close()


async def test_more_requests_than_connections_are_all_answered(
    tmp_path: Path, source: ListServer, postgres_url: str
) -> None:
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(tmp_path, kubeconfig, database_url=postgres_url) as engine:
        await engine.create("first")
        answers = await asyncio.gather(*(engine.send("GET", f"{BACKUPS}/1") for _ in range(200)))
        assert Counter(answer.status_code for answer in answers) == {200: 200}
        async with engine.database.reading() as connection:
            count = await connection.execute(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            )
            assert count.scalar_one() <= postgresql.POOL_SIZE + postgresql.POOL_OVERFLOW + 1


async def test_a_statement_that_takes_too_long_is_ended_and_told_as_such(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "STATEMENT_TIMEOUT_S", 1)
    database = Database.open(postgres_url)
    try:
        with pytest.raises(DatabaseAwayError, match="statement timeout"):
            async with database.reading() as connection:
                await connection.execute(text("SELECT pg_sleep(30)"))
        async with database.reading() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    finally:
        await database.close()


async def test_the_password_comes_from_a_file_and_a_new_one_is_taken_up(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    name = postgres.make_database()
    postgres.run_sql(f"CREATE ROLE {LOCKED} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    file = tmp_path / "password"
    file.write_text("wrong\n")
    database = Database.open(postgres.url(name, LOCKED), file)
    try:
        with pytest.raises(DatabaseError, match="password authentication failed"):
            await migrate(database)
        file.write_text(f"{PASSWORD}\n")
        await migrate(database)
        assert await database.is_ready()
    finally:
        await database.close()
        postgres.drop_database(name)
        postgres.run_sql(f"DROP ROLE {LOCKED}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://me:never-seen@127.0.0.1:1/engine",
        "postgresql+asyncpg://me:never-seen@127.0.0.1:port/engine",
        "postgresql+nothing://me:never-seen@127.0.0.1/engine",
        "never-seen",
    ],
)
async def test_the_url_of_a_database_that_cannot_be_used_shows_no_password(url: str) -> None:
    async def open_and_migrate() -> None:
        database = Database.open(url)
        try:
            await migrate(database)
        finally:
            await database.close()

    with pytest.raises(DatabaseError) as refused:
        await open_and_migrate()
    assert "never-seen" not in str(refused.value)


async def test_a_failing_statement_does_not_tell_its_values(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    try:
        with pytest.raises(Exception, match="no_such_table") as refused:
            async with database.writing() as connection:
                await connection.execute(
                    text("INSERT INTO no_such_table VALUES (:secret)"), {"secret": PASSWORD}
                )
        assert PASSWORD not in str(refused.value)
    finally:
        await database.close()
