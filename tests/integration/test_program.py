"""The command line: what it takes, and how it ends when it cannot work."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from backup_operator.crds import build_crds
from fixtures.cluster import Cluster
from fixtures.operator_process import Forge, OperatorProcess, build_operator

pytestmark = [pytest.mark.process]

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: it
clusters: [{{name: it, cluster: {{server: "{server}"}}}}]
users: [{{name: it, user: {{}}}}]
contexts: [{{name: it, context: {{cluster: it, user: it}}}}]
"""


async def run(*arguments: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "backup_operator",
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (errors or output).decode()


async def test_a_cluster_without_our_resources_is_explained(tmp_path: Path) -> None:
    async def nothing(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "message": "not found"}, status=404)

    application = web.Application()
    application.add_routes([web.get("/{path:.*}", nothing)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(server=f"http://{host}:{port}"))
    code, errors = await run("run", f"--kubeconfig={kubeconfig}")
    await runner.cleanup()

    assert code == 3
    assert "install the CRDs" in errors
    assert "Traceback" not in errors


async def test_a_missing_kubeconfig_is_explained(tmp_path: Path) -> None:
    code, errors = await run("run", f"--kubeconfig={tmp_path / 'none'}")
    assert code == 3
    assert "--kubeconfig" in errors


async def test_senseless_settings_are_wrong_usage() -> None:
    code, errors = await run("run", BACKUP_OPERATOR_WORKERS="many")
    assert code == 2
    assert "workers" in errors


async def test_the_crds_can_be_piped() -> None:
    code, output = await run("crds")
    assert code == 0
    assert output.count("kind: CustomResourceDefinition") == len(build_crds())


@pytest.mark.cluster
async def test_figures_are_served_when_asked_for(
    forge: Forge, sandbox: Cluster, namespace: str, tmp_path: Path
) -> None:
    operator = build_operator(forge, sandbox, tmp_path, namespace)
    operator.arguments = (*operator.arguments, "--metrics-port=0")
    try:
        await operator.start()
        url = find_url(operator)
        async with aiohttp.ClientSession() as session:
            async with session.get(url.replace("/metrics", "/healthz")) as answer:
                assert answer.status == 200
            async with session.get(url) as answer:
                assert "backup_operator_queue_length" in await answer.text()
        assert await operator.stop() == 0
    finally:
        operator.kill()


def find_url(operator: OperatorProcess) -> str:
    found = re.search(r"http://\S+/metrics", operator.output())
    assert found is not None
    return found[0]
