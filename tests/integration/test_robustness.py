"""What a cluster does to an operator: restarts, lost rights, odd objects, refused writes."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from appliance.journal import PATIENCE_S
from fixtures.cluster import Cluster, Kubectl, run_kubectl
from fixtures.operator_process import Forge, OperatorProcess, build_operator
from fixtures.scene import ApiRefusedError, Scene, find_condition

pytestmark = [pytest.mark.cluster, pytest.mark.process]

RBAC = "rbac.authorization.k8s.io"


class Account:
    """A ServiceAccount with the operator's rights, which a test takes away and gives back."""

    def __init__(self, sandbox: Cluster, name: str) -> None:
        self._sandbox = sandbox
        self.name = name

    def rules(self) -> list[dict[str, Any]]:
        return [
            {
                "apiGroups": ["backup-operator.io"],
                "resources": ["*"],
                "verbs": ["get", "list", "watch", "patch", "create", "delete"],
            },
            {"apiGroups": [""], "resources": ["secrets", "namespaces"], "verbs": ["get"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        ]

    def grant(self, rules: list[dict[str, Any]]) -> None:
        named = {"namespace": "default", "name": self.name}
        subject = {"kind": "ServiceAccount", **named}
        objects = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": self.name},
                "rules": rules,
            },
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": self.name},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": self.name},
                "subjects": [subject],
            },
        ]
        bundle = {"apiVersion": "v1", "kind": "List", "items": objects}
        run_kubectl(self._sandbox, "apply", "--filename=-", stdin=json.dumps(bundle))
        may = ("auth", "can-i", "list", "backups.backup-operator.io", "--all-namespaces")
        me = f"--as=system:serviceaccount:default:{self.name}"
        wanted = "yes" if rules == self.rules() else "no"
        while run_kubectl(self._sandbox, *may, me, check=False).stdout.strip() != wanted:
            pass  # until the authorizer has taken notice, or the test is out of time

    def kubeconfig(self, folder: Path) -> Path:
        token = run_kubectl(
            self._sandbox, "create", "token", self.name, "--namespace=default"
        ).stdout.strip()
        body = yaml.safe_load(self._sandbox.kubeconfig.read_text())
        body["users"][0]["user"] = {"token": token}
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(body))
        return path

    def remove(self) -> None:
        for kind in ("clusterrolebinding", "clusterrole"):
            run_kubectl(self._sandbox, "delete", kind, self.name, "--ignore-not-found")
        run_kubectl(self._sandbox, "delete", "serviceaccount", self.name, "--namespace=default")


async def until(operator: OperatorProcess, text: str, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while text not in operator.output():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.1)
            return
    pytest.fail(f"no {text!r}:\n{operator.output()[-3000:]}")


@pytest.fixture
async def account(own_scene: Scene, sandbox: Cluster, tmp_path: Path) -> AsyncIterator[Account]:
    """The scene's operator, with rights that can be lost."""
    account = Account(sandbox, f"operator-{own_scene.mark}")
    await asyncio.to_thread(account.grant, account.rules())
    own_scene.operator.kill()
    own_scene.operator.kubeconfig = await asyncio.to_thread(account.kubeconfig, tmp_path)
    await own_scene.operator.start()
    yield account
    await asyncio.to_thread(account.remove)


async def test_rights_that_are_lost_and_given_back_cost_nothing(
    own_scene: Scene, account: Account
) -> None:
    scene = own_scene
    await scene.create("before")
    await scene.running("before")
    nothing = [rule for rule in account.rules() if rule["apiGroups"] == [""]]
    await asyncio.to_thread(account.grant, nothing)
    await scene.create("during", backupType="DATA", hostId=103)
    scene.appliance.finish_all()
    await until(scene.operator, "403", within_s=90)
    assert scene.operator.process is not None
    assert scene.operator.process.poll() is None

    await asyncio.to_thread(account.grant, account.rules())
    await scene.condition("before", "Complete", within_s=120)
    await scene.running("during", within_s=120)
    assert scene.created() == 2


