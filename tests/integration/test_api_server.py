"""The real API server is stopped in mid-backup and started again, with the same etcd and port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from appliance.server import FakeAppliance
from backup_sandbox.sandbox import Options, start_detached, stop_sandbox
from fixtures.cluster import CRDS, Cluster
from fixtures.operator_process import Forge, build_operator, play
from fixtures.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.process]

NAMESPACE = "restarted"


@contextlib.asynccontextmanager
async def stage(forge: Forge, appliance: FakeAppliance, folder: Path) -> AsyncIterator[Scene]:
    """A cluster of its own with an operator; the sandbox is in ``folder``/sandbox."""
    root = folder / "sandbox"
    running = await asyncio.to_thread(start_detached, root, Options(crds=(CRDS,)))
    try:
        sandbox = Cluster(running.kubeconfig, running.kubectl, running.server)
        operator = build_operator(forge, sandbox, folder, NAMESPACE)
        async with play(sandbox, appliance, operator, NAMESPACE) as scene:
            path = "/api/v1/namespaces"
            await scene.cluster.call("POST", path, {"metadata": {"name": NAMESPACE}})
            await operator.start()
            try:
                yield scene
            finally:
                operator.kill()
        operator.check_outputs()
    finally:
        await asyncio.to_thread(stop_sandbox, root, purge=True)


async def test_a_backup_outlives_a_restart_of_the_api_server(
    forge: Forge, appliance: FakeAppliance, tmp_path: Path
) -> None:
    async with stage(forge, appliance, tmp_path) as scene:
        root, port = tmp_path / "sandbox", urlsplit(scene.cluster.server).port
        await scene.create("before")
        await scene.running("before")
        await asyncio.to_thread(stop_sandbox, root)
        appliance.finish_all()
        polls = appliance.count("GET /backups")
        await appliance.received("GET /backups", times=polls + 2)

        await asyncio.to_thread(start_detached, root, Options(port=port, crds=(CRDS,)))
        await scene.condition("before", "Complete", within_s=90)
        await scene.create("after")
        await scene.running("after", within_s=90)  # the watches are back, and not only a sweep
        assert scene.created() == 2
