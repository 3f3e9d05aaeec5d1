import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.listing import PageLimits
from backup_engine.capture.policy import SuccessPolicy
from backup_engine.capture.run import (
    CaptureError,
    CaptureLimits,
    CaptureProgress,
    CaptureRequest,
    capture,
    verify_archive,
)
from backup_engine.capture.scope import CaptureScope
from backup_engine.cluster import ClusterConnection
from listserver import Fault, Listing, ListServer, a_config_map

NOON_MS = 1_795_435_200_000
REQUEST = CaptureRequest(
    backup_id=7,
    name="pre-upgrade_2026.11",
    host_id=53,
    hostname="console1",
    time_initiated_ms=NOON_MS,
    initiated_by="API_user: tests",
    product_version="0.1.0",
)
ARCHIVE = "backup.pre-upgrade_2026.11.console1_53.23_11_2026.config.1795435200000.tar"


def quick(page_objects: int = 500) -> CaptureLimits:
    return CaptureLimits(
        page=PageLimits(objects=page_objects), retries=RetryPolicy(attempts=3, first_delay_s=0.001)
    )


@pytest.fixture(autouse=True)
def a_small_cluster(server: ListServer) -> None:
    namespaces = [
        {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}}
        for name in ("blue", "red")
    ]
    secrets = [a_config_map(f"secret-{number}", "red") for number in range(3)]
    maps = [a_config_map(f"map-{number:03d}", "blue", x="1") for number in range(40)]
    widgets = [a_config_map(f"widget-{number}", "red") for number in range(2)]
    server.add(
        Listing("", "v1", "configmaps", "ConfigMap", maps),
        Listing("", "v1", "secrets", "Secret", secrets),
        Listing("", "v1", "namespaces", "Namespace", namespaces, is_namespaced=False),
        Listing("", "v1", "events", "Event", [a_config_map("event")]),
        Listing("zoo.io", "v1", "widgets", "Widget", widgets, is_typed=False),
        Listing("zoo.io", "v1", "cages", "Cage", []),
    )


async def names_in(store: ArchiveStore, name: str) -> list[str]:
    archive = await ArchiveReader.open(store.reader(name))
    return [
        f"{entry.kind} {entry.namespace}/{entry.name}"
        async for entry, _ in archive.list_objects(lambda _: True)
    ]


def files_in(archives: Path) -> list[str]:
    return sorted(file.name for file in archives.iterdir()) if archives.exists() else []


async def test_a_capture_holds_every_object_in_restore_order_and_says_what_it_left_out(
    cluster: ClusterConnection, store: ArchiveStore
) -> None:
    outcome = await capture(REQUEST, cluster, store, limits=quick())

    names = await names_in(store, ARCHIVE)
    assert outcome.archive_name == ARCHIVE
    assert (outcome.objects, outcome.kinds) == (47, 4)
    assert [(skip.resource, skip.reason) for skip in outcome.skipped] == [("events", "Ephemeral")]
    assert outcome.size_bytes == await store.find_size(ARCHIVE)
    assert names[:3] == ["Namespace None/blue", "Namespace None/red", "ConfigMap blue/map-000"]
    assert names[-1] == "Widget red/widget-1"
    assert len(names) == 47


async def test_the_manifest_tells_origin_lists_and_totals(
    cluster: ClusterConnection, store: ArchiveStore
) -> None:
    await capture(REQUEST, cluster, store, limits=quick())

    manifest = (await ArchiveReader.open(store.reader(ARCHIVE))).manifest
    assert manifest.cluster.uid == "cluster-uid"
    assert manifest.cluster.kubernetes_version == "v1.99.0"
    assert (manifest.backup.id, manifest.backup.host.name) == (7, "console1")
    assert manifest.scope.namespaces is None
    assert [(one.resource, one.objects, one.is_consistent) for one in manifest.lists] == [
        ("namespaces", 2, True),
        ("configmaps", 40, True),
        ("secrets", 3, True),
        ("cages", 0, True),
        ("widgets", 2, True),
    ]
    assert manifest.totals.objects == 47


