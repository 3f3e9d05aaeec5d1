"""The ways of volumes, at a real engine: a DATA backup, and a Restore of a volume."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from crashing import steps
from crashing.lane import Lane, open_lane
from crashing.ways import WITHIN_S, Way, nothing
from fixtures.cluster import Cluster
from fixtures.data_engine import DataEngine, data_engine, described_host, has_condition
from fixtures.kinds import restores
from fixtures.operator_process import Forge
from fixtures.scene import Scene

SOURCE = "source"
CONTENT = "rows"

_ENGINES: dict[str, DataEngine] = {}
"""The engine of each scene that has one, by namespace."""


@contextlib.asynccontextmanager
async def open_volume_lane(
    sandbox: Cluster, forge: Forge, folder: Path, kopia: str
) -> AsyncIterator[Lane]:
    """Open a lane with an engine that has one DATA backup."""
    async with (
        open_lane(sandbox, forge, folder) as lane,
        data_engine(lane.scene, sandbox, folder, kopia) as made,
    ):
        await made.fill("data", rows=CONTENT)
        async with described_host(made):
            await made.enable()
            await made.back_up(SOURCE)
            await lane.scene.condition(SOURCE, "Complete", within_s=WITHIN_S)
            _ENGINES[lane.scene.namespace] = made
            yield lane


async def back_up(scene: Scene, name: str) -> None:
    await _ENGINES[scene.namespace].back_up(name)


async def backed_up(scene: Scene, name: str) -> str:
    backup = await scene.condition(name, "Finished", within_s=WITHIN_S)
    return str(backup["status"]["phase"])


async def count_backups(scene: Scene) -> int:
    return len(await _ENGINES[scene.namespace].list_backups())


async def restore(scene: Scene, name: str) -> None:
    volume = {"claim": "data", "targetClaim": name, "createClaim": True}
    how = {"mode": "Apply", "autoApprove": True}
    await restores(scene).create(name, backupRef={"name": SOURCE}, volumes=[volume], **how)


async def restored(scene: Scene, name: str) -> str:
    wanted = restores(scene)
    body = await wanted.until(name, lambda one: has_condition(one, "Finished"), WITHIN_S)
    await wanted.until(name, lambda one: "finalizers" not in one["metadata"], WITHIN_S)
    assert await _ENGINES[scene.namespace].read(name, "rows") == CONTENT
    return str(body["status"]["phase"])


async def count_restores(scene: Scene) -> int:
    return len(await _ENGINES[scene.namespace].list_restores())


VOLUME_WAYS = (
    Way(
        kind="Backup",
        name="submit for volumes",
        steps=(steps.STORE_ATTEMPT, steps.POST, steps.STORE_ID),
        prepare=nothing,
        trigger=back_up,
        finish=backed_up,
        right="Succeeded",
        count=count_backups,
        others=frozenset(
            {steps.ADD_FINALIZER, steps.CHECK_NAME, steps.READ_RECORD, *steps.UNTIL_ITS_END}
        ),
    ),
    Way(
        kind="Restore",
        name="restore volumes",
        steps=(
            steps.PLAN_VOLUMES,
            steps.ADD_FINALIZER,
            steps.STORE_ATTEMPT,
            steps.POST_VOLUMES,
            steps.STORE_ID,
            steps.READ_VOLUMES,
            steps.STORE_STATUS,
            steps.REMOVE_FINALIZER,
        ),
        prepare=nothing,
        trigger=restore,
        finish=restored,
        right="Succeeded",
        count=count_restores,
    ),
)
