"""Restores through the engine's API on a real API server, by our own client."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from backup_api.backups import BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_api.exceptions import RefusedError
from backup_api.extensions.restores import (
    PlanAction,
    PlanState,
    RestoreOptions,
    RestorePlan,
    RestoreRule,
)
from backup_api.paging import ItemRange
from backup_api.recipes import restoring
from backup_api.recipes.waiting import Waiting
from backup_api.restores import (
    CreateRestore,
    GetRestoreErrors,
    RestoreGroup,
    RestoreRecord,
    RestoreStatus,
)
from fixtures.cluster import Cluster
from fixtures.engine import EngineProcess, running_engine
from restorescene import Stage, build_scene
from restorescene.objects import make
from restorescene.stage import deadline, versions

pytestmark = [pytest.mark.cluster, pytest.mark.process]

QUICK = Waiting(limit_s=200, first_s=0.05, longest_s=0.5)
GROUPS = tuple(group.value for group in RestoreGroup)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, sandbox: Cluster) -> Iterator[EngineProcess]:
    """One engine for the module; its tests are done with a restore before the next begins."""
    data_dir = tmp_path_factory.mktemp("restoring") / "engine"
    with running_engine(data_dir, sandbox.kubeconfig) as running:
        yield running


@asynccontextmanager
async def client_of(engine: EngineProcess) -> AsyncIterator[BackupApiClient]:
    credentials, trust = SecToken(engine.token), Trust(ca_pem=engine.ca_pem)
    options = ClientOptions(engine.url, credentials, trust, requests_per_second=1000.0)
    async with BackupApiClient(options) as client:
        yield client


async def backed_up(client: BackupApiClient, stage: Stage) -> int:
    wanted = CreateBackup(name=stage.prefix, configuration_id=1)
    created = await client.create_backup(wanted, BackupType.CONFIG)
    async with deadline() as expired:
        while True:
            record = await client.get_backup(created.id)
            if record.status is RecordStatus.SUCCESS:
                return record.id
            expired(record)
            await asyncio.sleep(0.05)


async def prepared(client: BackupApiClient, stage: Stage, backup_id: int) -> RestoreRecord:
    """A PENDING restore of what is the stage's own."""
    body = CreateRestore(backup_id=backup_id, groups=GROUPS)
    restore = await client.create_restore(body)
    await client.set_restore_options(restore.id, options_of(stage))
    return restore


def options_of(stage: Stage, approved: str | None = None) -> RestoreOptions:
    include = (
        RestoreRule(namespace=f"{stage.prefix}-*"),
        RestoreRule(name=stage.prefix),
        RestoreRule(name=f"*{stage.prefix}.example"),
    )
    return RestoreOptions(include=include, approved_plan=approved)


async def planned(client: BackupApiClient, restore_id: int) -> RestorePlan:
    await client.start_plan(restore_id)
    async with deadline() as expired:
        while True:
            plan = await client.get_plan(restore_id)
            if plan.state is not PlanState.COMPUTING:
                assert plan.state is PlanState.READY, plan
                return plan
            expired(plan)
            await asyncio.sleep(0.05)


async def test_planned_approved_and_restored(engine: EngineProcess, stage: Stage) -> None:
    async with client_of(engine) as client:
        described = await client.find_engine()
        assert described is not None
        assert "restores" in described.extensions
        await stage.create_scene(build_scene(stage.prefix))
        before = await stage.read_settled()
        backup_id = await backed_up(client, stage)
        restore = await prepared(client, stage, backup_id)

        same = await planned(client, restore.id)
        assert same.counts.create + same.counts.update + same.counts.conflict == 0
        assert versions(await stage.read(await stage.capture())) == versions(before)

        await stage.wipe()
        plan = await planned(client, restore.id)
        assert plan.digest is not None
        assert plan.counts.create > 470
        created = await client.list_plan_items_page(
            restore.id, ItemRange(0, 9), action=PlanAction.CREATE, kind="ConfigMap"
        )
        assert len(created.records) == 10
        assert {item.kind for item in created.records} == {"ConfigMap"}
        assert (await stage.request("GET", f"/api/v1/namespaces/{stage.prefix}-a"))[0] == 404

        await client.set_restore_options(restore.id, options_of(stage, plan.digest))
        await restoring.launch(client, restore.id, QUICK)
        done = await restoring.follow(client, restore.id, QUICK)

        progress = await client.get_restore_progress(restore.id)
        failures = [each async for each in client.list_restore_failures(restore.id)]
        assert (done.status, failures) == (RestoreStatus.SUCCESS, []), progress
        assert done.backup_id is None
        assert done.is_cross_deployment_restore is False
        assert progress.counts.create == plan.counts.create
        assert progress.remaining == 0
        await stage.equals(before)


