"""Crashes and lost answers at every step: one backup each, and a status that converges."""

import asyncio

import pytest

from appliance.faults import Moment
from appliance.journal import PATIENCE_S
from fixtures.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.process]


async def finish(scene: Scene, name: str) -> None:
    await scene.running(name)
    scene.appliance.finish_all()
    await scene.condition(name, "Complete")
    assert scene.created() == 1
    assert len(scene.appliance.backups) == 1


async def test_a_lost_answer_never_costs_a_second_backup(own_scene: Scene) -> None:
    scene = own_scene
    scene.appliance.faults.drop_answer("POST /backups")
    await scene.create("lost")
    await finish(scene, "lost")

    assert scene.posts() == 1
    await scene.told("lost", "Adopted")


async def test_a_truncated_answer_never_costs_a_second_backup(own_scene: Scene) -> None:
    scene = own_scene
    scene.appliance.faults.truncate("POST /backups")
    await scene.create("cut")
    await finish(scene, "cut")
    assert scene.posts() == 1


async def test_a_request_lost_on_its_way_is_repeated(own_scene: Scene) -> None:
    scene = own_scene
    scene.appliance.faults.reset("POST /backups")
    await scene.create("again")
    await finish(scene, "again")

    assert scene.posts() == 2
    assert (await scene.get("again"))["status"]["submission"]["attempts"] == 2


async def test_a_crash_before_the_request_is_made_good(own_scene: Scene) -> None:
    """The engine refuses as busy, so that the next attempt is stored but not yet answered."""
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.BEFORE_ACTING)
    await scene.create("early")
    await hold.arrived()
    scene.operator.kill()
    hold.drop()
    assert scene.appliance.backups == []
    assert (await scene.get("early"))["status"]["submission"]["attempts"] == 1

    await scene.operator.start()
    await finish(scene, "early")
    assert (await scene.get("early"))["status"]["submission"]["attempts"] == 2


async def test_a_crash_while_the_answer_is_under_way_adopts(own_scene: Scene) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.AFTER_ACTING)
    await scene.create("late")
    await hold.arrived()
    scene.operator.kill()
    hold.release()
    assert "id" not in (await scene.get("late"))["status"]

    await scene.operator.start()
    await finish(scene, "late")
    assert scene.posts() == 1


async def test_a_request_accepted_long_after_the_crash_adopts(own_scene: Scene) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.BEFORE_ACTING)
    await scene.create("slow")
    await hold.arrived()
    scene.operator.kill()
    await scene.operator.start()
    await scene.appliance.received("GET /backups", times=3)
    hold.release()  # now the console gets round to it
    await finish(scene, "slow")


async def test_a_request_accepted_after_its_repetition_makes_no_second(
    own_scene: Scene,
) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.BEFORE_ACTING)
    await scene.create("twice")
    await hold.arrived()
    scene.operator.kill()
    await scene.operator.start()
    await scene.appliance.answered("POST /backups", times=1)
    hold.release()
    await finish(scene, "twice")


async def test_a_name_taken_by_the_lost_attempt_is_ours(own_scene: Scene) -> None:
    """The repetition is held, the first request is accepted, and 409/1005 is the fence."""
    scene = own_scene
    first = scene.appliance.faults.hold("POST /backups", moment=Moment.BEFORE_ACTING)
    second = scene.appliance.faults.hold("POST /backups", moment=Moment.BEFORE_ACTING)
    await scene.create("fence")
    await first.arrived()
    scene.operator.kill()
    await scene.operator.start()
    await second.arrived()
    first.release()
    async with asyncio.timeout(PATIENCE_S):
        while not scene.appliance.backups:  # noqa: ASYNC110 - the appliance's own list
            await asyncio.sleep(0.05)
    second.release()
    await finish(scene, "fence")
    assert scene.posts() == 2


async def test_a_crash_while_it_runs_is_survived(own_scene: Scene) -> None:
    scene = own_scene
    await scene.create("mid")
    await scene.running("mid")
    hold = scene.appliance.faults.hold("GET /backups")
    await hold.arrived()
    scene.operator.kill()
    hold.drop()
    scene.appliance.finish_all()
    await scene.operator.start()
    await scene.condition("mid", "Complete")
    assert scene.created() == 1


async def test_a_crash_while_cancelling_ends_cancelled(own_scene: Scene) -> None:
    scene = own_scene
    scene.appliance.deletion_seconds = None
    await scene.create("stop")
    await scene.running("stop")
    hold = scene.appliance.faults.hold("DELETE /backups/{id}", moment=Moment.AFTER_ACTING)
    await scene.change("stop", cancel=True)
    await hold.arrived()
    scene.operator.kill()
    hold.drop()
    scene.appliance.finish_deletions()
    await scene.operator.start()
    await scene.condition("stop", "Finished", reason="Cancelled")
    assert scene.posts() == 1
    assert scene.appliance.backups == []


async def test_a_crash_while_deleting_lets_the_object_go_in_the_end(own_scene: Scene) -> None:
    scene = own_scene
    await scene.create("gone", deletionPolicy="Delete")
    await scene.running("gone")
    scene.appliance.finish_all()
    await scene.condition("gone", "Complete")
    hold = scene.appliance.faults.hold("DELETE /backups/{id}", moment=Moment.BEFORE_ACTING)
    await scene.delete("gone")
    await hold.arrived()
    scene.operator.kill()
    hold.drop()
    assert len(scene.appliance.backups) == 1
    await scene.operator.start()
    await scene.gone("gone")
    assert scene.appliance.backups == []


async def test_stopping_lets_a_request_in_flight_finish(own_scene: Scene) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.AFTER_ACTING)
    await scene.create("polite")
    await hold.arrived()
    stopping = asyncio.create_task(scene.operator.stop())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(stopping), 0.5)
    hold.release()
    assert await stopping == 0
    assert (await scene.get("polite"))["status"]["id"] == scene.appliance.backups[0]["id"]


async def test_a_backup_deleted_while_it_is_requested_breaks_nothing(own_scene: Scene) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups", moment=Moment.AFTER_ACTING)
    await scene.create("brief")
    await hold.arrived()
    await scene.delete("brief")
    await scene.gone("brief")
    hold.release()
    await scene.create("next")
    await scene.phase("next", "Pending")  # the console is busy with the other one
    scene.appliance.finish_all()
    await scene.running("next")
    assert scene.created() == 2