async def test_the_same_cluster_gives_the_same_bytes_however_it_is_paged(
    cluster: ClusterConnection, tmp_path: Path
) -> None:
    archives = []
    for page_objects in (3, 500):
        store = ArchiveStore.open((tmp_path / str(page_objects)).as_uri())
        await capture(REQUEST, cluster, store, limits=quick(page_objects))
        archives.append((tmp_path / str(page_objects) / ARCHIVE).read_bytes())

    assert archives[0] == archives[1]


async def test_a_server_that_indents_gives_the_same_objects(
    server: ListServer, cluster: ClusterConnection, store: ArchiveStore
) -> None:
    server.is_indenting = True

    await capture(REQUEST, cluster, store, limits=quick())

    assert (await verify_archive(store, ARCHIVE)).is_valid


async def test_a_scope_of_namespaces_leaves_out_the_rest_and_says_so(
    cluster: ClusterConnection, store: ArchiveStore, server: ListServer
) -> None:
    server.add(Listing("", "v1", "nodes", "Node", [a_config_map("n")], is_namespaced=False))
    request = replace(REQUEST, scope=CaptureScope(include_namespaces=("red",)))

    outcome = await capture(request, cluster, store, limits=quick())

    names = await names_in(store, ARCHIVE)
    assert names == [
        "Namespace None/red",
        *(f"Secret red/secret-{number}" for number in range(3)),
        *(f"Widget red/widget-{number}" for number in range(2)),
    ]
    assert ("nodes", "OutsideScope") in {(skip.resource, skip.reason) for skip in outcome.skipped}


async def test_namespaces_of_a_glob_are_found_first_and_all_else_is_sifted_out(
    cluster: ClusterConnection, store: ArchiveStore
) -> None:
    request = replace(REQUEST, scope=CaptureScope(include_namespaces=("r*",)))

    outcome = await capture(request, cluster, store, limits=quick(10))

    names = await names_in(store, ARCHIVE)
    manifest = (await ArchiveReader.open(store.reader(ARCHIVE))).manifest
    assert names[0] == "Namespace None/red"
    assert {name.split()[1].partition("/")[0] for name in names[1:]} == {"red"}
    assert outcome.objects == 6
    assert (manifest.scope.namespaces, manifest.scope.include_namespaces) == (("red",), ("r*",))
    assert (await verify_archive(store, ARCHIVE)).is_valid


async def test_a_tolerated_gap_is_in_the_manifest_beside_the_policy_that_let_it_go(
    server: ListServer, cluster: ClusterConnection, store: ArchiveStore
) -> None:
    server.fail("/apis/zoo.io/v1/widgets", Fault(503, "no endpoints", times=99))
    request = replace(REQUEST, policy=SuccessPolicy(tolerate_unavailable=("*.zoo.io",)))

    outcome = await capture(request, cluster, store, limits=quick())

    manifest = (await ArchiveReader.open(store.reader(ARCHIVE))).manifest
    assert outcome.objects == 45
    assert ("widgets", "ServerUnavailable") in {
        (one.resource, one.reason) for one in manifest.skipped
    }
    assert manifest.policy.tolerate_unavailable == ("*.zoo.io",)
    assert (await verify_archive(store, ARCHIVE)).is_valid


async def test_progress_is_told_and_only_grows(
    cluster: ClusterConnection, store: ArchiveStore
) -> None:
    told: list[CaptureProgress] = []

    await capture(REQUEST, cluster, store, limits=quick(10), report=told.append)

    assert [one.objects for one in told] == sorted(one.objects for one in told)
    assert (told[-1].objects, told[-1].kinds_done, told[-1].kinds_total) == (47, 5, 5)


async def test_an_empty_source_is_a_failure_and_leaves_no_archive(
    server: ListServer, cluster: ClusterConnection, store: ArchiveStore, archives: Path
) -> None:
    for listing in server.listings:
        listing.objects = []

    with pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store, limits=quick())

    assert caught.value.reason == "EmptySource"
    assert files_in(archives) == []


