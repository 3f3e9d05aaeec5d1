"""kstatus, Argo CD and Flux conclude the same of every standing, and what we mean."""

import re
from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml
from celpy.adapter import json_to_cel
from lupa.lua51 import LuaRuntime

from backup_operator.resources.backup_status import Phase
from backup_operator.resources.group import GROUP
from backup_operator.resources.restore_status import RestorePhase
from gitops import generate
from gitops.bodies import PHASES, SAMPLES
from gitops.kstatus import CURRENT, FAILED, IN_PROGRESS, TERMINATING, conclude
from gitops.other_kinds import OTHERS
from gitops.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
GITOPS = ROOT / "manifests" / "gitops"
HEALTH = (GITOPS / "argocd" / "health.lua").read_text()
CONFIG_MAP = yaml.safe_load((GITOPS / "argocd" / "argocd-cm.yaml").read_text())
FLUX = yaml.safe_load((GITOPS / "flux" / "kustomization.yaml").read_text())
KINDS = {
    yaml.safe_load(path.read_text())["spec"]["names"]["kind"]
    for path in (ROOT / "crds").glob("*.yaml")
}
HEALTH_OF = {IN_PROGRESS: "Progressing", FAILED: "Degraded", CURRENT: "Healthy"}

each = pytest.mark.parametrize("sample", [*SAMPLES, *OTHERS], ids=lambda sample: sample.name)


def test_every_phase_has_a_sample() -> None:
    assert {*Phase} - PHASES == {Phase.DELETING}  # of an object that only waits for its finalizer


def test_every_kind_and_every_phase_of_a_restore_has_a_sample() -> None:
    bodies = [sample.body for sample in (*SAMPLES, *OTHERS)]
    assert {body["kind"] for body in bodies} == KINDS
    phases = {body["status"].get("phase") for body in bodies if body["kind"] == "Restore"}
    assert phases == set(RestorePhase)


@each
def test_kstatus_concludes_what_is_meant(sample: Sample) -> None:
    assert conclude(sample.body) == sample.expected


def test_kstatus_sees_a_deletion() -> None:
    body = SAMPLES[0].body
    deleted = {
        **body,
        "metadata": {**body["metadata"], "deletionTimestamp": "2026-11-23T12:00:00Z"},
    }
    assert conclude(deleted) == TERMINATING


