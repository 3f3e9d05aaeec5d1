from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex

import pytest

from backup_engine.cluster import ClusterConnection
from fixtures.cluster import Cluster
from restorescene import Stage
from restorescene.small import Small, capture_small


@pytest.fixture
async def stage(sandbox: Cluster, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage of one test's own on the real API server; wiped without waiting in the end."""
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as connection:
        stage = Stage(connection, sandbox.kubeconfig, tmp_path / "archives", f"r{token_hex(3)}")
        yield stage
        await stage.wipe(is_awaited=False)


@pytest.fixture
async def small(stage: Stage) -> Small:
    """A small namespace on the stage, captured."""
    return await capture_small(stage)