async def test_a_plan_that_changed_is_not_carried_out(engine: EngineProcess, stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    settings = make("v1", "ConfigMap", "settings", namespace, data={"a": "1"})
    await stage.create(make("v1", "Namespace", namespace), settings)
    async with client_of(engine) as client:
        restore = await prepared(client, stage, await backed_up(client, stage))
        maps = f"/api/v1/namespaces/{namespace}/configmaps"
        assert (await stage.request("DELETE", f"{maps}/settings"))[0] == 200
        plan = await planned(client, restore.id)
        await client.set_restore_options(restore.id, options_of(stage, plan.digest))
        await stage.create({**settings, "data": {"a": "of somebody else"}})

        await restoring.launch(client, restore.id, QUICK)
        done = await restoring.follow(client, restore.id, QUICK)

        progress = await client.get_restore_progress(restore.id)
        assert (done.status, progress.reason) == (RestoreStatus.FAILED, "PlanChanged")
        assert progress.settled == 0
        kept = await stage.get(f"{maps}/settings")
        assert kept["data"] == {"a": "of somebody else"}


async def test_what_could_not_be_restored_is_listed_and_the_rest_goes_on(
    engine: EngineProcess, stage: Stage
) -> None:
    one, other = f"{stage.prefix}-a", f"{stage.prefix}-b"
    objects = [make("v1", "Namespace", one), make("v1", "Namespace", other)]
    objects += [make("v1", "ConfigMap", "m", name, data={"a": "1"}) for name in (one, other)]
    await stage.create(*objects)
    async with client_of(engine) as client:
        restore = await prepared(client, stage, await backed_up(client, stage))
        await stage.wipe()
        # without its namespace an object has no place to go
        rules = (RestoreRule(kind="Namespace", name=one),)
        wanted = options_of(stage).model_copy(update={"exclude": rules})
        await client.set_restore_options(restore.id, wanted)

        await restoring.launch(client, restore.id, QUICK)
        done = await restoring.follow(client, restore.id, QUICK)

        failures = [each async for each in client.list_restore_failures(restore.id)]
        progress = await client.get_restore_progress(restore.id)
        assert (done.status, progress.reason) == (RestoreStatus.FAILED, "ObjectsFailed")
        assert ("ConfigMap", one, "m", "NamespaceMissing") in {
            (each.kind, each.namespace, each.name, each.reason) for each in failures
        }
        assert progress.failed == len(failures)
        assert (await stage.get(f"/api/v1/namespaces/{other}/configmaps/m"))["data"] == {"a": "1"}


@pytest.mark.parametrize(
    "is_dropped", [pytest.param(False, id="recorded"), pytest.param(True, id="record_dropped")]
)
async def test_kill_9_at_random_moments_and_the_restore_ends_right(
    engine: EngineProcess, stage: Stage, kills: int, seed: int, is_dropped: bool
) -> None:
    await stage.create_scene(build_scene(stage.prefix))
    before = await stage.read(await stage.capture())
    async with client_of(engine) as client:
        restore = await prepared(client, stage, await backed_up(client, stage))
        await stage.wipe()
        plan = await planned(client, restore.id)
        await client.set_restore_options(restore.id, options_of(stage, plan.digest))
        await client.launch_restore(restore.id)
        if is_dropped:
            await client.delete_restore(restore.id)
    chance = random.Random(seed)

    # ConfigMaps are one of the kinds that come first; there are 300 of them
    for moment in sorted(chance.randrange(300) for _ in range(1 if is_dropped else kills)):
        async with deadline() as expired:
            while await stage.count_config_maps() <= moment:
                expired(f"{moment} objects restored (seed {seed})")
                await asyncio.sleep(0.01)
        await asyncio.to_thread(engine.kill)
        await asyncio.to_thread(engine.start)

    async with client_of(engine) as client:
        if is_dropped:
            with pytest.raises(RefusedError) as refusal:
                await client.get_restore(restore.id)
            assert refusal.value.row is GetRestoreErrors.UNKNOWN_RESTORE
        else:
            done = await restoring.follow(client, restore.id, QUICK)
            progress = await client.get_restore_progress(restore.id)
            assert done.status is RestoreStatus.SUCCESS, (progress, f"seed {seed}")
            assert progress.remaining == 0
    await stage.equals(before)  # what runs without a record runs on
