"""The ways of what is asked of an engine beside backups: its configuration, and restores."""

from crashing import steps
from crashing.ways import WITHIN_S, Way, nothing
from fixtures.kinds import configurations, restores
from fixtures.scene import Scene

STAGING = "POST /staged_config/backup_and_restore/scheduled_backup_configurations/{id}"
DEPLOYING = "POST /staged_config/deploy_status"
LAUNCHING = "POST /restores/{id}"
DAY_MS = 86_400_000


def name_configuration(scene: Scene, name: str) -> str:
    return f"{name}-{scene.mark}"


def retention_days(name: str) -> int:
    """Another retention for each walk, so that there is something to stage."""
    return 8 + int(name.rpartition("-")[2])


async def configure(scene: Scene, name: str) -> None:
    await configurations(scene).create(
        name_configuration(scene, name),
        engineRef={"name": scene.engine},
        backupRetentionPeriod=f"{retention_days(name)}d",
    )


async def in_force(scene: Scene, name: str) -> str:
    kept, full_name = configurations(scene), name_configuration(scene, name)
    body = await kept.ready(full_name, "True", "InForce", within_s=WITHIN_S)
    deployed = scene.appliance.state.deployed.configuration["backup_retention_period"]
    assert deployed == retention_days(name) * DAY_MS
    await kept.delete(full_name)
    await kept.gone(full_name, within_s=WITHIN_S)
    return str(
        next(one["reason"] for one in body["status"]["conditions"] if one["type"] == "Ready")
    )


async def count_changes(scene: Scene) -> int:
    """How often something was staged, and how often a deploy was asked for."""
    return scene.appliance.count(STAGING) + scene.appliance.count(DEPLOYING)


async def request(scene: Scene, name: str, **spec: object) -> None:
    backup_id = scene.appliance.add_backup(name)
    await restores(scene).create(
        name,
        backupId=backup_id,
        engineRef={"name": scene.engine},
        groups=["DEPLOYMENT_CONFIG"],
        **spec,
    )


async def restore(scene: Scene, name: str) -> None:
    await request(scene, name, mode="Apply", autoApprove=True)


async def restored(scene: Scene, name: str) -> str:
    wanted = restores(scene)
    body = await wanted.until(
        name, lambda one: one.get("status", {}).get("phase") == "InProgress", WITHIN_S
    )
    scene.appliance.finish_restore(body["status"]["id"])
    body = await wanted.ready(name, "True", "Succeeded", within_s=WITHIN_S)
    await wanted.until(name, lambda one: "finalizers" not in one["metadata"], WITHIN_S)
    assert scene.appliance.restores.unrecorded == []
    return str(body["status"]["phase"])


async def count_restores(scene: Scene) -> int:
    """How many restores the appliance has ever had, and how many were launched."""
    launched = sum(1 for _ in scene.appliance.journal.matching(LAUNCHING, 200))
    return scene.appliance.restores.next_id + launched


async def plan(scene: Scene, name: str) -> None:
    await request(scene, name)
    await restores(scene).ready(name, "True", "Planned", within_s=WITHIN_S)


async def delete_restore(scene: Scene, name: str) -> None:
    await restores(scene).delete(name)


async def dropped(scene: Scene, name: str) -> str:
    await restores(scene).gone(name, within_s=WITHIN_S)
    assert all(one.status != "PENDING" for one in scene.appliance.restores.records.values())
    return "gone"


CONFIGURATION_WAYS = (
    Way(
        kind="BackupConfiguration",
        name="configure",
        steps=(
            steps.READ_STAGED,
            steps.READ_DEPLOYED,
            steps.READ_DEPLOY,
            steps.STAGE,
            steps.DEPLOY,
            steps.STORE_STATUS,
        ),
        prepare=nothing,
        trigger=configure,
        finish=in_force,
        right="InForce",
        count=count_changes,
        makes=2,
    ),
)
RESTORE_WAYS = (
    Way(
        kind="Restore",
        name="restore",
        steps=(
            steps.ADD_FINALIZER,
            steps.LIST_RESTORES,
            steps.STORE_ATTEMPT,
            steps.POST_RESTORE,
            steps.STORE_ID,
            steps.READ_RESTORE,
            steps.STORE_LAUNCH,
            steps.LAUNCH,
            steps.STORE_STATUS,
            steps.REMOVE_FINALIZER,
        ),
        prepare=nothing,
        trigger=restore,
        finish=restored,
        right="Succeeded",
        count=count_restores,
        makes=2,
        others=frozenset({steps.READ_RECORD}),
    ),
    Way(
        kind="Restore",
        name="drop the plan",
        steps=(steps.READ_RESTORE, steps.DROP_RESTORE, steps.REMOVE_FINALIZER),
        prepare=plan,
        trigger=delete_restore,
        finish=dropped,
        right="gone",
        count=count_restores,
    ),
)
