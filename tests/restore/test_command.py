"""The commands as somebody types them, on the day there is no engine."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from restorescene import Stage, make

pytestmark = [pytest.mark.cluster, pytest.mark.process]

TWICE = ("--kubeconfig", "absent", "--namespace-mapping")
RULE = "kind=ConfigMap;namespace={};name=one"


async def run(*arguments: object) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "backup_engine",
        "archive",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_diff_plan_approve_and_diff_again(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    await stage.create(
        make("v1", "Namespace", namespace),
        make("v1", "ConfigMap", "one", namespace, data={"a": "1"}),
        make("v1", "Secret", "two", namespace, data={"p": "aGlkZGVu"}),
    )
    archive = await stage.capture()
    of = (archive, "--kubeconfig", stage.kubeconfig, "--include", f"namespace={namespace}")
    path = f"/api/v1/namespaces/{namespace}"

    code, out, _ = await run("diff", *of)
    assert (code, out.splitlines()[-1].startswith("0 added, 0 removed, 0 changed")) == (0, True)

    await stage.request("DELETE", f"{path}/configmaps/one")
    change = {"data": {"p": "b3RoZXI="}}
    headers = {"Content-Type": "application/merge-patch+json"}
    await stage.request("PATCH", f"{path}/secrets/two", json=change, headers=headers)
    code, out, _ = await run("diff", *of)
    assert code == 1
    assert f"- ConfigMap {namespace}/one" in out
    assert f"~ Secret {namespace}/two" in out
    assert "/data/p" in out
    assert "aGlkZGVu" not in out

    code, out, _ = await run("restore", *of, "--plan", "--existing", "Update", "-o", "json")
    plan = json.loads(out)
    assert code == 0
    assert plan["counts"]["create"] == plan["counts"]["update"] == 1
    actions = {(item["kind"], item["action"]) for item in plan["items"]}
    assert actions == {("ConfigMap", "create"), ("Secret", "update")}
    status, _ = await stage.request("GET", f"{path}/configmaps/one")
    assert status == 404

    code, _, err = await run("restore", *of, "--approve", plan["digest"])
    assert (code, "approve" in err) == (3, True)  # another policy, hence another plan

    approve = ("--existing", "Update", "--approve", plan["digest"])
    code, out, err = await run("restore", *of, *approve)
    assert code == 0, err
    assert "1 created, 1 updated" in out
    assert (await run("diff", *of))[0] == 0


async def test_objects_that_fail_are_named_and_the_exit_code_tells(stage: Stage) -> None:
    namespace = f"{stage.prefix}-a"
    await stage.create(
        make("v1", "Namespace", namespace),
        make("v1", "ConfigMap", "one", namespace, data={"a": "1"}),
    )
    archive = await stage.capture()
    of = (archive, "--kubeconfig", stage.kubeconfig, "--include", RULE.format(namespace))
    mapping = ("--namespace-mapping", f"{namespace}={stage.prefix}-none")

    code, out, _ = await run("restore", *of, *mapping, "--yes")

    assert code == 3
    assert f"failed  ConfigMap {stage.prefix}-none/one: NamespaceMissing" in out
    assert "1 failed" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--kubeconfig", "absent"), 3, "none.tar does not exist"),
        (("--kubeconfig", "absent", "--include", "colour=red"), 2, "colour=red"),
        (("--kubeconfig", "absent", "--namespace-mapping", "a"), 2, "OLD=NEW"),
        (("--kubeconfig", "absent", "--namespace-mapping", "a=B_"), 2, "OLD=NEW"),
        ((*TWICE, "a=b", "--namespace-mapping", "a=c"), 2, "'a' has two new names"),
        ((*TWICE, "a=c", "--namespace-mapping", "b=c"), 2, "would both become 'c'"),
        (("--kubeconfig", "absent", "--approve", "sha256:abc"), 2, "64 hexadecimal digits"),
        (("--kubeconfig", "absent", "--with-status", "no kind"), 2, "deployments.apps"),
        (("--kubeconfig", "absent", "--yes", "--plan"), 2, "not allowed with"),
    ],
)
async def test_wrong_usage_is_explained(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = await run("restore", tmp_path / "none.tar", *arguments)

    assert found == code
    assert said in err
    assert out == ""