def run_lua(script: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - a Lua table
    """Run a script as Argo CD does: ``obj`` is the object, ``os`` has nothing but the time."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    run = lua.eval(
        "function(script, obj)"
        " local sandbox = {obj = obj, ipairs = ipairs, pairs = pairs, tostring = tostring,"
        " require = function() return {date = os.date, time = os.time} end}"
        " local chunk = assert(loadstring(script))"
        " setfenv(chunk, sandbox)"
        " return chunk() end"
    )
    return run(script, lua.table_from(body, recursive=True))


@each
def test_argo_cd_concludes_the_same(sample: Sample) -> None:
    found = run_lua(HEALTH, sample.body)
    is_suspended = sample.body["spec"].get("suspend") is True
    assert found["status"] == ("Suspended" if is_suspended else HEALTH_OF[sample.expected])
    assert found["message"]


def test_argo_cd_waits_for_an_object_without_a_status() -> None:
    body = {"metadata": {"generation": 1}, "spec": {}}
    assert run_lua(HEALTH, body)["status"] == "Progressing"


def test_argo_cd_tells_a_suspended_schedule() -> None:
    body = {"metadata": {"generation": 1}, "spec": {"suspend": True}}
    assert run_lua(HEALTH, body)["status"] == "Suspended"


def test_the_generated_files_are_those_of_the_generator() -> None:
    argocd = (GITOPS / "argocd" / "argocd-cm.yaml").read_text()
    assert argocd == generate.render_config_map(), "run: python tests/gitops/generate.py"
    flux = (GITOPS / "flux" / "kustomization.yaml").read_text()
    assert flux == generate.render_kustomization(), "run: python tests/gitops/generate.py"


def test_the_config_map_holds_the_script_for_every_kind() -> None:
    data = CONFIG_MAP["data"]
    keys = {f"resource.customizations.health.{GROUP}_{kind}" for kind in KINDS}
    assert keys <= set(data)
    for key in keys:
        assert data[key] == HEALTH


@pytest.mark.parametrize(
    "path", sorted((GITOPS / "argocd" / "actions").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_config_map_holds_the_actions(path: Path) -> None:
    data = CONFIG_MAP["data"]
    assert data[f"resource.customizations.actions.{GROUP}_{path.stem}"] == path.read_text()


def actions_of(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(
        (GITOPS / "argocd" / "actions" / f"{kind}.yaml").read_text()
    )
    return loaded


def disabled(kind: str, body: dict[str, Any]) -> dict[str, bool]:
    found = run_lua(actions_of(kind)["discovery.lua"], body)
    return {name: bool(found[name]["disabled"]) for name in found}


def act(kind: str, name: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - a Lua table
    script = next(one for one in actions_of(kind)["definitions"] if one["name"] == name)
    return run_lua(script["action.lua"], body)


def test_a_running_backup_can_be_cancelled_and_a_finished_one_cannot() -> None:
    by_name = {sample.name: sample.body for sample in SAMPLES}
    assert disabled("Backup", by_name["running"]) == {"cancel": False, "force-delete": True}
    assert disabled("Backup", by_name["succeeded"])["cancel"]
    assert act("Backup", "cancel", by_name["running"])["spec"]["cancel"] is True


@pytest.mark.parametrize(
    ("kind", "action", "annotation"),
    [
        ("Backup", "force-delete", f"{GROUP}/force-delete"),
        ("BackupEngine", "acknowledge-deletions", f"{GROUP}/acknowledge-deletions"),
    ],
)
def test_an_annotation_gets_the_present_time(kind: str, action: str, annotation: str) -> None:
    body = {"metadata": {"name": "one", "deletionTimestamp": "2026-11-23T12:00:00Z"}, "spec": {}}
    assert not disabled(kind, body)[action]
    value = act(kind, action, body)["metadata"]["annotations"][annotation]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)


def test_a_schedule_is_suspended_and_resumed() -> None:
    running: dict[str, Any] = {"metadata": {}, "spec": {"schedule": "@daily"}}
    suspended: dict[str, Any] = {"metadata": {}, "spec": {"suspend": True}}
    assert disabled("BackupSchedule", running) == {"suspend": False, "resume": True}
    assert disabled("BackupSchedule", suspended) == {"suspend": True, "resume": False}
    assert act("BackupSchedule", "suspend", running)["spec"]["suspend"] is True
    assert act("BackupSchedule", "resume", suspended)["spec"]["suspend"] is False


def test_exactly_the_plan_that_is_shown_is_approved() -> None:
    body: dict[str, Any] = {"metadata": {}, "spec": {}, "status": {"plan": {"digest": "sha256:ab"}}}
    assert not disabled("Restore", body)["approve"]
    approved = act("Restore", "approve", body)
    assert approved["spec"]["approvedPlan"] == "sha256:ab"
    body["spec"]["approvedPlan"] = "sha256:ab"
    assert disabled("Restore", body)["approve"]
    assert disabled("Restore", {"metadata": {}, "spec": {}})["approve"]


def test_a_restore_of_volumes_can_be_cancelled_and_one_of_objects_cannot() -> None:
    objects: dict[str, Any] = {"metadata": {}, "spec": {"groups": ["USERS_CONFIG"]}}
    volumes: dict[str, Any] = {"metadata": {}, "spec": {"volumes": [{"claim": "data"}]}}
    assert disabled("Restore", objects)["cancel"]
    assert not disabled("Restore", volumes)["cancel"]
    assert act("Restore", "cancel", volumes)["spec"]["cancel"] is True
    finished = {"conditions": [{"type": "Finished", "status": "True"}]}
    assert disabled("Restore", {**volumes, "status": finished})["cancel"]


def conclude_flux(body: dict[str, Any]) -> str:
    """Evaluate the expressions in Flux's order."""
    check = next(one for one in FLUX["spec"]["healthCheckExprs"] if one["kind"] == body["kind"])
    environment = celpy.Environment()
    context = {name: json_to_cel(value) for name, value in body.items()}
    for field, verdict in (("inProgress", IN_PROGRESS), ("failed", FAILED), ("current", CURRENT)):
        program = environment.program(environment.compile(check[field]))
        if program.evaluate(context):
            return verdict
    return IN_PROGRESS


@each
def test_flux_concludes_the_same(sample: Sample) -> None:
    assert conclude_flux(sample.body) == sample.expected


def test_flux_waits_for_an_object_whose_status_is_empty() -> None:
    body = {"kind": "Backup", "metadata": {"generation": 1}, "spec": {}, "status": {}}
    assert conclude_flux(body) == IN_PROGRESS


def test_flux_knows_every_kind() -> None:
    checks = FLUX["spec"]["healthCheckExprs"]
    assert {one["kind"] for one in checks} >= KINDS
    assert {one["apiVersion"] for one in checks} == {f"{GROUP}/v1"}