@pytest.mark.parametrize(
    ("path", "fault", "reason"),
    [
        ("/api/v1/secrets", Fault(403, "no", times=99), "Forbidden"),
        ("/api/v1/secrets", Fault(503, "no", times=99), "ServerUnavailable"),
        ("/api/v1/secrets", Fault(401, "no", times=99), "Unauthorized"),
        ("/api/v1/secrets", Fault(400, "no", times=99), "UnexpectedAnswer"),
        ("/apis", Fault(403, "no", times=99), "DiscoveryRefused"),
        ("/version", Fault(0, times=99), "ClusterUnreachable"),
    ],
)
async def test_a_capture_that_misses_a_kind_is_a_failure_and_leaves_no_archive(
    server: ListServer,
    cluster: ClusterConnection,
    store: ArchiveStore,
    archives: Path,
    path: str,
    fault: Fault,
    reason: str,
) -> None:
    server.fail(path, fault)

    with pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store, limits=quick())

    assert caught.value.reason == reason
    assert files_in(archives) == []


async def test_a_kind_that_vanishes_meanwhile_is_noted_and_the_rest_captured(
    server: ListServer, cluster: ClusterConnection, store: ArchiveStore
) -> None:
    server.fail("/apis/zoo.io/v1/widgets", Fault(404, "gone", times=99))

    outcome = await capture(REQUEST, cluster, store, limits=quick())

    assert outcome.objects == 45
    assert ("widgets", "Vanished") in {(skip.resource, skip.reason) for skip in outcome.skipped}
    assert (await verify_archive(store, ARCHIVE)).is_valid


async def test_an_old_server_is_refused_in_plain_words(
    server: ListServer, cluster: ClusterConnection, store: ArchiveStore
) -> None:
    server.is_old = True

    with pytest.raises(CaptureError, match=r"Kubernetes 1\.27 or later"):
        await capture(REQUEST, cluster, store, limits=quick())


async def test_a_cancelled_capture_ends_while_its_list_hangs_and_leaves_nothing(
    server: ListServer, cluster: ClusterConnection, store: ArchiveStore, archives: Path
) -> None:
    server.hold("/api/v1/secrets")
    running = asyncio.create_task(capture(REQUEST, cluster, store, limits=quick(5)))
    await asyncio.wait_for(server.reached.wait(), timeout=100)
    assert files_in(archives) != []

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):  # the list is held to the end
            await running

    assert files_in(archives) == []


def leave_torn(archives: Path) -> None:
    archives.mkdir()
    (archives / f".{ARCHIVE}.0123abcd.partial").write_bytes(b"half of it")


async def test_a_torn_capture_is_invisible_and_its_restart_removes_it(
    cluster: ClusterConnection, store: ArchiveStore, archives: Path
) -> None:
    leave_torn(archives)

    assert await store.find_size(ARCHIVE) is None
    assert await store.list_names() == []
    await capture(REQUEST, cluster, store, limits=quick())

    assert files_in(archives) == [ARCHIVE]


async def test_an_archive_is_never_replaced(
    cluster: ClusterConnection, store: ArchiveStore, archives: Path
) -> None:
    await capture(REQUEST, cluster, store, limits=quick())
    before = (archives / ARCHIVE).read_bytes()

    with pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store, limits=quick())

    assert caught.value.reason == "ArchiveExists"
    assert (archives / ARCHIVE).read_bytes() == before


async def test_a_full_disk_is_a_failure_that_names_the_place(
    cluster: ClusterConnection, store: ArchiveStore, archives: Path
) -> None:
    with largest_file(2048), pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store, limits=quick())

    assert caught.value.reason == "StorageFull"
    assert str(archives) in caught.value.message
    assert files_in(archives) == []


async def test_a_host_name_that_would_leave_the_directory_is_refused(
    cluster: ClusterConnection, store: ArchiveStore
) -> None:
    request = replace(REQUEST, hostname="../../etc")

    with pytest.raises(CaptureError) as caught:
        await capture(request, cluster, store, limits=quick())

    assert caught.value.reason == "InvalidName"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse to grow any file past ``size`` bytes: EFBIG, much like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
