"""Two engines on one PostgreSQL serve one API and share the work (ADR 7).

Both live in the test's process; ``test_replica_processes.py`` has real ones.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select, update

from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.tables import CLAIMS
from backup_engine.runs.claims import Claim, ClaimKind, Claims, Lease
from listserver import ListServer
from localengine import BACKUPS, DEPLOY, LocalEngine, local_engine

HELD = "/api/v1/secrets"
RESTORES = "/api/backup_and_restore/restores"
PATIENT = Lease(300)  # no test waits for it to run out: that is simulated

Pair = tuple[LocalEngine, LocalEngine]


@pytest.fixture
async def pair(tmp_path: Path, source: ListServer, postgres_url: str) -> AsyncIterator[Pair]:
    """Two engines at rest, on one database and one folder of archives."""
    kubeconfig = source.kubeconfig(tmp_path)
    async with (
        local_engine(tmp_path, kubeconfig, database_url=postgres_url, lease=PATIENT) as first,
        local_engine(tmp_path, kubeconfig, database_url=postgres_url, lease=PATIENT) as second,
    ):
        yield first, second


async def held(database: Database) -> list[tuple[str, int]]:
    async with database.reading() as connection:
        found = await connection.execute(select(CLAIMS.c.kind, CLAIMS.c.subject_id))
        return [(row.kind, row.subject_id) for row in found]


async def run_out(database: Database) -> None:
    """Have all leases end, as if their holders had been silent for long."""
    async with database.writing() as connection:
        await connection.execute(update(CLAIMS).values(until=0))


async def capturing(engine: LocalEngine, source: ListServer) -> int:
    """Have ``engine`` begin a capture that waits for the API server; returns the backup's id."""
    source.hold(HELD)
    backup_id: int = (await engine.create("first")).json()["id"]
    await asyncio.wait_for(source.reached.wait(), 100)
    return backup_id


async def test_two_hundred_parallel_creates_of_one_name_make_one_backup(pair: Pair) -> None:
    answers = await asyncio.gather(*(pair[n % 2].create("same") for n in range(200)))
    codes = Counter(answer.json().get("code", answer.status_code) for answer in answers)
    assert codes == {201: 1, 1005: 199}


async def test_two_hundred_parallel_creates_of_many_names_start_one_backup(pair: Pair) -> None:
    answers = await asyncio.gather(*(pair[n % 2].create(f"b{n}") for n in range(200)))
    codes = Counter(answer.json().get("code", answer.status_code) for answer in answers)
    assert codes == {201: 1, 1015: 199}
    assert len((await pair[0].send("GET", BACKUPS)).json()) == 1


async def test_a_restore_and_two_hundred_creates_at_once_never_run_together(pair: Pair) -> None:
    pair[0].start()
    backup_id = (await pair[0].create("first")).json()["id"]
    await pair[0].until(backup_id, "SUCCESS")
    await pair[0].stop()
    body = {"backup_id": backup_id, "groups": ["DEPLOYMENT_CONFIG"]}
    restore = await pair[0].send("POST", RESTORES, json=body)
    assert restore.status_code == 201, restore.text

    launch = pair[1].send(
        "POST", f"{RESTORES}/{restore.json()['id']}", json={"status": "REQUESTING"}
    )
    launched, *answers = await asyncio.gather(
        launch, *(pair[n % 2].create(f"b{n}") for n in range(200))
    )

    codes = Counter(answer.json().get("code", answer.status_code) for answer in answers)
    outcome = launched.json().get("code", launched.status_code)
    if outcome == 200:
        assert codes == {1016: 200}
    else:
        assert outcome == 1015
        assert codes == {201: 1, 1015: 199}


async def test_what_one_engine_stages_keeps_all_from_beginning_backups(pair: Pair) -> None:
    await pair[0].stage(configuration_backup_enabled=False)
    answers = await asyncio.gather(*(pair[n % 2].create(f"b{n}") for n in range(50)))
    assert Counter(answer.json()["code"] for answer in answers) == {1011: 50}


