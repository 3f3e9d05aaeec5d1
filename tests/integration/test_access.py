"""How the operator gets what it shows to an engine: Secrets, and tokens of its own account."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from backup_operator.cluster.access import ClusterAccess
from backup_operator.cluster.api import ClusterApi
from backup_operator.cluster.secrets import ClusterSecrets
from backup_operator.engines.access import AccountTokens, read_access
from backup_operator.errors import AccessError
from backup_operator.resources.engine import BackupEngineSpec
from fixtures.cluster import Cluster, Kubectl

pytestmark = pytest.mark.cluster

ACCOUNT = {"serviceAccount": {"audience": "backup-engine"}}


def spec_of(auth: object) -> BackupEngineSpec:
    return BackupEngineSpec.model_validate({"url": "https://console", "auth": auth})


def basic(namespace: str) -> object:
    return {"basic": {"secretRef": {"namespace": namespace, "name": "console"}}}


def apply(kubectl: Kubectl, *objects: object) -> None:
    bundle = {"apiVersion": "v1", "kind": "List", "items": objects}
    kubectl("apply", "--filename=-", input=json.dumps(bundle))


@pytest.fixture
def account(sandbox: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path) -> Path:
    """A kubeconfig of a ServiceAccount that may do no more than request its own tokens."""
    named = {"name": "backup-operator", "namespace": namespace}
    rule = {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": ["backup-operator"],
        "verbs": ["create"],
    }
    rbac = "rbac.authorization.k8s.io"
    apply(
        kubectl,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": named, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": named,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "backup-operator"},
            "subjects": [{"kind": "ServiceAccount", **named}],
        },
    )
    token = kubectl("create", "token", "backup-operator", f"--namespace={namespace}").stdout.strip()
    body = yaml.safe_load(Path(sandbox.kubeconfig).read_text())
    body["users"][0]["user"] = {"token": token}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(body))
    return kubeconfig


async def test_the_operators_own_account_gets_a_token_for_the_engine(
    account: Path, namespace: str
) -> None:
    async with ClusterApi(await ClusterAccess(account).load()) as cluster:
        access = await read_access(spec_of(ACCOUNT), ClusterSecrets(cluster))
        headers = await access.options.credentials.headers()

    token = headers["Authorization"].removeprefix("Bearer ")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["backup-engine"]
    assert claims["sub"] == f"system:serviceaccount:{namespace}:backup-operator"
    assert token not in repr(access)


async def test_an_operator_without_an_account_says_what_to_use(sandbox: Cluster) -> None:
    async with ClusterApi(await ClusterAccess(Path(sandbox.kubeconfig)).load()) as cluster:
        with pytest.raises(AccessError) as refused:
            await read_access(spec_of(ACCOUNT), ClusterSecrets(cluster))

    assert refused.value.trouble.reason == "NoServiceAccount"
    assert "use secToken or basic" in refused.value.trouble.message


async def test_a_secret_that_may_not_be_read_is_named(account: Path, namespace: str) -> None:
    async with ClusterApi(await ClusterAccess(account).load()) as cluster:
        with pytest.raises(AccessError) as refused:
            await read_access(spec_of(basic(namespace)), ClusterSecrets(cluster))

    assert refused.value.trouble.reason == "SecretForbidden"
    assert f"{namespace}/console" in refused.value.trouble.message


async def test_basic_credentials_come_without_the_line_end_of_their_file(
    sandbox: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    apply(
        kubectl,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "console", "namespace": namespace},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": "admin\n", "password": " spaced out \n"},
        },
    )
    async with ClusterApi(await ClusterAccess(Path(sandbox.kubeconfig)).load()) as cluster:
        access = await read_access(spec_of(basic(namespace)), ClusterSecrets(cluster))
        headers = await access.options.credentials.headers()

    pair = base64.b64decode(headers["Authorization"].removeprefix("Basic "))
    assert pair == b"admin: spaced out "
    assert "spaced" not in repr(access)


class Issuer:
    """Issues tokens of an hour, each another one."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.issued = 0

    async def find_secret(self, namespace: str, name: str) -> None:
        raise AssertionError(f"{namespace}/{name} is not asked for")

    async def request_token(self, audience: str, lifetime_s: int) -> tuple[str, datetime]:
        self.issued += 1
        return f"{audience}-{self.issued}", self.now + timedelta(seconds=lifetime_s)


async def test_a_token_is_renewed_before_it_expires_and_not_at_each_request() -> None:
    issuer = Issuer(datetime(2026, 11, 23, tzinfo=UTC))
    tokens = AccountTokens(issuer, "backup-engine", clock=lambda: issuer.now)

    assert [await tokens.current() for _ in range(3)] == ["backup-engine-1"] * 3
    issuer.now += timedelta(minutes=47)
    assert await tokens.current() == "backup-engine-1"
    issuer.now += timedelta(minutes=2)
    assert await tokens.current() == "backup-engine-2"
