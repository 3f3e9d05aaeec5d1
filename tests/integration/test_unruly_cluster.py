"""An API server that restarts, throttles, forgets old versions, and refuses single writes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from appliance.journal import PATIENCE_S
from fixtures.cluster import Cluster
from fixtures.scene import Scene
from fixtures.unruly_cluster import UnrulyCluster, unruly

pytestmark = [pytest.mark.cluster, pytest.mark.process]


@pytest.fixture
async def proxy(own_scene: Scene, sandbox: Cluster, tmp_path: Path) -> AsyncIterator[UnrulyCluster]:
    """Stands between the scene's operator and the cluster."""
    own_scene.operator.kill()
    async with unruly(sandbox.kubeconfig, tmp_path) as (proxy, kubeconfig):
        own_scene.operator.kubeconfig = kubeconfig
        await own_scene.operator.start()
        await own_scene.engine_condition("Ready", "True", "Connected")
        yield proxy
        own_scene.operator.kill()


async def finish(scene: Scene, name: str, created: int = 1) -> None:
    await scene.running(name)
    scene.appliance.finish_all()
    await scene.condition(name, "Complete")
    assert scene.created() == created


def answer(status: int, **headers: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": "planned", "code": status}
    return web.json_response(body, status=status, headers=headers)


async def until(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - of a proxy that counts
            await asyncio.sleep(0.05)


async def test_a_restart_of_the_api_server_is_survived(
    own_scene: Scene, proxy: UnrulyCluster
) -> None:
    scene = own_scene
    await scene.create("before")
    await scene.running("before")
    proxy.go_down()
    scene.appliance.finish_all()
    await scene.create("during", backupType="DATA", hostId=103)
    polls = scene.appliance.count("GET /backups")
    await scene.appliance.received("GET /backups", times=polls + 2)
    proxy.is_down = False
    await scene.condition("before", "Complete")
    await finish(scene, "during", created=2)


async def test_a_watch_whose_version_is_too_old_begins_anew(
    own_scene: Scene, proxy: UnrulyCluster
) -> None:
    scene = own_scene
    for number in range(2):
        proxy.expire_watches()
        await scene.create(f"after-{number}")
        await finish(scene, f"after-{number}", created=number + 1)


async def test_throttling_delays_and_loses_nothing(own_scene: Scene, proxy: UnrulyCluster) -> None:
    scene = own_scene

    def throttle(request: web.Request) -> web.Response | None:
        is_write = request.method in {"PATCH", "POST"}
        return answer(429, **{"Retry-After": "1"}) if is_write else None

    proxy.refuse = throttle
    await scene.create("slow")
    await until(lambda: proxy.refused >= 3)
    assert scene.posts() == 0  # nothing is requested that could not be stored ahead
    proxy.refuse = lambda _: None
    await finish(scene, "slow")


async def test_a_status_that_is_refused_stops_no_other_backup_and_is_told_in_the_end(
    own_scene: Scene, proxy: UnrulyCluster
) -> None:
    """As an API server does with a status that is too large."""
    scene = own_scene

    def refuse(request: web.Request) -> web.Response | None:
        is_it = request.method == "PATCH" and request.path.endswith("/backups/large/status")
        return answer(413) if is_it else None

    proxy.refuse = refuse
    await scene.create("large", backupType="DATA", hostId=103)
    await scene.create("small")
    await finish(scene, "small")
    await until(lambda: proxy.refused >= 2)
    await until(lambda: "413" in scene.operator.output())
    assert "Backup" in scene.operator.output()
    proxy.refuse = lambda _: None
    await finish(scene, "large", created=2)