async def test_a_malformed_object_is_told_and_stops_no_other(
    own_scene: Scene, kubectl: Kubectl
) -> None:
    """Objects of an old version, stored when the schema did not know today's rules."""
    scene = own_scene
    crd = "customresourcedefinition/backups.backup-operator.io"
    stored = await asyncio.to_thread(kubectl, "get", crd, "--output=json")
    strict = json.loads(stored.stdout)["spec"]["versions"][0]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    loose = {**strict, "schema": {"openAPIV3Schema": anything}}
    loose.pop("selectableFields")
    await asyncio.to_thread(store_version, kubectl, crd, loose)
    try:
        await scene.create("good")
        for name, spec, status in MALFORMED:
            body = {
                "apiVersion": "backup-operator.io/v1",
                "kind": "Backup",
                "metadata": {"name": name},
                "spec": spec,
            }
            await until_accepted(scene, body)
            if status is not None:
                await scene.cluster.merge(f"{scene.path(name)}/status", {"status": status})
        await scene.running("good")
        await scene.condition("no-type", "Stalled", reason="InvalidSpec")
    finally:
        await asyncio.to_thread(store_version, kubectl, crd, strict)
        await until_refused(scene)  # the next test may count on the schema
    scene.appliance.finish_all()
    await scene.condition("good", "Complete")
    backup = await scene.get("no-type")
    message = find_condition(backup, "Stalled")["message"]  # type: ignore[index]
    assert "spec.backupType" in message
    assert scene.created() == 1


MALFORMED: tuple[tuple[str, Any, Any], ...] = (
    ("no-type", {"name": "old"}, None),
    ("text", "not even an object", None),
    ("list", ["CONFIG"], None),
    ("odd-status", {"backupType": 7}, {"conditions": "none", "id": "seven", "engine": []}),
    ("odd-list", {"backupType": []}, {"conditions": [1, {"type": 2}], "submission": {"x": 1}}),
)


async def until_accepted(scene: Scene, body: dict[str, Any]) -> None:
    """Create an object as soon as the API server has taken over the loose schema."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(ApiRefusedError):
                await scene.cluster.call("POST", scene.path(), body)
                return
            await asyncio.sleep(0.2)


async def until_refused(scene: Scene) -> None:
    """Wait until the API server has taken over the strict schema again."""
    path, spec = f"{scene.path()}?dryRun=All", {"backupType": "NEITHER"}
    body = {"apiVersion": "backup-operator.io/v1", "kind": "Backup", "metadata": {"name": "odd"}}
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ApiRefusedError):
            while await scene.cluster.call("POST", path, {**body, "spec": spec}):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def store_version(kubectl: Kubectl, crd: str, version: Any) -> None:  # noqa: ANN401 - JSON
    change = [{"op": "replace", "path": "/spec/versions/0", "value": version}]
    kubectl("patch", crd, "--type=json", f"--patch={json.dumps(change)}")


async def test_health_and_readiness_mean_something(
    forge: Forge, sandbox: Cluster, namespace: str, tmp_path: Path
) -> None:
    operator = build_operator(forge, sandbox, tmp_path, namespace)
    operator.arguments = (*operator.arguments, "--metrics-port=0")
    try:
        await operator.start()
        found = re.search(r"http://\S+/metrics", operator.output())
        assert found is not None
        async with aiohttp.ClientSession() as session:
            for path in ("healthz", "readyz"):
                async with session.get(found[0].replace("metrics", path)) as answer:
                    assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get(found[0]) as answer:
                figures = await answer.text()
        assert "backup_operator_leader 1.0" in figures
        assert "process_resident_memory_bytes" in figures
    finally:
        operator.kill()


async def test_an_operator_told_to_stop_in_mid_submission_stores_the_id(own_scene: Scene) -> None:
    scene = own_scene
    hold = scene.appliance.faults.hold("POST /backups")
    await scene.create("mid")
    await hold.arrived()
    stopping = asyncio.create_task(scene.operator.stop())
    hold.release()
    assert await stopping == 0
    assert (await scene.get("mid"))["status"]["id"] == scene.appliance.backups[0]["id"]
