"""The chart installs what the kustomize overlays install, and refuses values that cannot work."""

import os
import re
import runpy
import subprocess
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from backup_engine.volumes.tolerations import parse_toleration
from backup_sandbox import running_sandbox
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.versions import HELM_BINARY
from fixtures.cluster import Cluster, run_kubectl
from fixtures.installation import NAMESPACE, ROOT, Installation

MANIFESTS = ROOT / "manifests"
CHART = MANIFESTS / "chart"
POSTGRESQL = (
    "engine.replicas=2",
    "engine.databaseSecret=backup-engine-database",
    "engine.archiveUrl=s3://backups/cluster",
    "engine.archiveSecret=backup-engine-bucket",
)
VOLUMES = (
    "volumes.repositoryUrl=s3://backups/volumes",
    "engine.archiveSecret=backup-engine-bucket",
    "volumes.allowHooks=true",
    "volumes.allowSnapshots=true",
)
HELMS_LABELS = frozenset({"app.kubernetes.io/managed-by", "helm.sh/chart"})
HELMS_ANNOTATION = "helm.sh/resource-policy"

# helm is built once, by the first test that asks for it
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="session")
def helm() -> Path:
    return ensure_binaries([HELM_BINARY], os.environ)[HELM_BINARY]


def run_helm(
    helm: Path, command: str, *values: str, access: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    settings = [argument for value in values for argument in ("--set", value)]
    names = [] if command == "lint" else ["backup-operator"]
    chart = [] if command == "uninstall" else [str(CHART)]
    return subprocess.run(
        [str(helm), command, *names, *chart, f"--namespace={NAMESPACE}", *settings, *access],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def identify(document: dict[str, Any]) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def index(rendered: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return what is rendered by kind, namespace and name, without what only Helm adds."""
    documents = {}
    for document in yaml.safe_load_all(rendered):
        if not document or document["kind"] == "Namespace":  # helm install --create-namespace
            continue
        metadata = document["metadata"]
        for field, mine in (("labels", HELMS_LABELS), ("annotations", {HELMS_ANNOTATION})):
            kept = {key: value for key, value in metadata.pop(field, {}).items() if key not in mine}
            if kept:
                metadata[field] = kept
        if document["kind"] == "Deployment":  # variables have no order
            for container in document["spec"]["template"]["spec"]["containers"]:
                container["env"].sort(key=itemgetter("name"))
        documents[identify(document)] = document
    return documents


def kustomize(installation: Installation, *folders: str) -> dict[tuple[str, str, str], Any]:
    documents: dict[tuple[str, str, str], Any] = {}
    for folder in folders:
        path = str(MANIFESTS / folder)
        documents |= index(run_kubectl(installation.cluster, "kustomize", path).stdout)
    return documents


def test_what_the_chart_shares_with_the_base_is_generated() -> None:
    render = runpy.run_path(str(MANIFESTS / "generate_chart.py"))["render_templates"]

    for path, text in render():
        assert path.read_text() == text, "run make generate"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("values", "folders"),
    [
        ((), ("overlays/cluster",)),
        (("engine.install=false",), ("overlays/appliance",)),
        (POSTGRESQL, ("overlays/postgresql",)),
        (
            ("restore.allow=true", *VOLUMES),
            ("overlays/volumes", "restore", "hooks", "volume-snapshots"),
        ),
    ],
    ids=["cluster", "appliance", "postgresql", "volumes and all that is opted in"],
)
def test_the_chart_installs_what_the_overlay_installs(
    installation: Installation, helm: Path, values: tuple[str, ...], folders: tuple[str, ...]
) -> None:
    answer = run_helm(helm, "template", *values)
    assert answer.returncode == 0, answer.stderr
    charted, expected = index(answer.stdout), kustomize(installation, *folders)

    assert sorted(charted) == sorted(expected)
    for key, document in expected.items():
        assert charted[key] == document


@pytest.mark.cluster
def test_a_release_is_installed_upgraded_and_uninstalled(helm: Path, tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "sandbox") as running:
        cluster = Cluster(running.kubeconfig, running.kubectl, running.server)
        access = f"--kubeconfig={running.kubeconfig}"
        installed = run_helm(helm, "install", access=(access, "--create-namespace"))
        upgraded = run_helm(helm, "upgrade", "restore.allow=true", access=(access,))
        granted = run_kubectl(cluster, "get", "clusterrolebinding/backup-engine-restore")
        uninstalled = run_helm(helm, "uninstall", access=(access,))
        left = run_kubectl(
            cluster,
            *("get", "deployments,services,secrets,serviceaccounts,persistentvolumeclaims"),
            *(f"--namespace={NAMESPACE}", "--output=name"),
        ).stdout.split()
        crds = run_kubectl(cluster, "get", "crds", "--output=name").stdout.split()

    for answer in (installed, upgraded, uninstalled):
        assert answer.returncode == 0, answer.stderr
    assert "auth: {serviceAccount: {audience: backup-engine}}" in installed.stdout
    assert "Restores are not allowed yet" in installed.stdout
    assert "Restores are not allowed yet" not in upgraded.stdout
    assert granted.returncode == 0
    assert left == ["persistentvolumeclaim/backup-engine"]  # archives outlive the chart
    assert len(crds) == 6  # and so do Backups


def test_the_chart_is_sound_and_its_image_is_one_version(helm: Path) -> None:
    lint = run_helm(helm, "lint", "image.repository=registry.example.net/backup-operator")
    rendered = run_helm(helm, "template", "image.tag=1.2.3", "image.pullPolicy=Always").stdout

    assert lint.returncode == 0, lint.stdout
    assert set(re.findall(r"image: (\S+)", rendered)) == {"backup-operator:1.2.3"}
    assert rendered.count("imagePullPolicy: Always") == 2


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("engine.replicas=2", "several engines need engine.databaseSecret and engine.archiveUrl"),
        ("engine.databaseSecret=own", "engine.databaseSecret is set without engine.archiveUrl"),
        ("engine.replica=2", "additional properties 'replica' not allowed"),
        ("engine.archiveUrl=ftp://host/path", "does not match pattern"),
        ("volumes.movers.resources.limits.cpu=1", "additional properties 'cpu' not allowed"),
        ("volumes.movers.tolerations[0].operator=Exists", "missing property 'key'"),
    ],
)
def test_values_that_cannot_work_are_refused(helm: Path, value: str, told: str) -> None:
    answer = run_helm(helm, "template", value)

    assert answer.returncode != 0
    assert told in answer.stderr


def test_settings_reach_the_pods(helm: Path) -> None:
    rendered = run_helm(
        helm,
        "template",
        *("operator.args={--log-format,json}", "engine.env[0].name=A", "engine.env[0].value=b"),
        *("engine.nodeSelector.disk=ssd", "image.pullSecrets[0].name=mine"),
        *("engine.volume.storageClassName=fast", "engine.volume.size=1Ti"),
    )
    documents = index(rendered.stdout)
    operator = documents["Deployment", NAMESPACE, "backup-operator"]["spec"]["template"]["spec"]
    engine = documents["Deployment", NAMESPACE, "backup-engine"]["spec"]["template"]["spec"]
    claim = documents["PersistentVolumeClaim", NAMESPACE, "backup-engine"]["spec"]

    assert operator["containers"][0]["args"][-2:] == ["--log-format", "json"]
    assert operator["imagePullSecrets"] == [{"name": "mine"}]
    assert {"name": "A", "value": "b"} in engine["containers"][0]["env"]
    assert engine["nodeSelector"] == {"disk": "ssd"}
    assert claim["storageClassName"] == "fast"
    assert claim["resources"]["requests"]["storage"] == "1Ti"


def test_what_movers_need_reaches_the_engine_as_it_reads_it(helm: Path) -> None:
    rendered = run_helm(
        helm,
        "template",
        *("volumes.repositoryUrl=s3://backups/volumes", "volumes.movers.resources.requests.cpu=2"),
        "volumes.movers.resources.limits.memory=4Gi",
        "volumes.movers.tolerations[0].key=dedicated",
        "volumes.movers.tolerations[0].value=database",
        "volumes.movers.tolerations[0].effect=NoSchedule",
        "volumes.movers.tolerations[1].key=example.net/spot",
        "volumes.movers.tolerations[1].operator=Exists",
    )
    engine = index(rendered.stdout)["Deployment", NAMESPACE, "backup-engine"]
    (container,) = engine["spec"]["template"]["spec"]["containers"]
    told = {
        each["name"].removeprefix("BACKUP_ENGINE_"): each["value"]
        for each in container["env"]
        if "MOVER" in each["name"]
    }

    assert told.pop("MOVER_IMAGE").startswith("backup-operator:")
    assert told == {
        "MOVER_CPU_REQUEST": "2",
        "MOVER_MEMORY_LIMIT": "4Gi",
        "MOVER_TOLERATION": "dedicated=database:NoSchedule,example.net/spot",
    }
    tolerations = [parse_toleration(each) for each in told["MOVER_TOLERATION"].split(",")]
    assert tolerations == [
        {
            "key": "dedicated",
            "operator": "Equal",
            "value": "database",
            "effect": "NoSchedule",
        },
        {"key": "example.net/spot", "operator": "Exists"},
    ]
