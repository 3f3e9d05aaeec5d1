"""Captured, deleted, restored and captured again: a real API server holds the same as before."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from backup_engine.restore.planning import Action, Existing, PlanItem
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.run import plan_restore, restore
from fixtures.cluster import Cluster, run_kubectl
from restorescene import Stage, build_scene
from restorescene.stage import deadline, versions

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

TESTS = Path(__file__).parents[1]
MAPS = 1000
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS)}


async def owner_uids(stage: Stage) -> list[tuple[str, str]]:
    """Return for each linked object of the scene its owner's uid, told and true."""
    pairs = []
    for namespace in ("a", "b"):
        core = f"/api/v1/namespaces/{stage.prefix}-{namespace}"
        widgets = f"/apis/{stage.prefix}.example/v1/namespaces/{stage.prefix}-{namespace}/widgets"
        for owner, owned in (
            (f"{widgets}/parent", f"{core}/configmaps/child-of-widget"),
            (f"{widgets}/parent", f"{widgets}/a-child"),
            (f"{widgets}/a-child", f"{core}/secrets/grandchild"),
        ):
            (reference,) = (await stage.get(owned))["metadata"]["ownerReferences"]
            pairs.append((reference["uid"], (await stage.get(owner))["metadata"]["uid"]))
    return pairs


async def test_everything_comes_back_and_a_second_run_changes_nothing(stage: Stage) -> None:
    scene = build_scene(stage.prefix, maps=MAPS)
    await stage.create_scene(scene)
    archive = await stage.capture()
    before = await stage.read(archive)
    assert len(before) >= 2000
    assert len({(one["apiVersion"], one["kind"]) for one in before.values()}) >= 40
    options = RestoreOptions(selection=stage.selection())
    reader = await stage.open(archive)

    same = await plan_restore(options, reader, stage.connection)
    assert same.changes == 0, same.kinds

    await stage.wipe()
    items: list[PlanItem] = []
    plan = await plan_restore(options, reader, stage.connection, take=items.append)
    assert plan.counts[Action.CREATE] == sum(i.verdict.action is Action.CREATE for i in items)
    assert plan.counts[Action.CREATE] > 1900
    assert plan.counts[Action.CONFLICT] == plan.counts[Action.UNSUPPORTED] == 0, items
    status, _ = await stage.request("GET", f"/api/v1/namespaces/{stage.prefix}-a")
    assert status == 404  # a plan changes nothing

    outcome = await restore(options, reader, stage.connection, approved=plan.digest)
    assert outcome.is_complete, outcome.errors
    assert outcome.done[Action.CREATE] == plan.counts[Action.CREATE]
    await stage.equals(before)
    pairs = await owner_uids(stage)
    assert [told for told, _ in pairs] == [true for _, true in pairs]

    settled = versions(await stage.read_settled())
    for existing in Existing:
        again = RestoreOptions(selection=stage.selection(), existing=existing)
        plan = await plan_restore(again, reader, stage.connection)
        outcome = await restore(again, reader, stage.connection, approved=plan.digest)
        assert plan.changes == 0, plan.kinds
        assert outcome.is_complete, outcome.errors
        done = {action for action, count in outcome.done.items() if count}
        assert done == {Action.UNCHANGED, Action.SKIPPED}
    assert versions(await stage.read(await stage.capture())) == settled


@pytest.mark.process
async def test_a_restore_killed_at_random_moments_ends_right_when_run_again(
    stage: Stage, kills: int, seed: int
) -> None:
    await stage.create_scene(build_scene(stage.prefix))
    archive = await stage.capture()
    before = await stage.read(archive)
    await stage.wipe()
    command = [sys.executable, "-m", "backup_engine", "archive", "restore", str(archive), "--yes"]
    command += ["--kubeconfig", str(stage.kubeconfig)]
    command += ["--include", f"namespace={stage.prefix}-*", "--include", f"name={stage.prefix}"]
    command += ["--include", f"name=*{stage.prefix}.example"]
    chance = random.Random(seed)
    total = 300  # ConfigMaps of the scene, one of the kinds that come first

    for moment in sorted(chance.randrange(total) for _ in range(kills)):
        process = await asyncio.create_subprocess_exec(
            *command, env=ENVIRONMENT, stdout=asyncio.subprocess.DEVNULL
        )
        async with deadline() as expired:
            while await stage.count_config_maps() <= moment and process.returncode is None:
                expired(f"{moment} objects restored (seed {seed})")
                await asyncio.sleep(0.01)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()

    last = await asyncio.create_subprocess_exec(
        *command, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(last.communicate(), 120)

    assert last.returncode == 0, f"{said.decode()} (seed {seed})"
    await stage.equals(before)
    pairs = await owner_uids(stage)
    assert [told for told, _ in pairs] == [true for _, true in pairs]


async def test_kubectl_applies_what_is_extracted_to_files(stage: Stage, sandbox: Cluster) -> None:
    await stage.create_scene(build_scene(stage.prefix))
    archive = await stage.capture()
    await stage.wipe()
    files = archive.with_suffix(".files")
    command = [sys.executable, "-m", "backup_engine", "archive", "extract", str(archive)]
    command += ["--include", f"namespace={stage.prefix}-*", "--include", f"name={stage.prefix}"]
    command += ["--include", f"name=*{stage.prefix}.example", "--to", str(files)]

    extracting = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT)
    extracted = await asyncio.wait_for(extracting.wait(), 120)
    apply = ("apply", "--server-side", "--recursive", f"--filename={files}")
    # kubectl waits for no definition: what it defines comes with the next run
    await asyncio.to_thread(run_kubectl, sandbox, *apply, check=False)
    async with deadline() as expired:
        while True:
            applied = await asyncio.to_thread(run_kubectl, sandbox, *apply, check=False)
            if applied.returncode == 0:
                break
            expired(applied.stderr)

    assert (extracted, applied.returncode) == (0, 0), applied.stderr
    told = [line.rpartition(" ")[2] for line in applied.stdout.splitlines()]
    assert told == ["serverside-applied"] * len(list(files.rglob("*.yaml")))
