"""A store that fails under a running engine: what passes is waited for, what stays is FAILED."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from backup_api.backups import BackupRecord, BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_api.extensions.verification import BackupVerification
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from fixtures.engine import EngineProcess, running_engine
from fixtures.s3_server import S3Server
from listserver import ListServer, a_config_map

pytest_plugins = ["fixtures.s3"]
pytestmark = pytest.mark.process

LISTED, HELD = "/api/v1/configmaps", "/api/v1/secrets"
LARGEST_FILE = """
import resource, sys
from backup_engine.__main__ import entry
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
entry()
"""  # the database stays smaller, the archive does not


@pytest.fixture(autouse=True)
def large_objects(source: ListServer) -> None:
    """Add so much that does not compress that the archive takes an upload in pieces."""
    maps = [a_config_map(f"map-{n}", x=secrets.token_hex(700_000)) for n in range(12)]
    source.listings[0].objects[:] = maps


def client_of(engine: EngineProcess) -> BackupApiClient:
    return BackupApiClient(
        ClientOptions(engine.url, SecToken(engine.token), Trust(ca_pem=engine.ca_pem))
    )


async def begin(client: BackupApiClient, name: str) -> BackupRecord:
    return await client.create_backup(
        CreateBackup(name=name, configuration_id=1), BackupType.CONFIG
    )


async def end(client: BackupApiClient, backup_id: int) -> tuple[BackupRecord, BackupVerification]:
    """Wait until the backup has ended; what the record tells, and why."""
    running = {RecordStatus.INITIALIZING, RecordStatus.IN_PROGRESS}
    async with asyncio.timeout(120):
        while (record := await client.get_backup(backup_id)).status in running:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return record, await client.get_verification(backup_id)


async def objects_in(url: str) -> Counter[str]:
    """Count the names of the objects in the one archive of a store."""
    store = ArchiveStore.open(url)
    (name,) = await store.list_names()
    archive = await ArchiveReader.open(store.reader(name))
    return Counter([entry.name async for entry, _ in archive.list_objects(lambda _: True)])


def in_bucket(
    s3_server: S3Server, bucket: str, directory: Path
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Options and environment: the credentials come from a file alone."""
    file = directory / "credentials"
    file.write_text(
        f"[default]\naws_access_key_id = {s3_server.key_id}\n"
        f"aws_secret_access_key = {s3_server.secret}\n"
    )
    options = ("--archive-url", f"s3://{bucket}/archives", "--archive-credentials-file", str(file))
    environment = {
        name: value
        for name, value in s3_server.environment.items()
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    }
    return options, environment


async def test_a_server_that_is_restarted_under_a_capture_is_waited_for(
    tmp_path: Path, source: ListServer, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = f"restarted-{secrets.token_hex(4)}"
    s3_server.make_bucket(bucket)
    options, environment = in_bucket(s3_server, bucket, tmp_path)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    source.hold(HELD)
    kubeconfig = source.kubeconfig(tmp_path)

    with running_engine(
        tmp_path / "engine", kubeconfig, *options, environment=environment
    ) as engine:
        async with client_of(engine) as client:
            created = await begin(client, "restarted")
            await asyncio.wait_for(source.reached.wait(), 100)
            await asyncio.to_thread(s3_server.stop)
            source.held[HELD].set()
            await asyncio.to_thread(s3_server.start)
            record, told = await end(client, created.id)
        log = engine.log

    assert (record.status, record.is_valid) == (RecordStatus.SUCCESS, True), told.message
    assert s3_server.secret not in log
    # a page that was too large is asked for anew, smaller, and counts as another one
    asked = Counter((path, *sorted(query.items())) for path, query in source.requests)
    lists = {one: times for one, times in asked.items() if one[0] in {LISTED, HELD}}
    assert set(lists.values()) == {1}, lists
    assert await objects_in(f"s3://{bucket}/archives") == Counter(
        one["metadata"]["name"] for listing in source.listings for one in listing.objects
    )


async def test_a_bucket_that_is_gone_fails_the_backup_and_says_so(
    tmp_path: Path, source: ListServer, s3_server: S3Server
) -> None:
    options, environment = in_bucket(s3_server, "never-made", tmp_path)
    kubeconfig = source.kubeconfig(tmp_path)

    with running_engine(
        tmp_path / "engine", kubeconfig, *options, environment=environment
    ) as engine:
        async with client_of(engine) as client:
            record, told = await end(client, (await begin(client, "gone")).id)

    assert record.status is RecordStatus.FAILED
    assert told.reason == "BucketMissing"
    assert told.message is not None
    assert "never-made" in told.message


async def test_a_full_disk_fails_the_backup_and_says_where(
    tmp_path: Path, source: ListServer
) -> None:
    kubeconfig = source.kubeconfig(tmp_path)

    with running_engine(tmp_path / "engine", kubeconfig, program=("-c", LARGEST_FILE)) as engine:
        async with client_of(engine) as client:
            record, told = await end(client, (await begin(client, "full")).id)
            source.listings[0].objects[:] = [a_config_map("small")]
            again, _ = await end(client, (await begin(client, "smaller")).id)
        left = [path.name for path in engine.archives.iterdir()]

    assert record.status is RecordStatus.FAILED
    assert told.reason == "StorageFull"
    assert str(engine.archives) in (told.message or "")
    assert again.status is RecordStatus.SUCCESS
    assert len(left) == 1  # nothing of the one that failed
