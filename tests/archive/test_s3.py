"""Archives in a bucket of a real S3 server."""

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from backup_engine.archive.errors import ArchiveExistsError, ArchiveMissingError, StorageError
from backup_engine.archive.segments import ResumableWriter
from backup_engine.archive.store import UPLOAD_BYTES, ArchiveStore, BucketAccess
from backup_engine.archive.verifying import verify_archive
from fixtures.s3_faults import Fault, FaultyProxy, What
from fixtures.s3_server import S3Server

pytest_plugins = ["fixtures.s3"]

NAME = "backup.x.console_1.23_11_2026.config.1.tar"
SMALL = 1000
LARGE = 3 * UPLOAD_BYTES + 5
HASTY = BucketAccess(retry_s=5, retries=4)  # where it fails in the end
PATIENT = BucketAccess(retry_s=100)
HEADROOM_S = 60.0


@pytest.fixture
def bucket_store(bucket: str) -> ArchiveStore:
    return ArchiveStore.open(f"s3://{bucket}/some/place", PATIENT)


@pytest.fixture
async def proxy(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FaultyProxy]:
    assert bucket  # made first: it fills the environment that is changed here
    async with FaultyProxy(s3_server.endpoint).running() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


async def write(store: ArchiveStore, content: bytes) -> None:
    async with store.writer(NAME) as place:
        for begin in range(0, len(content), 5_000_000):
            await place.write(content[begin : begin + 5_000_000])


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_an_archive_in_a_bucket_is_written_read_listed_and_deleted(
    bucket_store: ArchiveStore, size: int
) -> None:
    content = os.urandom(size)

    await write(bucket_store, content)

    assert await bucket_store.list_names() == [NAME]
    assert await bucket_store.find_size(NAME) == size
    assert await bucket_store.reader(NAME).read(size // 2, 100) == content[size // 2 :][:100]
    await bucket_store.delete(NAME)
    await bucket_store.delete(NAME)
    assert await bucket_store.find_size(NAME) is None
    with pytest.raises(ArchiveMissingError):
        await bucket_store.reader(NAME).read(0, 1)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_name_in_a_bucket_is_written_only_once(
    bucket_store: ArchiveStore, size: int
) -> None:
    await write(bucket_store, b"first")

    with pytest.raises(ArchiveExistsError, match=NAME):
        await write(bucket_store, bytes(size))

    assert await bucket_store.reader(NAME).read(0, 5) == b"first"


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_of_two_writers_to_a_bucket_the_later_one_is_refused_and_leaves_no_pieces(
    bucket_store: ArchiveStore, s3_server: S3Server, bucket: str, size: int
) -> None:
    async def write_slowly() -> None:
        async with bucket_store.writer(NAME) as slow:
            await slow.write(bytes(size))
            await write(bucket_store, b"fast")

    with pytest.raises(ArchiveExistsError):
        await write_slowly()

    assert await bucket_store.reader(NAME).read(0, 4) == b"fast"
    assert "<Upload>" not in s3_server.list_uploads(bucket)


async def test_of_writers_that_complete_a_large_name_at_the_same_moment_one_wins(
    bucket_store: ArchiveStore,
) -> None:
    contents = [os.urandom(LARGE) for _ in range(3)]

    ends = await asyncio.gather(
        *(write(bucket_store, content) for content in contents), return_exceptions=True
    )

    reasons = {end.reason for end in ends if isinstance(end, StorageError)}
    assert [end for end in ends if end is None] == [None]
    assert reasons <= {"ArchiveExists", "StorageBusy"}
    winner = contents[ends.index(None)]
    assert await bucket_store.reader(NAME).read(0, LARGE) == winner
    assert await bucket_store.list_names() == [NAME]


async def test_a_reservation_left_by_a_crash_is_its_successors_and_nobody_elses(
    bucket_store: ArchiveStore, s3_server: S3Server, bucket: str
) -> None:
    left = f"/{bucket}/some/place/.staging/{NAME}/reservation"
    assert s3_server.call("PUT", left, body=b"the same capture").status == 200

    with pytest.raises(StorageError) as caught:
        await write(bucket_store, bytes(LARGE))
    successor: ResumableWriter[None] = bucket_store.resumable_writer(NAME, "the same capture")
    async with successor as place:
        await place.write(bytes(LARGE))
        await place.publish()
    await bucket_store.discard_staging(NAME)

    assert caught.value.reason == "StorageBusy"
    assert await bucket_store.find_size(NAME) == LARGE
    assert s3_server.call("GET", left).status == 404


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_a_torn_upload_is_never_visible_and_its_pieces_are_removed(
    bucket_store: ArchiveStore, s3_server: S3Server, bucket: str, error: type[BaseException]
) -> None:
    begun = ""

    async def fail() -> None:
        nonlocal begun
        async with bucket_store.writer(NAME) as place:
            await place.write(bytes(LARGE))
            begun = await asyncio.to_thread(s3_server.list_uploads, bucket)
            assert await bucket_store.find_size(NAME) is None
            raise error

    with pytest.raises(error):
        await fail()

    assert NAME in begun
    assert "<Upload>" not in s3_server.list_uploads(bucket)
    assert await bucket_store.list_names() == []


KILLED_WRITER = """
import asyncio, sys
from backup_engine.archive.store import ArchiveStore

async def main():
    async with ArchiveStore.open(sys.argv[1]).writer(sys.argv[2]) as place:
        await place.write(bytes(20_000_000))
        print("writing", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


async def test_a_killed_writer_leaves_nothing_visible_and_its_name_free(
    bucket_store: ArchiveStore, bucket: str
) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED_WRITER,
        f"s3://{bucket}/some/place",
        NAME,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert await asyncio.wait_for(writer.stdout.readline(), timeout=200) == b"writing\n"
    writer.kill()
    await writer.communicate()

    assert await bucket_store.list_names() == []
    await write(bucket_store, bytes(LARGE))
    assert await bucket_store.find_size(NAME) == LARGE


@pytest.mark.parametrize("what", [503, "cut before", "cut after"])
async def test_a_failed_piece_is_sent_again_and_only_that_one(
    proxy: FaultyProxy, bucket: str, what: int
) -> None:
    store = ArchiveStore.open(f"s3://{bucket}/some/place", PATIENT)
    content = os.urandom(LARGE)
    proxy.faults.append(Fault("PUT", "partNumber=2", what))

    await write(store, content)

    assert proxy.count("PUT", "partNumber=2") == 2
    assert [proxy.count("PUT", f"partNumber={number}") for number in (1, 3, 4)] == [1, 1, 1]
    assert await store.reader(NAME).read(0, LARGE) == content


LOST = ["cut after", "failed after", "silent before", "silent after"]


@pytest.fixture
def patient_store(proxy: FaultyProxy, bucket: str, monkeypatch: pytest.MonkeyPatch) -> ArchiveStore:
    """A store that notices silence soon, and waits it out for long."""
    assert proxy.endpoint
    monkeypatch.setenv("AWS_TIMEOUT", "1s")
    return ArchiveStore.open(f"s3://{bucket}/some/place", BucketAccess(retry_s=50))


@pytest.mark.parametrize("what", LOST)
@pytest.mark.parametrize(("size", "path"), [(SMALL, NAME), (LARGE, "reservation")])
async def test_a_create_only_put_whose_answer_is_lost_is_known_again(
    proxy: FaultyProxy, patient_store: ArchiveStore, what: What, size: int, path: str
) -> None:
    content = os.urandom(size)
    proxy.faults.append(Fault("PUT", "", what, times=2, path=path))

    await write(patient_store, content)

    assert proxy.faults[0].times == 0
    assert await patient_store.list_names() == [NAME]
    assert await patient_store.reader(NAME).read(0, size) == content
    with pytest.raises(ArchiveExistsError):
        await write(patient_store, content)


@pytest.mark.parametrize("what", ["cut before", "silent before"])
@pytest.mark.parametrize("size", [SMALL, SMALL - 1])
async def test_what_another_wrote_while_an_answer_was_lost_is_not_taken_for_ones_own(
    proxy: FaultyProxy,
    patient_store: ArchiveStore,
    s3_server: S3Server,
    bucket: str,
    what: What,
    size: int,
) -> None:
    others = os.urandom(size)
    path = f"/{bucket}/some/place/{NAME}"
    fault = Fault("PUT", "", what, meanwhile=lambda: s3_server.call("PUT", path, body=others))
    proxy.faults.append(fault)

    with pytest.raises(ArchiveExistsError):
        await write(patient_store, os.urandom(SMALL))

    assert await patient_store.reader(NAME).read(0, SMALL) == others


async def test_a_completion_whose_answer_is_lost_is_known_again(
    proxy: FaultyProxy, patient_store: ArchiveStore
) -> None:
    content = os.urandom(LARGE)
    # an upload that is complete is none any more: the second request of its kind meets 404
    proxy.faults += [Fault("POST", "uploadId=", "cut after"), Fault("POST", "uploadId=", 404)]

    await write(patient_store, content)

    assert [fault.times for fault in proxy.faults] == [0, 0]
    assert await patient_store.reader(NAME).read(0, LARGE) == content


async def test_a_bucket_that_stays_silent_is_given_up_after_the_time_granted(
    proxy: FaultyProxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_TIMEOUT", "1s")
    store = ArchiveStore.open(f"s3://{bucket}/some/place", BucketAccess(retry_s=3))
    proxy.faults.append(Fault("PUT", "", "silent before", times=99))
    begun = time.monotonic()

    with pytest.raises(StorageError) as caught:
        await write(store, b"content")

    assert caught.value.reason == "StorageUnreachable"
    assert proxy.count("PUT", "") > 1
    assert time.monotonic() - begun < 3 + HEADROOM_S
    assert await store.list_names() == []


async def test_every_body_goes_with_its_sha256(proxy: FaultyProxy, bucket: str) -> None:
    store = ArchiveStore.open(f"s3://{bucket}/some/place", PATIENT)

    await write(store, os.urandom(LARGE))
    await store.delete(NAME)
    await write(store, b"small")

    assert len(proxy.digests) >= LARGE // UPLOAD_BYTES + 3  # pieces, completion, reservation, put
    assert {told == true for told, true in proxy.digests} == {True}


@pytest.mark.parametrize(("size", "query"), [(SMALL, ""), (LARGE, "partNumber=2")])
async def test_a_bit_that_changes_on_the_wire_is_refused_by_the_server(
    proxy: FaultyProxy, bucket: str, size: int, query: str
) -> None:
    store = ArchiveStore.open(f"s3://{bucket}/some/place", HASTY)
    proxy.faults.append(Fault("PUT", query, "flipped", times=99))

    with pytest.raises(StorageError) as caught:
        await write(store, os.urandom(size))

    assert (caught.value.reason, await store.find_size(NAME)) == ("StorageFailed", None)


@pytest.mark.parametrize(
    ("method", "query", "status", "reason"),
    [
        ("PUT", "partNumber=2", 503, "StorageUnreachable"),
        ("PUT", "partNumber=2", 507, "StorageFull"),
        ("PUT", "partNumber=2", 403, "StorageDenied"),
        ("POST", "uploadId=", 403, "StorageDenied"),
        ("POST", "uploads", 503, "StorageUnreachable"),
    ],
)
async def test_an_upload_that_keeps_failing_ends_with_a_reason_and_leaves_no_pieces(
    proxy: FaultyProxy,
    s3_server: S3Server,
    bucket: str,
    method: str,
    query: str,
    status: int,
    reason: str,
) -> None:
    store = ArchiveStore.open(f"s3://{bucket}/some/place", HASTY)
    proxy.faults.append(Fault(method, query, status, times=99))
    begun = time.monotonic()

    with pytest.raises(StorageError) as caught:
        await write(store, os.urandom(LARGE))

    assert caught.value.reason == reason
    assert time.monotonic() - begun < HASTY.retry_s + HEADROOM_S
    assert "<Upload>" not in await asyncio.to_thread(s3_server.list_uploads, bucket)
    assert await store.find_size(NAME) is None


@pytest.mark.usefixtures("bucket")
async def test_a_bucket_that_is_gone_is_told_apart_from_a_lost_archive() -> None:
    store = ArchiveStore.open("s3://never-made/place", HASTY)
    begun = time.monotonic()

    for attempt in (store.list_names, lambda: store.find_size(NAME), lambda: write(store, b"x")):
        with pytest.raises(StorageError) as caught:
            await attempt()
        assert caught.value.reason == "BucketMissing"
        assert "never-made" in caught.value.message
    with pytest.raises(StorageError):
        await verify_archive(store, NAME)
    assert time.monotonic() - begun < HEADROOM_S


async def test_a_server_that_is_not_there_is_told_within_the_time_granted(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # discard, where nothing listens
    store = ArchiveStore.open(f"s3://{bucket}/place", HASTY)
    begun = time.monotonic()

    with pytest.raises(StorageError) as caught:
        await write(store, b"x")

    assert caught.value.reason == "StorageUnreachable"
    assert time.monotonic() - begun < HASTY.retry_s + HEADROOM_S


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_bucket_with_object_lock_keeps_its_archives(
    s3_server: S3Server, bucket: str, size: int
) -> None:
    locked = f"{bucket}-locked"
    s3_server.make_bucket(locked, is_locking=True)
    rule = (
        b'<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE"
        b"</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    )
    assert s3_server.call("PUT", f"/{locked}", "object-lock=", body=rule).status == 200
    store = ArchiveStore.open(f"s3://{locked}/place", PATIENT)
    content = secrets.token_hex(size // 2).encode()
    capture: ResumableWriter[None] = store.resumable_writer(NAME, "a capture")
    async with capture as place:
        await place.write(content[: size // 3])
        place.cut(None)
        await place.flush()
        await place.write(content[size // 3 :])
        await place.publish()
    await store.discard_staging(NAME)

    assert await store.list_names() == [NAME]
    assert await store.reader(NAME).read(0, size) == content
    versions = s3_server.call("GET", f"/{locked}", "prefix=place%2Fbackup&versions=").body
    (version,) = re.findall("<VersionId>([^<]+)", versions)  # one: it was never written anew
    refused = s3_server.call("DELETE", f"/{locked}/place/{NAME}", f"versionId={version}")
    assert refused.status == 403
    await store.delete(NAME)  # as who removes the backup; the lock keeps its bytes
    assert await store.find_size(NAME) is None
    kept = s3_server.call("GET", f"/{locked}/place/{NAME}", f"versionId={version}")
    assert (kept.status, kept.body.encode()) == (200, content)
