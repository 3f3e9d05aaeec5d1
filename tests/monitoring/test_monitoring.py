"""Alerts that fire when they should, and figures that exist where they are asked for."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from backup_api.endpoints import LIST_BACKUPS
from backup_operator.cluster.cache import Key, ObjectCache
from backup_operator.metrics.derived import DerivedFigures, EngineReading, Reading
from backup_operator.metrics.measures import Measures
from backup_operator.reconcile.queue import Outcome
from backup_operator.resources.engine import Circuit
from backup_operator.resources.group import BACKUP, SCHEDULE_LABEL

MONITORING = Path(__file__).resolve().parents[2] / "manifests" / "monitoring"
RULES = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())["spec"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
OWN = re.compile(r"\bbackup_operator_[a-z_]+")
USED_LABELS = re.compile(r"by \(([^)]*)\)")


def a_backup(name: str, **status: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "metadata": {
            "name": name,
            "namespace": "ops",
            "uid": f"u-{name}",
            "resourceVersion": "1",
            "labels": {SCHEDULE_LABEL: "nightly"},
        },
        "spec": {"backupType": "CONFIG"},
        "status": {
            "phase": "Succeeded",
            "engine": {"name": "console", "uid": "e-1"},
            "conditions": [{"type": "Complete", "status": "True"}],
            **status,
        },
    }


def a_scrape() -> str:
    """Everything that an operator with one engine, two Backups and a schedule says."""
    cache = ObjectCache()
    cache.put(
        BACKUP,
        a_backup("old", terminatedAt="2026-11-23T12:00:00Z", startedAt="2026-11-23T11:59:00Z"),
    )
    new = {"terminatedAt": "2026-11-24T12:00:00Z", "startedAt": "2026-11-24T11:58:00Z"}
    cache.put(BACKUP, a_backup("new", sizeOnDisk=734003200, **new))
    engine = EngineReading("console", True, Circuit.OPEN, 3.0)
    measures = Measures()
    measures.registry.register(
        DerivedFigures(cache, lambda: Reading(is_leader=True, engines=(engine,)))
    )
    measures.account(Key("Backup", "ops", "old"), Outcome.DONE, 0.01)
    measures.request_ended("console", LIST_BACKUPS, 200, 0.1)
    measures.request_ended("console", LIST_BACKUPS, None, 20.0)
    return generate_latest(measures.registry).decode()


SCRAPE = a_scrape()
SAMPLES = {
    (sample.name, tuple(sorted(sample.labels.items()))): sample.value
    for family in text_string_to_metric_families(SCRAPE)
    for sample in family.samples
}
NAMES = {name for name, _ in SAMPLES}
LABELS = {label for _, labels in SAMPLES for label, _ in labels}


def value(name: str, **labels: str) -> float:
    return SAMPLES[f"backup_operator_{name}", tuple(sorted(labels.items()))]


def test_the_figures_are_those_of_the_objects() -> None:
    nightly = {"namespace": "ops", "schedule": "nightly"}
    assert value("backups", engine="console", type="CONFIG", phase="Succeeded") == 2
    assert value("schedule_last_success_timestamp_seconds", **nightly) == 1795521600
    assert value("schedule_last_success_size_bytes", **nightly) == 734003200
    assert value("schedule_last_success_duration_seconds", **nightly) == 120
    assert value("leader") == 1
    assert value("engine_up", engine="console") == 1
    assert value("engine_circuit_state", engine="console", state="Open") == 1
    assert value("engine_circuit_state", engine="console", state="Closed") == 0
    assert value("engine_poll_lag_seconds", engine="console") == 3
    assert value("reconciles_total", kind="Backup", outcome="done") == 1
    answered = {"engine": "console", "endpoint": "GET /backup_and_restore/backups"}
    assert value("engine_request_duration_seconds_count", status="200", **answered) == 1
    assert value("engine_request_duration_seconds_count", status="none", **answered) == 1


def test_no_label_grows_with_the_number_of_backups() -> None:
    names = {label for _, labels in SAMPLES for label, value in labels if value in {"old", "new"}}
    assert names == set()


def test_engines_beyond_a_hundred_share_one_name() -> None:
    measures = Measures()
    for number in range(300):
        measures.request_ended(f"engine-{number}", LIST_BACKUPS, 200, 0.1)
    text = generate_latest(measures.registry).decode()
    assert len(set(re.findall(r'engine="([^"]+)"', text))) == 101


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def rule_expressions() -> list[str]:
    return [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("expression", [*dashboard_expressions(), *rule_expressions()])
def test_an_expression_names_figures_and_labels_that_exist(expression: str) -> None:
    assert set(OWN.findall(expression)) <= NAMES
    for labels in USED_LABELS.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= LABELS | {"le"}


def test_every_figure_of_ours_is_on_the_dashboard() -> None:
    shown = {name for expression in dashboard_expressions() for name in OWN.findall(expression)}
    ours = {name for name in NAMES if name.startswith("backup_operator_")}
    endings = ("_created", "_sum", "_bucket", "_count")
    families = {next((n.removesuffix(e) for e in endings if n.endswith(e)), n) for n in ours}
    shown_families = {next((n.removesuffix(e) for e in endings if n.endswith(e)), n) for n in shown}
    assert families - {"backup_operator_reconciles"} == shown_families


def test_every_alert_has_a_test_a_severity_and_a_summary() -> None:
    tests = yaml.safe_load((Path(__file__).parent / "rules_test.yaml").read_text())["tests"]
    fired = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert fired == {rule["alert"] for rule in rules}
    assert all(rule["labels"]["severity"] in {"warning", "critical"} for rule in rules)
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules)


def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "install promtool (Debian: package prometheus)"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    shutil.copy(Path(__file__).parent / "rules_test.yaml", tmp_path)
    for arguments in (("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")):
        done = subprocess.run(
            [promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
