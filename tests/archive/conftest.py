import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_engine.archive.manifest import (
    BackupFacts,
    ClusterIdentity,
    Host,
    ListEntry,
    Product,
    Scope,
    Skipped,
)
from backup_engine.archive.names import build_archive_name
from backup_engine.archive.part import KindName, PartBuilder
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.signing import Signer
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.writing import ArchiveWriter, build_origin

NOON_MS = 1_795_435_200_000
CONTENT: dict[KindName, list[tuple[str | None, str]]] = {
    KindName("v1", "Namespace", "namespaces"): [(None, "blue"), (None, "red")],
    KindName("v1", "Secret", "secrets"): [("red", f"secret-{n}") for n in range(5)],
    KindName("zoo.io/v1", "Widget", "widgets"): [("blue", "größe"), ("red", "wheel")],
}

WriteArchive = Callable[..., Awaitable[str]]


def a_line(kind: KindName, namespace: str | None, name: str) -> bytes:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def store(archives: Path) -> ArchiveStore:
    return ArchiveStore.open(archives.as_uri())


@pytest.fixture
def write_archive() -> WriteArchive:
    """Write a small archive of nine objects of three kinds; its name is the result.

    Its arguments are the store and, if wanted, the protection.
    """

    async def write(store: ArchiveStore, protection: Protection = UNPROTECTED) -> str:
        name = build_archive_name("small", "console", 1, NOON_MS)
        origin = build_origin(
            BackupFacts(
                id=1,
                name="small",
                type="CONFIG",
                time_initiated_ms=NOON_MS,
                initiated_by="admin",
                host=Host(id=1, name="console"),
            ),
            Product(name="backup-operator", version="0.1.0"),
            ClusterIdentity(uid="cluster-uid", kubernetes_version="v1.36.3"),
        )
        async with store.writer(name) as place:
            archive = ArchiveWriter(place, origin, protection)
            await archive.begin()
            lists = []
            for kind, objects in CONTENT.items():
                builder = PartBuilder(kind, protection.recipients)
                for namespace, one in objects:
                    builder.add(a_line(kind, namespace, one), namespace, one, f"uid-{one}", "7")
                part = builder.finish()
                assert part is not None
                await archive.add(part)
                lists.append(
                    ListEntry(
                        api_version=kind.api_version,
                        kind=kind.kind,
                        resource=kind.resource,
                        namespace=None,
                        resource_version="1000",
                        is_consistent=True,
                        objects=len(objects),
                    )
                )
            skipped = Skipped(
                api_version="v1",
                resource="events",
                namespace=None,
                reason="Ephemeral",
                message="short-lived",
            )
            await archive.commit(Scope(namespaces=None), lists, [skipped])
        return name

    return write


@pytest.fixture
async def archive(store: ArchiveStore, write_archive: WriteArchive, archives: Path) -> Path:
    """The small archive as a file."""
    return archives / await write_archive(store)


@pytest.fixture
def signing(tmp_path: Path) -> SigningDirectory:
    return SigningDirectory(tmp_path / "signing")


@pytest.fixture
def signer(signing: SigningDirectory) -> Signer:
    return signing.ensure_signer(datetime.fromtimestamp(NOON_MS / 1000, tz=UTC))
