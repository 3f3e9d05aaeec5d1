"""What GitOps tools do to Backups, done with the real kubectl."""

import asyncio
import json
from typing import Any

import pytest

from fixtures.cluster import Cluster, run_kubectl
from fixtures.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.process]

SERVER_SIDE = ("apply", "--server-side", "--field-manager=gitops", "--filename=-")


def manifest(scene: Scene, name: str, **members: Any) -> str:  # noqa: ANN401 - JSON
    metadata = {"name": name, "namespace": scene.namespace, **members.pop("metadata", {})}
    return json.dumps(
        {
            "apiVersion": "backup-operator.io/v1",
            "kind": "Backup",
            "metadata": metadata,
            "spec": {"backupType": "CONFIG", "engineRef": {"name": scene.engine}, **members},
        }
    )


def bundle(items: list[Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


async def kubectl(
    sandbox: Cluster, *arguments: str, stdin: str | None = None, check: bool = True
) -> tuple[int, str]:
    done = await asyncio.to_thread(run_kubectl, sandbox, *arguments, stdin=stdin, check=check)
    return done.returncode, done.stdout + done.stderr


async def finish(scene: Scene, name: str) -> dict[str, Any]:
    await scene.running(name)
    scene.appliance.finish_all()
    return await scene.condition(name, "Complete")


async def test_a_sync_makes_one_backup_and_finds_no_drift_ever_after(
    scene: Scene, sandbox: Cluster
) -> None:
    wanted = manifest(scene, "synced", description="from Git", deletionPolicy="Delete")
    await kubectl(sandbox, *SERVER_SIDE, stdin=wanted)
    before = await finish(scene, "synced")

    assert before["spec"] == {**json.loads(wanted)["spec"], **defaults(before["spec"])}
    code, difference = await kubectl(
        sandbox, "diff", "--server-side", "--field-manager=gitops", "--filename=-", stdin=wanted,
        check=False,
    )  # fmt: skip
    assert (code, difference) == (0, "")
    for _ in range(3):
        await kubectl(sandbox, *SERVER_SIDE, stdin=wanted)
    await scene.create("marker")
    await finish(scene, "marker")
    after = await scene.get("synced")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["metadata"]["generation"] == 1
    assert scene.posts() == 2


def defaults(spec: dict[str, Any]) -> dict[str, Any]:
    """What the schema fills in, at the first apply and never again."""
    named = ("configurationId", "deployStaged", "busyTimeout", "timeout", "cancel")
    return {name: spec[name] for name in named if name in spec}


async def test_the_operator_owns_no_field_that_git_does(scene: Scene, sandbox: Cluster) -> None:
    await kubectl(sandbox, *SERVER_SIDE, stdin=manifest(scene, "owned"))
    await finish(scene, "owned")
    _, text = await kubectl(
        sandbox, "get", "backup", "owned", f"--namespace={scene.namespace}", "--output=json",
        "--show-managed-fields",
    )  # fmt: skip
    others = [
        entry
        for entry in json.loads(text)["metadata"]["managedFields"]
        if entry["manager"] != "gitops"
    ]
    assert others
    assert all("f:spec" not in entry["fieldsV1"] for entry in others)


async def test_labels_and_annotations_cause_no_new_backup(scene: Scene, sandbox: Cluster) -> None:
    await kubectl(sandbox, *SERVER_SIDE, stdin=manifest(scene, "tagged"))
    await finish(scene, "tagged")
    where = f"--namespace={scene.namespace}"
    await kubectl(sandbox, "label", "backup", "tagged", where, "team=blue")
    await kubectl(sandbox, "annotate", "backup", "tagged", where, "argocd.argoproj.io/sync-wave=3")
    await scene.create("marker")
    await finish(scene, "marker")
    assert scene.posts() == 2


async def test_a_pruned_backup_that_comes_back_is_a_new_request_without_a_clash(
    scene: Scene, sandbox: Cluster
) -> None:
    """The archive was retained, so its name is still taken; the new object asks for another."""
    wanted = manifest(scene, "again", metadata={"labels": {"app": f"prune-{scene.mark}"}})
    await kubectl(sandbox, *SERVER_SIDE, stdin=wanted)
    first = await finish(scene, "again")
    await kubectl(sandbox, "delete", "backup", "again", f"--namespace={scene.namespace}")
    await scene.gone("again")
    await kubectl(sandbox, *SERVER_SIDE, stdin=wanted)
    second = await finish(scene, "again")

    names = [one["status"]["submission"]["requestedName"] for one in (first, second)]
    assert names[0] != names[1]
    assert all(name.startswith(f"{scene.namespace}.again.") for name in names)
    assert len(scene.appliance.backups) == 2
    assert scene.posts() == 2


async def test_apply_with_prune_removes_what_git_no_longer_has(
    scene: Scene, sandbox: Cluster
) -> None:
    label = f"app=pruned-{scene.mark}"
    metadata = {"labels": {"app": f"pruned-{scene.mark}"}}
    both = [
        json.loads(manifest(scene, name, metadata=metadata, deletionPolicy="Delete"))
        for name in ("keep", "drop")
    ]
    prune = (
        *("apply", "--filename=-", "--prune", "--selector", label, "--wait=false"),
        *("--prune-allowlist=backup-operator.io/v1/Backup", f"--namespace={scene.namespace}"),
    )
    await kubectl(sandbox, *prune, stdin=bundle(both[:1]))
    await finish(scene, "keep")
    await kubectl(sandbox, *prune, stdin=bundle(both))
    await finish(scene, "drop")
    assert len(scene.appliance.backups) == 2

    await kubectl(sandbox, *prune, stdin=bundle(both[:1]))
    await scene.gone("drop")
    assert [one["name"] for one in scene.appliance.backups] == [
        (await scene.get("keep"))["status"]["name"]
    ]
