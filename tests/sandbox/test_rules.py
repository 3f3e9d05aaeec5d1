"""The sandbox decides like a real cluster: authorization and admission are on."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from fixtures.cluster import Cluster, Kubectl

pytestmark = pytest.mark.cluster


def kubeconfig_of(token: str, cluster: Cluster, path: Path) -> Path:
    """Write a kubeconfig that has nothing but a token to show."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in document["users"]:
        user["user"] = {"token": token}
    path.write_text(yaml.safe_dump(document))
    return path


def list_configmaps(
    cluster: Cluster, kubeconfig: Path, namespace: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [cluster.kubectl, f"--kubeconfig={kubeconfig}", "-n", namespace, "get", "configmaps"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )


def a_pod(service_account: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod"},
            "spec": {
                "serviceAccountName": service_account,
                "containers": [{"name": "main", "image": "registry.test/image"}],
            },
        }
    )


def test_a_service_account_may_nothing_until_a_role_lets_it(
    sandbox: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    token = kubectl("create", "token", "default", "--namespace", namespace).stdout.strip()
    own = kubeconfig_of(token, sandbox, tmp_path / "kubeconfig")

    refused = list_configmaps(sandbox, own, namespace)
    account = f"{namespace}:default"
    role = ("--clusterrole=view", f"--serviceaccount={account}")
    kubectl("create", "rolebinding", "view", "--namespace", namespace, *role)
    allowed = list_configmaps(sandbox, own, namespace)
    elsewhere = list_configmaps(sandbox, own, "kube-system")

    assert refused.returncode != 0
    assert f'"system:serviceaccount:{account}" cannot list' in refused.stderr
    assert allowed.returncode == 0, allowed.stderr
    assert "kube-root-ca.crt" in allowed.stdout
    assert elsewhere.returncode != 0


def test_a_forged_token_is_refused(sandbox: Cluster, namespace: str, tmp_path: Path) -> None:
    forged = kubeconfig_of("not.a.token", sandbox, tmp_path / "forged")

    answer = list_configmaps(sandbox, forged, namespace)

    assert answer.returncode != 0
    assert "must be logged in" in answer.stderr or "Unauthorized" in answer.stderr


def test_a_pod_gets_a_token_only_of_a_service_account_that_exists(
    kubectl: Kubectl, namespace: str
) -> None:
    create = ("create", "--namespace", namespace, "--filename=-", "--output=json")

    refused = kubectl(*create, input=a_pod("absent"), check=False)
    admitted = json.loads(kubectl(*create, input=a_pod("default")).stdout)

    assert refused.returncode != 0
    assert 'serviceaccount "absent" not found' in refused.stderr
    sources = [
        source
        for volume in admitted["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    assert any("serviceAccountToken" in source for source in sources)


def test_each_namespace_is_its_own(kubectl: Kubectl, namespace: str) -> None:
    assert namespace.startswith("test-")
    assert kubectl("get", "namespace", namespace, "--output=name").stdout.strip()
    assert kubectl("get", "pods", "--namespace", namespace, "--output=name").stdout == ""
