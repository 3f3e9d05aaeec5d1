"""The ways of a BackupSchedule: what it makes, cancels and expires are Backups."""

import asyncio

from crashing import steps
from crashing.ways import WITHIN_S, Way, count_backups
from fixtures.kinds import Objects, schedules
from fixtures.scene import Body, Scene

LABEL = "backup-operator.io/schedule"
RUN_NOW = "backup-operator.io/run-now"
RARELY = "0 0 29 2 *"  # so that nothing is due but what a way makes due
BEFORE_A_RUN = "2024-02-28T00:00:00Z"
LOOK_S = 0.05


async def make_schedule(scene: Scene, name: str, policy: str = "Forbid") -> Objects:
    kept = schedules(scene)
    spec = {
        "backupType": "CONFIG",
        "engineRef": {"name": scene.engine},
        "deletionPolicy": "Delete",
    }
    await kept.create(name, schedule=RARELY, concurrencyPolicy=policy, template={"spec": spec})
    await kept.until(name, lambda one: "observedTime" in one.get("status", {}), WITHIN_S)
    return kept


async def list_backups(scene: Scene, name: str) -> list[Body]:
    path = f"{scene.path()}?labelSelector={LABEL}%3D{name}"
    items: list[Body] = (await scene.cluster.call("GET", path))["items"]
    return sorted(items, key=lambda one: str(one["metadata"]["creationTimestamp"]))


async def run_now(scene: Scene, name: str, value: str) -> None:
    await scene.cluster.merge(
        schedules(scene).path(name), {"metadata": {"annotations": {RUN_NOW: value}}}
    )


async def run_to_its_end(scene: Scene, name: str, value: str) -> None:
    """Have a run made by hand, and wait for the end of its Backup."""
    kept = schedules(scene)
    await run_now(scene, name, value)
    await kept.until(name, lambda one: one["status"].get("lastRunNow") == value, WITHIN_S)
    for backup in await list_backups(scene, name):
        await scene.running(backup["metadata"]["name"], within_s=WITHIN_S)
        scene.appliance.finish_all()
        await scene.condition(backup["metadata"]["name"], "Finished", within_s=WITHIN_S)


async def wait_for_a_run(scene: Scene, name: str) -> None:
    await make_schedule(scene, name)


async def make_due(scene: Scene, name: str) -> None:
    status = {"observedTime": BEFORE_A_RUN, "observedSchedule": f"{RARELY} UTC"}
    await scene.cluster.merge(f"{schedules(scene).path(name)}/status", {"status": status})


async def ran_once(scene: Scene, name: str) -> str:
    """Wait for the Backup of the run that was due, and for the schedule to know its end."""
    kept = schedules(scene)
    await kept.until(name, lambda one: "lastScheduleTime" in one["status"], WITHIN_S)
    (backup,) = await list_backups(scene, name)
    return await succeeded(scene, name, backup["metadata"]["name"])


async def succeeded(scene: Scene, name: str, backup: str) -> str:
    kept = schedules(scene)
    await scene.running(backup, within_s=WITHIN_S)
    scene.appliance.finish_all()
    ended = await scene.condition(backup, "Finished", within_s=WITHIN_S)
    await kept.until(
        name, lambda one: one["status"].get("lastSuccessfulBackup") == backup, WITHIN_S
    )
    await kept.delete(name)
    return str(ended["status"]["phase"])


async def run_for_long(scene: Scene, name: str) -> None:
    await make_schedule(scene, name, "Replace")
    await run_now(scene, name, "first")
    await schedules(scene).until(
        name, lambda one: one["status"].get("lastRunNow") == "first", WITHIN_S
    )
    (first,) = await list_backups(scene, name)
    await scene.running(first["metadata"]["name"], within_s=WITHIN_S)


async def run_again(scene: Scene, name: str) -> None:
    await run_now(scene, name, "second")


async def replaced(scene: Scene, name: str) -> str:
    """Wait until the first Backup is cancelled and the second has succeeded."""
    await schedules(scene).until(
        name, lambda one: one["status"].get("lastRunNow") == "second", WITHIN_S
    )
    backups = await list_backups(scene, name)
    names = [one["metadata"]["name"] for one in backups]
    (first,) = [name for one, name in zip(backups, names, strict=True) if one["spec"].get("cancel")]
    (second,) = [name for name in names if name != first]
    ended = await scene.condition(first, "Finished", within_s=WITHIN_S)
    phase = await succeeded(scene, name, second)
    return f"{ended['status']['phase']}, then {phase}"


async def run_twice(scene: Scene, name: str) -> None:
    await make_schedule(scene, name)
    for value in ("first", "second"):
        await run_to_its_end(scene, name, value)


async def keep_one(scene: Scene, name: str) -> None:
    await schedules(scene).change(name, retention={"keepLast": 1})


async def expired(scene: Scene, name: str) -> str:
    """Wait until one Backup and one archive are left: those of the second run."""
    async with asyncio.timeout(WITHIN_S):
        while len(left := await list_backups(scene, name)) != 1:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
    (kept,) = left
    ids = [one["id"] for one in scene.appliance.backups if f"{name}-now" in str(one["name"])]
    value = (await schedules(scene).get(name))["status"]["lastRunNow"]
    assert value == "second"
    await schedules(scene).delete(name)
    return "the newest stays" if ids == [kept["status"]["id"]] else f"left: {ids}"


OF_ITS_BACKUP = steps.UNTIL_ITS_END | {
    steps.ADD_FINALIZER,
    steps.CHECK_NAME,
    steps.STORE_ATTEMPT,
    steps.POST,
    steps.STORE_ID,
}
LEAVING = frozenset(
    {steps.READ_RECORD, steps.DELETE, steps.POLL, steps.STORE_STATUS, steps.REMOVE_FINALIZER}
)

SCHEDULE_WAYS = (
    Way(
        kind="BackupSchedule",
        name="run",
        steps=(steps.CREATE_BACKUP, steps.STORE_SCHEDULE),
        prepare=wait_for_a_run,
        trigger=make_due,
        finish=ran_once,
        right="Succeeded",
        count=count_backups,
        others=OF_ITS_BACKUP,
    ),
    Way(
        kind="BackupSchedule",
        name="replace",
        steps=(steps.CANCEL_BACKUP, steps.CREATE_BACKUP, steps.STORE_SCHEDULE),
        prepare=run_for_long,
        trigger=run_again,
        finish=replaced,
        right="Cancelled, then Succeeded",
        count=count_backups,
        makes=2,
        others=OF_ITS_BACKUP | LEAVING,
    ),
    Way(
        kind="BackupSchedule",
        name="expire",
        steps=(steps.STORE_SCHEDULE, steps.MARK_EXPIRED, steps.DELETE_BACKUP),
        prepare=run_twice,
        trigger=keep_one,
        finish=expired,
        right="the newest stays",
        count=count_backups,
        makes=2,
        others=LEAVING,
    ),
)
