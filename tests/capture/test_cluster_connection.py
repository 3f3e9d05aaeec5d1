import json
import stat
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backup_engine.cluster import (
    ClusterConnection,
    ClusterSettingsError,
    ClusterUnreachableError,
)
from backup_engine.cluster_access.kubeconfig import find_user, load_kubeconfig
from backup_engine.cluster_access.service_account import load_service_account
from backup_engine.tls.certificates import make_ca
from listserver import ListServer


async def ask(server: ListServer, path: Path) -> str | None:
    """Ask once with that kubeconfig; return the Authorization header the server saw."""
    async with (
        ClusterConnection.from_kubeconfig(path) as cluster,
        cluster.request("GET", "/version") as answer,
    ):
        assert (await answer.json())["gitVersion"] == "v1.99.0"
    return server.tokens[-1]


async def test_a_kubeconfig_without_credentials_sends_none(
    server: ListServer, tmp_path: Path
) -> None:
    assert await ask(server, server.kubeconfig(tmp_path)) is None


async def test_a_token_is_sent_as_bearer(server: ListServer, tmp_path: Path) -> None:
    assert await ask(server, server.kubeconfig(tmp_path, {"token": "abc"})) == "Bearer abc"


async def test_a_token_file_is_found_beside_the_kubeconfig(
    server: ListServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("from-file\n")

    assert await ask(server, server.kubeconfig(tmp_path, {"tokenFile": "token"})) == (
        "Bearer from-file"
    )


async def test_a_rotated_token_file_is_read_again(server: ListServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    path = server.kubeconfig(tmp_path, {"tokenFile": str(token)})

    async with ClusterConnection(lambda: load_kubeconfig(path), token_lifetime_s=0) as cluster:
        for content in ("first", "second"):
            token.write_text(content)
            async with cluster.request("GET", "/version"):
                pass

    assert server.tokens[-2:] == ["Bearer first", "Bearer second"]


def a_plugin(directory: Path, body: str) -> dict[str, Any]:
    script = directory / "plugin"
    script.write_text(f"#!{sys.executable}\n{body}")
    script.chmod(stat.S_IRWXU)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}}


async def test_the_token_of_an_exec_plugin_is_used(server: ListServer, tmp_path: Path) -> None:
    answer = (
        '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
        ' "status": {"token": "from-plugin"}}'
    )
    user = a_plugin(tmp_path, f"print({answer!r})\n")

    assert await ask(server, server.kubeconfig(tmp_path, user)) == "Bearer from-plugin"


async def test_an_exec_plugin_that_fails_is_named(server: ListServer, tmp_path: Path) -> None:
    path = server.kubeconfig(tmp_path, a_plugin(tmp_path, "raise SystemExit(1)\n"))

    with pytest.raises(ClusterSettingsError, match=r"exec plugin .*plugin"):
        await ask(server, path)


@pytest.mark.parametrize("content", [None, "{", "[]", "a: b", "current-context: x\ncontexts: []\n"])
async def test_an_unusable_kubeconfig_is_explained(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ClusterSettingsError, match=str(path)):
        async with ClusterConnection.from_kubeconfig(path):
            pass


async def test_a_broken_certificate_is_explained(server: ListServer, tmp_path: Path) -> None:
    path = server.kubeconfig(tmp_path)
    document = yaml.safe_load(path.read_text())
    document["clusters"][0]["cluster"] = {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "bm90IGEgY2VydGlmaWNhdGU=",
    }
    path.write_text(yaml.safe_dump(document))

    with pytest.raises(ClusterSettingsError, match=r"https://127\.0\.0\.1:1"):
        async with ClusterConnection.from_kubeconfig(path):
            pass


async def test_outside_of_a_pod_the_service_account_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ClusterSettingsError, match="name a kubeconfig"):
        async with ClusterConnection.in_cluster():
            pass


async def test_a_server_that_is_not_there_is_unreachable_and_the_token_stays_secret(
    server: ListServer, tmp_path: Path
) -> None:
    server.url = "http://127.0.0.1:1"
    path = server.kubeconfig(tmp_path, {"token": "very-secret"})

    with pytest.raises(ClusterUnreachableError) as caught:
        await ask(server, path)

    assert "127.0.0.1:1" in str(caught.value)
    assert "very-secret" not in str(caught.value)


