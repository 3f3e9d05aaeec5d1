from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_engine.archive.encryption import (
    Recipients,
    load_identities,
    make_identity,
    write_private,
)
from backup_engine.archive.protection import Protection
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.run import CaptureError, CaptureRequest, capture, verify_archive
from backup_engine.cluster import ClusterConnection
from listserver import Listing, ListServer, a_config_map

NOON_MS = 1_795_435_200_000
NOON = datetime.fromtimestamp(NOON_MS / 1000, tz=UTC)
REQUEST = CaptureRequest(
    backup_id=7,
    name="nightly",
    host_id=53,
    hostname="console1",
    time_initiated_ms=NOON_MS,
    initiated_by=None,
    product_version="0.1.0",
)


@pytest.fixture(autouse=True)
def some_objects(server: ListServer) -> None:
    server.add(
        Listing("", "v1", "secrets", "Secret", [a_config_map(f"hidden-{n}") for n in range(30)]),
        Listing("", "v1", "configmaps", "ConfigMap", [a_config_map("map")]),
    )


@pytest.fixture
def signing(tmp_path: Path) -> SigningDirectory:
    return SigningDirectory(tmp_path / "signing")


async def test_a_capture_is_encrypted_and_signed(
    cluster: ClusterConnection,
    store: ArchiveStore,
    archives: Path,
    signing: SigningDirectory,
    tmp_path: Path,
) -> None:
    made = make_identity(NOON)
    write_private(tmp_path / "key", made.text)
    identities = load_identities([tmp_path / "key"])
    protection = Protection(Recipients([made.recipient]), signing.ensure_signer(NOON))

    outcome = await capture(REQUEST, cluster, store, protection=protection)

    name = outcome.archive_name
    trust = signing.load_trust(is_signature_required=True)
    verdict = await verify_archive(store, name, trust=trust, identities=identities)
    reader = await ArchiveReader.open(store.reader(name), trust=trust, identities=identities)
    names = [entry.name async for entry, _ in reader.list_objects(lambda _: True)]
    assert verdict.is_valid
    assert sorted(names) == sorted(["map", *(f"hidden-{n}" for n in range(30))])
    assert not any(word in content_of(archives / name) for word in (b"hidden", b"Secret"))


async def test_the_same_cluster_signed_by_the_same_key_gives_the_same_bytes(
    cluster: ClusterConnection, signing: SigningDirectory, tmp_path: Path
) -> None:
    archives = []
    for place in ("one", "two"):
        protection = Protection(signer=signing.ensure_signer(NOON))
        store = ArchiveStore.open((tmp_path / place).as_uri())
        outcome = await capture(REQUEST, cluster, store, protection=protection)
        archives.append(content_of(tmp_path / place / outcome.archive_name))

    assert archives[0] == archives[1]


async def test_a_signer_past_its_end_fails_the_capture_before_anything_is_visible(
    cluster: ClusterConnection, store: ArchiveStore, signing: SigningDirectory
) -> None:
    old = signing.ensure_signer(NOON - timedelta(days=400))

    with pytest.raises(CaptureError) as caught:
        await capture(REQUEST, cluster, store, protection=Protection(signer=old))

    assert caught.value.reason == "SignerExpired"
    assert await store.list_names() == []


def content_of(archive: Path) -> bytes:
    return archive.read_bytes()
