"""Schedules on a real API server, with a real operator and the fake appliance."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.journal import PATIENCE_S
from backup_operator.decisions.schedule import name_scheduled
from fixtures.scene import GROUP, Body, Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]

RARELY = "0 0 29 2 *"  # so that nothing happens but what a test arranges
LABEL = "backup-operator.io/schedule"


def schedule_path(scene: Scene, name: str = "") -> str:
    path = f"{GROUP}/namespaces/{scene.namespace}/backupschedules"
    return f"{path}/{name}" if name else path


async def create_schedule(
    scene: Scene,
    name: str,
    cron: str = RARELY,
    template: Body | None = None,
    **spec: Any,  # noqa: ANN401 - JSON
) -> None:
    wanted = {"backupType": "CONFIG", "engineRef": {"name": scene.engine}, **(template or {})}
    body = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupSchedule",
        "metadata": {"name": name},
        "spec": {"schedule": cron, "template": {"spec": wanted}, **spec},
    }
    await scene.cluster.call("POST", schedule_path(scene), body)


async def make_due(scene: Scene, name: str, minutes: int = 3) -> datetime:
    """Have the latest minute due; returns the time that counts as dealt with."""
    observed = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    status = {
        "observedTime": observed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "observedSchedule": "* * * * * UTC",
    }
    await scene.cluster.merge(f"{schedule_path(scene, name)}/status", {"status": status})
    return observed


async def run_now(scene: Scene, name: str, value: str) -> None:
    change = {"metadata": {"annotations": {"backup-operator.io/run-now": value}}}
    await scene.cluster.merge(schedule_path(scene, name), change)


async def backups_of(scene: Scene, name: str) -> list[Body]:
    path = f"{scene.path()}?labelSelector={LABEL}%3D{name}"
    items: list[Body] = (await scene.cluster.call("GET", path))["items"]
    return sorted(items, key=lambda one: str(one["metadata"]["creationTimestamp"]))


async def until_backups(
    scene: Scene, name: str, count: int, within_s: float = PATIENCE_S
) -> list[Body]:
    found: list[Body] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                found = await backups_of(scene, name)
                if len(found) == count:
                    return found
                await asyncio.sleep(0.05)
    pytest.fail(f"{len(found)} Backups instead of {count}\n{scene.operator.output()[-3000:]}")


async def until_schedule(
    scene: Scene, name: str, member: str, value: object, within_s: float = PATIENCE_S
) -> Body:
    body: Body = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                body = await scene.cluster.call("GET", schedule_path(scene, name))
                if body.get("status", {}).get(member) == value:
                    return body
                await asyncio.sleep(0.05)
    pytest.fail(f"{member} is not {value}: {body.get('status')}")


async def until_reason(scene: Scene, name: str, type_: str, reason: str) -> Body:
    body: Body = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                body = await scene.cluster.call("GET", schedule_path(scene, name))
                found = find_condition(body, type_)
                if found and found["reason"] == reason:
                    return found
                await asyncio.sleep(0.05)
    pytest.fail(f"{type_} is not {reason}: {body.get('status')}")


async def finish_running(scene: Scene, name: str) -> str:
    """Let the only Backup that has not finished succeed; returns its name."""
    (running,) = [
        each["metadata"]["name"]
        for each in await backups_of(scene, name)
        if (find_condition(each, "Finished") or {}).get("status") != "True"
    ]
    await scene.running(running)
    scene.appliance.finish_all()
    await scene.condition(running, "Finished")
    return str(running)


async def test_a_due_run_makes_one_backup_and_tells_how_it_ended(scene: Scene) -> None:
    await create_schedule(scene, "minutely", "* * * * *")
    await make_due(scene, "minutely")
    (backup,) = await until_backups(scene, "minutely", 1)
    at = datetime.fromisoformat(
        backup["metadata"]["annotations"]["backup-operator.io/scheduled-at"]
    )

    assert backup["metadata"]["name"] == name_scheduled("minutely", at)
    assert datetime.now(UTC) - at < timedelta(minutes=2), "only the latest is caught up with"
    await scene.cluster.merge(schedule_path(scene, "minutely"), {"spec": {"suspend": True}})
    name = await finish_running(scene, "minutely")
    body = await until_schedule(scene, "minutely", "lastSuccessfulBackup", name)
    assert find_condition(body, "LastBackupSucceeded")["status"] == "True"  # type: ignore[index]
    assert find_condition(body, "Ready")["reason"] == "Suspended"  # type: ignore[index]
    assert body["status"]["counts"]["succeeded"] == 1
    await scene.told("minutely", "BackupCreated")


async def test_an_annotation_makes_one_backup_for_each_value(scene: Scene) -> None:
    await create_schedule(scene, "manual", suspend=True)
    await run_now(scene, "manual", "first")
    await until_schedule(scene, "manual", "lastRunNow", "first")
    await finish_running(scene, "manual")
    await run_now(scene, "manual", "second")
    await until_schedule(scene, "manual", "lastRunNow", "second")
    assert len(await backups_of(scene, "manual")) == 2


async def test_forbid_waits_until_the_running_one_has_finished(scene: Scene) -> None:
    await create_schedule(scene, "patient")
    await run_now(scene, "patient", "first")
    await until_backups(scene, "patient", 1)
    await run_now(scene, "patient", "second")
    await until_reason(scene, "patient", "Ready", "WaitingForActive")
    await finish_running(scene, "patient")
    await until_backups(scene, "patient", 2)
    await finish_running(scene, "patient")


async def test_replace_cancels_the_running_one(scene: Scene) -> None:
    await create_schedule(scene, "hasty", concurrencyPolicy="Replace")
    await run_now(scene, "hasty", "first")
    (first,) = await until_backups(scene, "hasty", 1)
    await scene.running(first["metadata"]["name"])
    await run_now(scene, "hasty", "second")
    await until_backups(scene, "hasty", 2)
    await scene.condition(first["metadata"]["name"], "Finished", reason="Cancelled")
    newest = [one for one in await backups_of(scene, "hasty") if one != first]
    assert newest


async def test_expired_backups_take_their_archives_along_and_the_newest_stays(
    scene: Scene,
) -> None:
    await create_schedule(scene, "short", template={"deletionPolicy": "Delete"})
    for value in ("first", "second", "third"):
        await run_now(scene, "short", value)
        await until_schedule(scene, "short", "lastRunNow", value)
        await finish_running(scene, "short")
    assert len(scene.appliance.backups) == 3
    await scene.cluster.merge(
        schedule_path(scene, "short"), {"spec": {"retention": {"keepLast": 1}}}
    )
    (kept,) = await until_backups(scene, "short", 1)

    assert [one["id"] for one in scene.appliance.backups] == [kept["status"]["id"]]
    await scene.told("short", "BackupExpired")


async def test_a_deleted_schedule_leaves_its_backups_alone(scene: Scene) -> None:
    await create_schedule(scene, "brief")
    await run_now(scene, "brief", "only")
    await until_backups(scene, "brief", 1)
    await finish_running(scene, "brief")
    await scene.cluster.call("DELETE", schedule_path(scene, "brief"))
    await create_schedule(scene, "brief")  # as a GitOps tool does; it knows its Backups again
    await until_schedule(
        scene,
        "brief",
        "lastSuccessfulBackup",
        (await backups_of(scene, "brief"))[0]["metadata"]["name"],
    )
    assert len(await backups_of(scene, "brief")) == 1


async def test_a_backup_that_the_cluster_refuses_is_told(scene: Scene) -> None:
    await create_schedule(scene, "greedy", suspend=True)
    labels = {"team": "no label value!"}
    await scene.cluster.merge(
        schedule_path(scene, "greedy"),
        {"spec": {"template": {"metadata": {"labels": labels}}}},
    )
    await run_now(scene, "greedy", "now")
    stalled = await until_reason(scene, "greedy", "Stalled", "BackupRefused")
    assert "no label value!" in stalled["message"]