async def test_parallel_deploys_are_one_deploy(pair: Pair) -> None:
    await pair[0].stage(configuration_backup_enabled=False)
    answers = await asyncio.gather(*(pair[n % 2].send("POST", DEPLOY, json={}) for n in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}


async def test_a_capture_runs_in_one_engine_only(pair: Pair, source: ListServer) -> None:
    for engine in pair:
        engine.start()
    backup_id = await capturing(pair[0], source)
    pair[1].parts.runner.wake()
    alone = {"nightly", "watch", "scan", "compatibility"}  # whichever engine was first has those
    async with asyncio.timeout(100):
        expected = {("backup", backup_id), *((kind, 0) for kind in alone)}
        while set(await held(pair[0].database)) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    source.held[HELD].set()
    for engine in pair:
        record = await engine.until(backup_id, "SUCCESS")
        assert record["is_valid"] is True
    assert len(pair[0].archives) == 1
    assert [path for path, _ in source.requests].count(HELD) == 1


async def test_a_cancellation_asked_of_another_engine_is_done_within_seconds(
    pair: Pair, source: ListServer
) -> None:
    pair[0].start()
    backup_id = await capturing(pair[0], source)
    pair[1].start()
    assert (await pair[1].send("DELETE", f"{BACKUPS}/{backup_id}")).status_code == 202
    await pair[1].until(backup_id, "gone")
    assert pair[0].archives == []
    source.held[HELD].set()


async def test_an_engine_told_to_stop_hands_its_capture_over_at_once(
    tmp_path: Path, source: ListServer, postgres_url: str
) -> None:
    kubeconfig = source.kubeconfig(tmp_path)
    async with (
        local_engine(tmp_path, kubeconfig, database_url=postgres_url, lease=PATIENT) as first,
        local_engine(tmp_path, kubeconfig, database_url=postgres_url, lease=PATIENT) as second,
    ):
        first.start()
        backup_id = await capturing(first, source)
        second.start()
        await first.stop()
        source.held[HELD].set()
        await second.until(backup_id, "SUCCESS")
        assert len(second.archives) == 1


async def test_a_dead_engines_capture_is_finished_by_another_under_its_id(
    pair: Pair, source: ListServer
) -> None:
    pair[0].start()
    backup_id = await capturing(pair[0], source)
    for task in pair[0].tasks:  # killed: nothing is given back, nothing prolonged
        task.cancel()
    pair[0].parts.claims._database = _Gone()  # type: ignore[assignment]
    await asyncio.gather(*pair[0].tasks, return_exceptions=True)
    source.held[HELD].set()
    assert ("backup", backup_id) in await held(pair[1].database)
    await run_out(pair[1].database)

    pair[1].start()
    record = await pair[1].until(backup_id, "SUCCESS")
    assert record["is_valid"] is True
    assert len(pair[1].archives) == 1
    assert len((await pair[1].send("GET", BACKUPS)).json()) == 1


class _Gone:
    """The database as a dead engine sees it."""

    is_shared = True

    def writing(self) -> None:
        raise ConnectionError("this engine is dead")


async def test_an_engine_that_lost_its_claim_publishes_no_archive(
    pair: Pair, source: ListServer
) -> None:
    first, second = pair
    first.start()
    backup_id = await capturing(first, source)
    taken, done = asyncio.Event(), asyncio.Event()

    async def hold(_claim: Claim) -> None:
        taken.set()
        await done.wait()

    thief = Claims(second.database, Lease(60))
    await run_out(second.database)
    holding = asyncio.create_task(thief.carry_out(ClaimKind.BACKUP, backup_id, hold))
    await asyncio.wait_for(taken.wait(), 100)
    source.held[HELD].set()  # the sleeper goes on, to the last byte of its archive
    async with asyncio.timeout(100):
        while first.parts.runner.find_job(backup_id) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [name for name in first.archives if not name.startswith(".")] == []  # staging may stay
    assert (await second.get(backup_id))["status"] == "IN_PROGRESS"
    done.set()
    assert await holding
    await second.until(backup_id, "SUCCESS")
    assert len(first.archives) == 1


async def test_a_deploy_is_carried_out_by_whichever_engine_lives(pair: Pair) -> None:
    await pair[0].stage(configuration_backup_enabled=False)
    await pair[0].send("POST", DEPLOY, json={})  # and this engine never works
    pair[1].start()
    status = await pair[1].until_deployed()
    assert status["percent_complete"] == 100


async def test_a_removal_asked_of_one_engine_is_done_by_another(pair: Pair) -> None:
    pair[1].start()
    backup_id = (await pair[1].create("first")).json()["id"]
    await pair[1].until(backup_id, "SUCCESS")
    assert (await pair[0].send("DELETE", f"{BACKUPS}/{backup_id}")).status_code == 202
    await pair[0].until(backup_id, "gone")
    assert pair[0].archives == []


async def test_engines_that_start_together_on_an_empty_database_migrate_it_once(
    postgres_url: str,
) -> None:
    databases = [Database.open(postgres_url) for _ in range(5)]
    try:
        await asyncio.gather(*(migrate(database) for database in databases))
        assert all([await database.is_ready() for database in databases])
    finally:
        for database in databases:
            with suppress(OSError):
                await database.close()
