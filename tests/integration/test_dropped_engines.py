"""A BackupEngine that is deleted while a request to it is under way."""

import asyncio

import pytest

from appliance.faults import Moment
from fixtures.scene import GROUP, Scene

pytestmark = [pytest.mark.cluster, pytest.mark.process]


async def test_a_request_under_way_outlives_its_engine_and_the_backup_is_not_lost(
    own_scene: Scene,
) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.AFTER_ACTING)
    await scene.create("orphan")
    await hold.arrived()
    await scene.cluster.call("DELETE", f"{GROUP}/backupengines/{scene.engine}")
    with pytest.raises(TimeoutError):  # its link has ended meanwhile
        await asyncio.wait_for(scene.appliance.received("GET /about", times=99), 2)
    hold.release()
    backup = await scene.running("orphan")
    assert backup["status"]["id"] == scene.appliance.backups[0]["id"]
    await scene.condition("orphan", "Stalled", reason="EngineNotFound")
    assert scene.created() == 1
