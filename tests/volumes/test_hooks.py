"""Hooks of an engine at work: real API server, real commands, real kopia (docs/data.md)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from fixtures.cluster import Cluster, Kubectl
from fixtures.exec_node import ExecNode
from fixtures.volumes import VolumeScene, build_work
from localengine import BACKUPS, local_engine

pytestmark = pytest.mark.cluster

WITHIN_S = 100
APP = {"matchLabels": {"app": "db"}}

Open: TypeAlias = Callable[..., Any]


@pytest.fixture
async def open_shop(
    tmp_path: Path,
    sandbox: Cluster,
    kubectl: Kubectl,
    namespace: str,
    exec_node: ExecNode,
    kopia: str,
) -> Open:
    """Open an engine whose host has one volume, one pod and the hooks that are given."""

    @asynccontextmanager
    async def opened(
        before: list[dict[str, Any]], after: list[dict[str, Any]], **members: object
    ) -> AsyncIterator[VolumeScene]:
        await exec_node.add_pod(namespace, "db-0", labels={"app": "db"})
        common = {"namespace": namespace, "selector": APP}
        host = {
            "apiVersion": "backup-operator.io/v1",
            "kind": "BackupHost",
            "metadata": {"name": namespace},
            "spec": {
                "type": "Data",
                "engineRef": {"name": "in-cluster"},
                "volumes": [{"namespace": namespace, "claimNames": ["data"]}],
                "hooks": {
                    "before": [{**common, **each} for each in before],
                    "after": [{**common, **each} for each in after],
                },
            },
        }
        await asyncio.to_thread(kubectl, "create", "-f", "-", input=json.dumps(host))
        work = build_work(tmp_path, kopia)
        async with local_engine(tmp_path, sandbox.kubeconfig, volume_work=work) as engine:
            scene = VolumeScene(engine, tmp_path / "volumes", work, hostname=namespace)
            scene.fill("data", {"rows": "many"}, namespace)
            await scene.enable(**members)
            yield scene
        await asyncio.to_thread(kubectl, "delete", "backuphost", namespace, "--wait=false")

    return opened


def run(script: str, **members: object) -> dict[str, Any]:
    return {"command": ["sh", "-c", script], "timeoutSeconds": 120, **members}


async def hooks_of(scene: VolumeScene, backup_id: int) -> list[dict[str, Any]]:
    answer = await scene.engine.send("GET", f"/api/backup_engine/backups/{backup_id}/hooks")
    found: list[dict[str, Any]] = answer.json()
    return found


async def reason_of(scene: VolumeScene, backup_id: int) -> tuple[str, str]:
    path = f"/api/backup_engine/backups/{backup_id}/verification"
    told = (await scene.engine.send("GET", path)).json()
    return told["reason"], told["message"]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - of other programs
            await asyncio.sleep(0.05)


async def test_the_application_is_frozen_while_its_volume_is_read_and_let_go_afterwards(
    open_shop: Open, tmp_path: Path, namespace: str
) -> None:
    mark = tmp_path / "volumes" / namespace / "data" / "frozen"
    nobody = {"selector": {"matchLabels": {"app": "nobody"}}, "onError": "Continue"}
    before = [run(f"touch {mark}"), run("exit 1", onError="Continue"), run("true", **nobody)]
    async with open_shop(before, [run(f"rm {mark}; echo thawed >&2")]) as scene:
        record = await scene.make("frozen")

        (volume,) = await scene.volumes(record["id"])
        assert volume["files"] == 2, "the mark of the first hook is in the backup"
        assert not mark.exists()
        told = await hooks_of(scene, record["id"])
    assert [(each["stage"], each["status"], each["reason"]) for each in told] == [
        ("BEFORE", "SUCCESS", None),
        ("BEFORE", "FAILED", "HookFailed"),  # which was let pass
        ("BEFORE", "FAILED", "NoPod"),
        ("AFTER", "SUCCESS", None),
    ]
    ran = {"pod": "db-0", "container": "first", "exit_code": 0, "stderr": "thawed", "message": None}
    assert told[-1]["pods"] == [ran]
    assert "command" not in told[-1]


async def test_a_hook_that_fails_fails_the_backup_before_a_volume_is_read(
    open_shop: Open, tmp_path: Path
) -> None:
    mark = tmp_path / "after"
    failing, never = run("echo no space >&2; exit 5"), run("true")
    async with open_shop([failing, never], [run(f"touch {mark}")]) as scene:
        record = await scene.make("failing", "FAILED")

        reason, message = await reason_of(scene, record["id"])
        told = await hooks_of(scene, record["id"])
        assert (await scene.volumes(record["id"]))[0]["status"] == "PENDING"
    assert reason == "HookFailed"
    assert "before[0]" in message
    assert "exit code 5: no space" in message
    assert [each["status"] for each in told] == ["FAILED", "PENDING", "SUCCESS"]
    assert mark.exists()


async def test_a_cancelled_backup_lets_its_application_go(
    open_shop: Open, exec_node: ExecNode, tmp_path: Path
) -> None:
    mark = tmp_path / "after"
    async with open_shop([run("sleep 100")], [run(f"touch {mark}")]) as scene:
        created = await scene.create("cancelled")
        async with asyncio.timeout(WITHIN_S):
            await exec_node.began.wait()

        await scene.engine.send("DELETE", f"{BACKUPS}/{created['id']}")

        await scene.engine.until(created["id"], "gone", within_s=WITHIN_S)
    assert mark.exists()


async def test_an_engine_that_starts_anew_owes_the_hooks_of_the_one_before(
    open_shop: Open, tmp_path: Path
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    before = run(f"echo before >>{log}; test -e {go} || sleep 100")
    async with open_shop([before], [run(f"echo after >>{log}; exit 1")]) as scene:
        created = await scene.create("cut-off")
        await until(lambda: log.exists() and log.read_text() == "before\n")
        await scene.engine.stop()
        go.touch()
        scene.engine.start()

        # an application that was not let go is no success, however good its snapshots are
        await scene.engine.until(created["id"], "FAILED", within_s=WITHIN_S)
        assert (await reason_of(scene, created["id"]))[0] == "HookFailed"
        assert await (await scene.repository()).list_snapshots() == ()
    assert log.read_text().split() == ["before", "before", "after"]


async def test_a_backup_that_lost_its_engine_after_the_reading_still_lets_its_application_go(
    open_shop: Open, tmp_path: Path
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    after = run(f"echo after >>{log}; test -e {go} || sleep 100")
    async with open_shop([run(f"echo before >>{log}")], [after]) as scene:
        created = await scene.create("unthawed")
        await until(lambda: log.exists() and "after\n" in log.read_text())
        await scene.engine.stop()
        await scene.engine.send("DELETE", f"{BACKUPS}/{created['id']}")
        go.touch()
        scene.engine.start()

        await scene.engine.until(created["id"], "gone", within_s=WITHIN_S)
    assert log.read_text().split() == ["before", "after", "after"]