@pytest.fixture
async def redirecting() -> AsyncIterator[ListServer]:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/elsewhere")

    app = web.Application()
    app.router.add_get("/{path:.*}", away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = ListServer()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()


async def test_a_redirect_is_not_followed_with_the_token(
    redirecting: ListServer, tmp_path: Path
) -> None:
    path = redirecting.kubeconfig(tmp_path, {"token": "abc"})

    async with (
        ClusterConnection.from_kubeconfig(path) as cluster,
        cluster.request("GET", "/version") as answer,
    ):
        assert answer.status == 302


def test_a_user_is_found_by_name_only() -> None:
    content = {"users": [{"name": "a", "user": {"token": "1"}}, {"name": "b"}]}

    assert find_user(content, "a") == {"token": "1"}
    assert find_user(content, "b") == {}
    assert find_user(content, "c") == {}
    assert find_user({"users": None}, None) == {}


async def test_a_plugin_is_asked_again_when_its_token_ends(
    server: ListServer, tmp_path: Path
) -> None:
    counting = (
        "import json, pathlib\n"
        f"calls = pathlib.Path({str(tmp_path / 'calls')!r})\n"
        "calls.write_text((calls.read_text() if calls.exists() else '') + 'x')\n"
        "status = {'token': calls.read_text(), 'expirationTimestamp': '2020-01-01T00:00:00Z'}\n"
        "version = 'client.authentication.k8s.io/v1'\n"
        "print(json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status}))\n"
    )
    path = server.kubeconfig(tmp_path, a_plugin(tmp_path, counting))

    assert await ask(server, path) == "Bearer xx"  # once at the start, once to ask


async def test_a_plugin_is_told_the_cluster_and_may_give_a_client_certificate(
    tmp_path: Path,
) -> None:
    certificate, key = make_ca(datetime.now(UTC))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    told = tmp_path / "told"
    status = {
        "clientCertificateData": certificate.public_bytes(Encoding.PEM).decode(),
        "clientKeyData": private.decode(),
    }
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "status": status}
    script = (
        "import os, pathlib\n"
        f"pathlib.Path({str(told)!r}).write_text(os.environ['KUBERNETES_EXEC_INFO'])\n"
        f"print({json.dumps(answer)!r})\n"
    )
    user = a_plugin(tmp_path, script)
    user["exec"]["provideClusterInfo"] = True
    server = ListServer()
    server.url = "https://127.0.0.1:1"

    access = await load_kubeconfig(server.kubeconfig(tmp_path, user))

    assert await access.read_token() is None
    assert json.loads(told.read_text())["spec"] == {
        "interactive": False,
        "cluster": {"server": "https://127.0.0.1:1"},
    }


@pytest.mark.parametrize(
    ("user", "match"),
    [
        ({"auth-provider": {"name": "oidc"}}, "auth-provider is not supported: .*exec plugin"),
        ({"exec": {"apiVersion": "v1"}}, "'command' is missing"),
        (
            {"exec": {"apiVersion": "v1", "command": "x", "interactiveMode": "Always"}},
            "wants a terminal",
        ),
        ({"exec": {"apiVersion": "v1", "command": "/not/there"}}, "cannot be run: No such file"),
    ],
)
async def test_a_user_that_cannot_be_used_is_explained(
    server: ListServer, tmp_path: Path, user: dict[str, Any], match: str
) -> None:
    with pytest.raises(ClusterSettingsError, match=match):
        await load_kubeconfig(server.kubeconfig(tmp_path, user))


async def test_a_kubeconfig_that_cannot_be_read_is_named_once_and_not_shown(
    tmp_path: Path,
) -> None:
    file = tmp_path / "kubeconfig"

    with pytest.raises(ClusterSettingsError) as missing:
        await load_kubeconfig(file)
    file.write_text("users:\n- user: {token: SECRET\n  x: [\n")
    with pytest.raises(ClusterSettingsError) as broken:
        await load_kubeconfig(file)

    assert str(missing.value) == f"kubeconfig {file}: No such file or directory"
    assert str(broken.value) == f"kubeconfig {file}: no YAML, line 3"


async def test_name_and_password_are_sent_as_basic(server: ListServer, tmp_path: Path) -> None:
    user = {"username": "me", "password": "secret"}

    assert await ask(server, server.kubeconfig(tmp_path, user)) == "Basic bWU6c2VjcmV0"


async def test_in_a_pod_its_account_is_used_and_its_token_read_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, _ = make_ca(datetime.now(UTC))
    (tmp_path / "ca.crt").write_bytes(authority.public_bytes(Encoding.PEM))
    (tmp_path / "token").write_text("first\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    access = await load_service_account(tmp_path)

    assert access.url == "https://[fd00::1]:443"
    assert await access.read_token() == "Bearer first"
    (tmp_path / "token").write_text("second")
    assert await access.read_token() == "Bearer second"
