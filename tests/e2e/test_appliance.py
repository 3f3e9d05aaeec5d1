"""The README's way with an appliance: the operator alone, and a console outside of the cluster."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.server import FakeAppliance
from e2e.installation import Installation, commands_of, readme_block
from e2e.kubectl import FINISH_S, ROOT, Kubectl
from e2e.resources import a_backup

HEADING = "## Against an appliance"
OVERLAY = "manifests/overlays/appliance"
CONSOLE = "https://console.example.net"

pytestmark = pytest.mark.cluster


@pytest.fixture
def appliance(host: str) -> Iterator[FakeAppliance]:
    """A fake appliance in a thread of its own, where pods reach it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = FakeAppliance(names=(host,), address=host)
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(FINISH_S)
        server.backup_seconds = 1.0
        yield server
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(FINISH_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_the_commands_of_the_readme_back_an_appliance_up(
    kubectl: Kubectl, installation: Installation, appliance: FakeAppliance, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_text(appliance.ca_pem)
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    for command in commands_of(readme_block(HEADING, "console"), "kubectl"):
        told = [word.replace("$SEC_TOKEN", appliance.token) for word in command]
        kubectl(*told, folder=tmp_path)
    engine = readme_block(HEADING, "yaml")
    assert CONSOLE in engine

    kubectl("apply", "--filename=-", feed=engine.replace(CONSOLE, appliance.url))
    kubectl.roll_out("backup-operator")
    kubectl("wait", "--for=condition=Ready", "backupengine/console", f"--timeout={FINISH_S}s")
    kubectl.apply(a_backup("of-the-console"))

    kubectl.wait("Complete", "backup/of-the-console")
    assert appliance.count("POST /backups") == 1
    installation.uninstall(OVERLAY)
