"""kill -9 of the real process at random moments of a capture: it ends right each time."""

import asyncio
import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_api.backups import BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_engine.archive.encryption import load_identities, make_identity
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.capture.journal import parse_journal
from fixtures.engine import EngineProcess
from listserver import Listing, ListServer, a_config_map

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

KINDS = [f"kind{letter}s" for letter in "abcdefghijkl"]
LISTS = 24  # of a capture, one for each page


@pytest.fixture(autouse=True)
def a_slow_cluster(source: ListServer) -> None:
    source.listings.clear()
    for position, resource in enumerate(KINDS):
        objects = [a_config_map(f"{resource}-{n:04d}", x="y" * 50) for n in range(position * 150)]
        source.add(Listing("zoo.io", "v1", resource, resource.title(), objects))
    source.answers_after_s = 0.05


def client_of(engine: EngineProcess) -> BackupApiClient:
    return BackupApiClient(
        ClientOptions(engine.url, SecToken(engine.token), Trust(ca_pem=engine.ca_pem))
    )


def read_finished(engine: EngineProcess, backup_id: int) -> list[str]:
    """Read from the database of a dead engine which kinds the capture has finished."""
    with sqlite3.connect(engine.data_dir / "engine.db") as database:
        rows = database.execute(
            "SELECT entry FROM capture_journal WHERE backup_id = ? ORDER BY sequence", [backup_id]
        ).fetchall()
    entries = parse_journal(entry for (entry,) in rows)
    return [one.kind.resource for entry in entries for one in entry.finished]


def listed_kinds(source: ListServer) -> set[str]:
    paths = (path for path, query in source.requests if "limit" in query)
    return {path.rpartition("/")[2] for path in paths}


async def until_asked(source: ListServer, lists: int) -> None:
    """Wait until so many lists were asked for: no machine is too slow or too fast for that."""
    async with asyncio.timeout(100):
        while sum("limit" in query for _, query in source.requests) < lists:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def finish(engine: EngineProcess, backup_id: int) -> None:
    async with client_of(engine) as client, asyncio.timeout(200):
        while (await client.get_backup(backup_id)).status is not RecordStatus.SUCCESS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_killed_at_random_moments_each_capture_goes_on_where_it_stopped(
    tmp_path: Path, source: ListServer, kills: int
) -> None:
    moments = random.Random(20261128)
    identity = tmp_path / "identity"
    made = make_identity(datetime.now(UTC))
    identity.write_text(made.text)
    options = ("--tls-self-signed", "--recipient", made.recipient)
    resumed_behind = []
    seen: set[str] = set()
    engine = EngineProcess(tmp_path / "engine", source.kubeconfig(tmp_path), options)
    try:
        await asyncio.to_thread(engine.start)
        store = ArchiveStore.open(engine.archives.as_uri())
        for number in range(kills):
            source.requests.clear()
            async with client_of(engine) as client:
                body = CreateBackup(name=f"backup-{number}", configuration_id=1)
                created = await client.create_backup(body, BackupType.CONFIG)
            await until_asked(source, moments.randint(0, LISTS))
            engine.kill()
            finished = read_finished(engine, created.id)
            source.requests.clear()
            await asyncio.to_thread(engine.start)
            await finish(engine, created.id)

            assert not listed_kinds(source) & set(finished)
            resumed_behind.append(len(finished))
            names = set(await store.list_names()) - seen
            assert len(names) == 1
            seen |= names
            verdict = await verify_archive(store, *names, identities=load_identities([identity]))
            assert (verdict.is_valid, verdict.reason) == (True, "Verified")
            assert [*engine.archives.glob(".*")] == []
            assert read_finished(engine, created.id) == []
    finally:
        engine.kill()
    assert any(0 < count < len(KINDS) for count in resumed_behind)
