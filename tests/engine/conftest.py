"""Fixtures of an engine inside the test's process, with a small API server to capture from."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from listserver import Listing, ListServer, a_config_map
from localengine import LocalEngine, local_engine


@pytest.fixture
async def source() -> AsyncIterator[ListServer]:
    """A small API server with two kinds of objects."""
    server = ListServer()
    server.add(
        Listing("", "v1", "configmaps", "ConfigMap", [a_config_map(f"c{n}") for n in range(5)]),
        Listing("", "v1", "secrets", "Secret", [a_config_map("s1")]),
    )
    async with server.running():
        yield server


@pytest.fixture
async def resting(
    tmp_path: Path, source: ListServer, database_url: str
) -> AsyncIterator[LocalEngine]:
    """An engine whose runner does nothing, so that records stay as a request left them."""
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(tmp_path, kubeconfig, database_url=database_url) as engine:
        yield engine


@pytest.fixture
async def local(resting: LocalEngine) -> LocalEngine:
    """An engine at work."""
    resting.start()
    return resting
