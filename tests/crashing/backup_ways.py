"""The ways of a Backup."""

from crashing import steps
from crashing.ways import WITHIN_S, Way, count_backups, nothing
from fixtures.scene import Scene, find_condition


async def begin(scene: Scene, name: str) -> None:
    await scene.create(name, deletionPolicy="Delete")
    await scene.running(name, within_s=WITHIN_S)


async def complete(scene: Scene, name: str) -> None:
    await begin(scene, name)
    scene.appliance.finish_all()
    await scene.condition(name, "Complete", within_s=WITHIN_S)


async def create(scene: Scene, name: str) -> None:
    await scene.create(name, deletionPolicy="Delete")


async def create_unanswered(scene: Scene, name: str) -> None:
    scene.appliance.faults.drop_answer("POST /backups")
    await create(scene, name)


async def cancel(scene: Scene, name: str) -> None:
    await scene.change(name, cancel=True)


async def delete(scene: Scene, name: str) -> None:
    await scene.delete(name)


async def succeeded(scene: Scene, name: str) -> str:
    await scene.running(name, within_s=WITHIN_S)
    scene.appliance.faults.clear()
    scene.appliance.finish_all()
    backup = await scene.condition(name, "Finished", within_s=WITHIN_S)
    assert len(scene.appliance.find_by_name(f"{name}-{scene.mark}")) == 1
    assert find_condition(backup, "Ready") is not None
    return str(backup["status"]["phase"])


async def cancelled(scene: Scene, name: str) -> str:
    backup = await scene.condition(name, "Finished", within_s=WITHIN_S)
    assert scene.appliance.find_by_name(f"{name}-{scene.mark}") == []
    return str(backup["status"]["phase"])


async def gone(scene: Scene, name: str) -> str:
    await scene.gone(name, within_s=WITHIN_S)
    assert scene.appliance.find_by_name(f"{name}-{scene.mark}") == []
    return "gone"


BACKUP_WAYS = (
    Way(
        kind="Backup",
        name="submit",
        steps=(
            steps.ADD_FINALIZER,
            steps.CHECK_NAME,
            steps.STORE_ATTEMPT,
            steps.POST,
            steps.STORE_ID,
        ),
        prepare=nothing,
        trigger=create,
        finish=succeeded,
        right="Succeeded",
        count=count_backups,
        others=steps.UNTIL_ITS_END,
    ),
    Way(
        kind="Backup",
        name="adopt",
        steps=(steps.POST, steps.CHECK_NAME, steps.STORE_ID),
        prepare=nothing,
        trigger=create_unanswered,
        finish=succeeded,
        right="Succeeded",
        count=count_backups,
        occurrences={steps.CHECK_NAME: 2},  # the first is the check before the attempt
        others=steps.UNTIL_ITS_END | {steps.ADD_FINALIZER, steps.STORE_ATTEMPT},
    ),
    Way(
        kind="Backup",
        name="cancel",
        steps=(steps.READ_RECORD, steps.DELETE, steps.POLL, steps.STORE_STATUS),
        prepare=begin,
        trigger=cancel,
        finish=cancelled,
        right="Cancelled",
        count=count_backups,
    ),
    Way(
        kind="Backup",
        name="delete",
        steps=(
            steps.READ_RECORD,
            steps.STORE_STATUS,
            steps.DELETE,
            steps.POLL,
            steps.REMOVE_FINALIZER,
        ),
        prepare=complete,
        trigger=delete,
        finish=gone,
        right="gone",
        count=count_backups,
    ),
)
