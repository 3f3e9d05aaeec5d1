"""The manifests on a real API server: what ``kubectl apply -k`` makes of them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from backup_operator.crds import render_crds
from fixtures.cluster import run_kubectl
from fixtures.installation import Installation

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted((ROOT / "manifests" / "overlays").iterdir())
NAMESPACE = "backup-system"
SETTLED_WITHIN_S = 60.0


def render(installation: Installation, folder: Path) -> list[dict[str, Any]]:
    rendered = run_kubectl(installation.cluster, "kustomize", str(folder)).stdout
    return [each for each in yaml.safe_load_all(rendered) if each]


def test_the_crds_to_install_are_those_of_the_models() -> None:
    installed = (ROOT / "manifests" / "crds" / "crds.yaml").read_text()

    assert installed == render_crds(), "run make generate"


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_one_command_installs_and_a_second_changes_nothing(
    installation: Installation, overlay: Path
) -> None:
    apply = ("apply", "--server-side", "--force-conflicts", "-k", str(overlay))
    run_kubectl(installation.cluster, *apply)

    run_kubectl(installation.cluster, "get", "-k", str(overlay))  # all of it is there
    differ = ("diff", "--server-side", "--force-conflicts", "-k", str(overlay))
    ends_at = time.monotonic() + SETTLED_WITHIN_S
    while difference := run_kubectl(installation.cluster, *differ, check=False).stdout:
        assert time.monotonic() < ends_at, difference  # controllers annotate and count meanwhile


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_every_pod_passes_the_restricted_level(installation: Installation, overlay: Path) -> None:
    for each in render(installation, overlay):
        if each["kind"] != "Deployment":
            continue
        template = each["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": "trial", "namespace": NAMESPACE},
            "spec": {**template["spec"]},
        }
        admitted = run_kubectl(
            installation.cluster,
            *("create", "--dry-run=server", "--filename=-"),
            stdin=json.dumps(pod),
            check=False,
        )
        assert admitted.returncode == 0, admitted.stderr
        assert "Warning" not in admitted.stderr


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_probes_reach_a_port_that_a_container_names(
    installation: Installation, overlay: Path
) -> None:
    for each in render(installation, overlay):
        if each["kind"] != "Deployment":
            continue
        for container in each["spec"]["template"]["spec"]["containers"]:
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["port"] in ports
            assert container["resources"]["limits"]["memory"]


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_services_policies_and_budgets_select_the_pods_of_one_program(
    installation: Installation, overlay: Path
) -> None:
    documents = render(installation, overlay)
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in documents
        if each["kind"] == "Deployment"
    }
    for each in documents:
        spec = each.get("spec", {})
        selector = {
            "Service": lambda spec: spec["selector"],
            "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
            "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
        }.get(each["kind"])
        if selector is None:
            continue
        wanted = selector(spec).items()
        selected = [name for name, labels in pods.items() if wanted <= labels.items()]
        assert selected == [each["metadata"]["name"].removesuffix("-metrics")]
