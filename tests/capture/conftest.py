from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backup_engine.archive.store import ArchiveStore
from backup_engine.cluster import ClusterConnection
from listserver import ListServer


@pytest.fixture
async def server() -> AsyncIterator[ListServer]:
    async with ListServer().running() as server:
        yield server


@pytest.fixture
async def cluster(server: ListServer, tmp_path: Path) -> AsyncIterator[ClusterConnection]:
    async with ClusterConnection.from_kubeconfig(server.kubeconfig(tmp_path)) as cluster:
        yield cluster


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def store(archives: Path) -> ArchiveStore:
    return ArchiveStore.open(archives.as_uri())
