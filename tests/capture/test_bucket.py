"""Captures into a bucket of a real S3 server."""

import asyncio
import secrets

import pytest

from backup_engine.archive.store import ArchiveStore, BucketAccess
from backup_engine.capture.run import CaptureError, CaptureRequest, capture, verify_archive
from backup_engine.cluster import ClusterConnection
from fixtures.journal import KeptJournal
from listserver import Listing, ListServer, a_config_map

pytest_plugins = ["fixtures.s3"]

REQUEST = CaptureRequest(
    backup_id=7,
    name="nightly",
    host_id=53,
    hostname="console1",
    time_initiated_ms=1_795_435_200_000,
    initiated_by=None,
    product_version="0.1.0",
)
HASTY = BucketAccess(retry_s=5, retries=3)  # where it fails in the end
PATIENT = BucketAccess(retry_s=100)
OBJECT_BYTES = 700_000


@pytest.fixture(autouse=True)
def large_objects(server: ListServer) -> None:
    """Add so much that does not compress that the archive takes an upload in pieces."""
    maps = [a_config_map(f"map-{n}", x=secrets.token_hex(OBJECT_BYTES)) for n in range(20)]
    server.add(Listing("", "v1", "configmaps", "ConfigMap", maps))


async def test_a_large_capture_goes_to_a_bucket_as_one_whole_archive(
    cluster: ClusterConnection, bucket: str
) -> None:
    store = ArchiveStore.open(f"s3://{bucket}/archives", PATIENT)

    outcome = await capture(REQUEST, cluster, store)

    assert outcome.size_bytes > 10 * OBJECT_BYTES
    assert await store.list_names() == [outcome.archive_name]
    assert (await verify_archive(store, outcome.archive_name)).is_valid
    with pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store)
    assert caught.value.reason == "ArchiveExists"


async def test_a_capture_that_was_cut_off_goes_on_in_the_bucket(
    server: ListServer, cluster: ClusterConnection, bucket: str
) -> None:
    store = ArchiveStore.open(f"s3://{bucket}/archives", PATIENT)
    server.add(Listing("", "v1", "secrets", "Secret", [a_config_map("last")]))
    server.hold("/api/v1/secrets")
    journal = KeptJournal()
    running = asyncio.create_task(capture(REQUEST, cluster, store, journal=journal))
    await asyncio.wait_for(journal.grown.wait(), 100)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    server.held["/api/v1/secrets"].set()
    server.requests.clear()
    other = ArchiveStore.open(f"s3://{bucket}/archives", PATIENT)  # as another replica would

    outcome = await capture(REQUEST, cluster, other, journal=journal)
    await other.discard_staging(outcome.archive_name)

    assert "/api/v1/configmaps" not in {path for path, _ in server.requests}
    assert outcome.objects == 21
    assert (await verify_archive(other, outcome.archive_name)).is_valid
    assert await other.list_names() == [outcome.archive_name]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({}, "BucketMissing"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "StorageDenied"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "StorageUnreachable"),
    ],
)
async def test_a_bucket_that_cannot_be_written_fails_the_capture_with_a_reason(
    cluster: ClusterConnection,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, str],
    reason: str,
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    store = ArchiveStore.open(f"s3://{bucket}-elsewhere/archives", HASTY)

    with pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store)

    assert caught.value.reason == reason
    assert "wrong-secret" not in caught.value.message
