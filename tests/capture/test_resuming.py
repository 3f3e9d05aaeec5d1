"""A capture that was cut off goes on where it stopped, and lists no finished kind again."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_engine.archive.encryption import Recipients, load_identities, make_identity
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.listing import PageLimits
from backup_engine.capture.run import CaptureLimits, CaptureOutcome, CaptureRequest, capture
from backup_engine.capture.scope import CaptureScope
from backup_engine.cluster import ClusterConnection
from fixtures.journal import KeptJournal
from listserver import Listing, ListServer, a_config_map

REQUEST = CaptureRequest(
    backup_id=7,
    name="nightly",
    host_id=1,
    hostname="console",
    time_initiated_ms=1_795_435_200_000,
    initiated_by=None,
    product_version="0.1.0",
)
LIMITS = CaptureLimits(
    page=PageLimits(objects=5), retries=RetryPolicy(attempts=2, first_delay_s=0.001)
)
RESOURCES = [f"kind{letter}s" for letter in "abcdefgh"]


@pytest.fixture(autouse=True)
def eight_kinds(server: ListServer) -> None:
    for position, resource in enumerate(RESOURCES):
        objects = [a_config_map(f"{resource}-{n:02d}") for n in range(3 + 4 * position)]
        server.add(Listing("zoo.io", "v1", resource, resource.title(), objects))
    server.add(Listing("zoo.io", "v1", "empties", "Empty", []))


@pytest.fixture(params=["directory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveStore:
    """A store; what lies in that in memory lasts as long as this object."""
    url = (tmp_path / "archives").as_uri() if request.param == "directory" else "memory:///"
    return ArchiveStore.open(url)


def path_of(resource: str) -> str:
    return f"/apis/zoo.io/v1/{resource}"


def asked_for(server: ListServer) -> Counter[str]:
    """Count the first pages asked for, by resource."""
    firsts = (path for path, query in server.requests if "continue" not in query)
    return Counter(path.rpartition("/")[2] for path in firsts if path.startswith("/apis/zoo.io"))


async def read_all(store: ArchiveStore, outcome: CaptureOutcome) -> bytes:
    return await store.read_range(outcome.archive_name, 0, outcome.size_bytes)


async def cut_off(
    server: ListServer,
    cluster: ClusterConnection,
    store: ArchiveStore,
    journal: KeptJournal,
    at: str,
    protection: Protection = UNPROTECTED,
) -> None:
    """Run a capture until it waits for the list of ``at`` and has saved all in front of it."""
    server.hold(path_of(at))
    running = asyncio.create_task(
        capture(REQUEST, cluster, store, limits=LIMITS, journal=journal, protection=protection)
    )
    expected = sorted([*RESOURCES, "empties"])
    expected = expected[: expected.index(at)]
    async with asyncio.timeout(100):
        while journal.finished != expected:
            journal.grown.clear()
            await journal.grown.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    server.held.pop(path_of(at)).set()


async def test_what_is_resumed_is_the_same_archive_and_no_finished_kind_is_listed_again(
    server: ListServer, cluster: ClusterConnection, place: ArchiveStore, tmp_path: Path
) -> None:
    whole = ArchiveStore.open((tmp_path / "whole").as_uri())
    expected = await read_all(whole, await capture(REQUEST, cluster, whole, limits=LIMITS))
    journal = KeptJournal()
    for at in ("kindcs", "kindfs"):
        server.requests.clear()
        await cut_off(server, cluster, place, journal, at)
    before = journal.finished
    server.requests.clear()

    outcome = await capture(REQUEST, cluster, place, limits=LIMITS, journal=journal)

    assert await read_all(place, outcome) == expected
    assert before == ["empties", *RESOURCES[:5]]
    assert not asked_for(server).keys() & set(before)
    assert set(asked_for(server)) == set(RESOURCES[5:])
    assert set(asked_for(server).values()) == {1}
    assert (await verify_archive(place, outcome.archive_name)).is_valid


@pytest.mark.parametrize("requests", range(4, 32, 3))
async def test_cut_off_after_any_number_of_answers_the_end_is_the_same_archive(
    server: ListServer,
    cluster: ClusterConnection,
    place: ArchiveStore,
    tmp_path: Path,
    requests: int,
) -> None:
    whole = ArchiveStore.open((tmp_path / "whole").as_uri())
    expected = await read_all(whole, await capture(REQUEST, cluster, whole, limits=LIMITS))
    server.requests.clear()
    journal = KeptJournal()
    running = asyncio.create_task(capture(REQUEST, cluster, place, limits=LIMITS, journal=journal))
    while len(server.requests) < requests and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    before = journal.finished
    server.requests.clear()

    outcome = await capture(REQUEST, cluster, place, limits=LIMITS, journal=journal)

    assert await read_all(place, outcome) == expected
    assert not asked_for(server).keys() & set(before)


async def test_an_encrypted_capture_is_resumed_without_any_private_key(
    server: ListServer, cluster: ClusterConnection, place: ArchiveStore, tmp_path: Path
) -> None:
    identity = make_identity(datetime(2026, 11, 27, tzinfo=UTC))
    protection = Protection(Recipients([identity.recipient]))
    journal = KeptJournal()
    await cut_off(server, cluster, place, journal, "kindds", protection)
    server.requests.clear()

    outcome = await capture(
        REQUEST, cluster, place, limits=LIMITS, journal=journal, protection=protection
    )

    file = tmp_path / "identity"
    file.write_text(identity.text)
    verdict = await verify_archive(place, outcome.archive_name, identities=load_identities([file]))
    assert (verdict.is_valid, verdict.reason) == (True, "Verified")
    assert set(asked_for(server)) == set(RESOURCES[3:])


async def test_a_capture_of_another_scope_begins_anew_and_says_so(
    server: ListServer,
    cluster: ClusterConnection,
    place: ArchiveStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = KeptJournal()
    await cut_off(server, cluster, place, journal, "kindds")
    server.requests.clear()
    request = replace(REQUEST, scope=CaptureScope(exclude_kinds=("kindas", "kindz")))

    outcome = await capture(request, cluster, place, limits=LIMITS, journal=journal)

    assert set(asked_for(server)) == {"empties", *RESOURCES[1:]}
    assert "its scope, policy, recipients, cluster or program is another" in caplog.text
    assert "kinds.exclude: 'kindz' names no kind that could be captured" in caplog.text
    assert (await verify_archive(place, outcome.archive_name)).is_valid


@pytest.mark.parametrize("damage", ["cut short", "changed", "gone"])
async def test_what_is_damaged_in_staging_is_noticed_and_captured_again(
    server: ListServer, cluster: ClusterConnection, tmp_path: Path, damage: str
) -> None:
    archives = tmp_path / "archives"
    store = ArchiveStore.open(archives.as_uri())
    journal = KeptJournal()
    await cut_off(server, cluster, store, journal, "kindfs")
    (staged,) = archives.glob(".*.capture")
    content = bytearray(staged.read_bytes())
    if damage == "cut short":
        del content[-1:]
    elif damage == "changed":
        content[len(content) // 2] ^= 1
    staged.write_bytes(content)
    if damage == "gone":
        staged.unlink()

    outcome = await capture(REQUEST, cluster, store, limits=LIMITS, journal=journal)

    assert (await verify_archive(store, outcome.archive_name)).is_valid
    assert [file.name for file in archives.iterdir()] == [outcome.archive_name]


async def test_another_replica_without_the_staged_bytes_begins_anew(
    server: ListServer, cluster: ClusterConnection, tmp_path: Path
) -> None:
    journal = KeptJournal()
    await cut_off(
        server, cluster, ArchiveStore.open((tmp_path / "one").as_uri()), journal, "kindfs"
    )
    server.requests.clear()
    other = ArchiveStore.open((tmp_path / "other").as_uri())

    outcome = await capture(REQUEST, cluster, other, limits=LIMITS, journal=journal)

    assert (await verify_archive(other, outcome.archive_name)).is_valid
    assert set(asked_for(server)) == {"empties", *RESOURCES}


async def test_what_is_left_in_staging_is_invisible_and_can_be_discarded(
    server: ListServer, cluster: ClusterConnection, place: ArchiveStore, tmp_path: Path
) -> None:
    journal = KeptJournal()
    await cut_off(server, cluster, place, journal, "kindfs")
    assert await place.list_names() == []

    await place.discard_staging(REQUEST.archive_name)
    await place.discard_staging(REQUEST.archive_name)

    assert not list(tmp_path.glob("archives/.*"))  # noqa: ASYNC240
    outcome = await capture(REQUEST, cluster, place, limits=LIMITS, journal=journal)
    assert await place.list_names() == [outcome.archive_name]
