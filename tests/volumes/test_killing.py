"""An engine that is killed in the midst of a DATA backup, as a real process with a real kopia."""

import asyncio
import os
import ssl
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backup_engine.runs.repositories import Repositories
from backup_engine.volumes.passwords import FilePasswords
from backup_engine.volumes.place import RepositoryPlaces
from fixtures.engine import running_engine
from fixtures.volumes import HOST
from listserver import Listing, ListServer
from localengine import BACKUPS, DEPLOY, STAGED

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

MEGABYTES = 200
WITHIN_S = 100


class Client:
    """Blocking calls, for the process is another one."""

    def __init__(self, url: str, token: str, ca: Path) -> None:
        trust = ssl.create_default_context(cafile=ca)
        headers = {"SEC": token, "Accept": "application/json"}
        self._http = httpx2.Client(base_url=url, headers=headers, verify=trust)

    def ask(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401
        return self._http.request(method, path, **options).json()

    def until(self, path: str, holds: Any) -> Any:  # noqa: ANN401
        deadline = time.monotonic() + WITHIN_S
        while not holds(found := self.ask("GET", path)):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def close(self) -> None:
        self._http.close()


async def test_a_killed_engine_makes_one_snapshot_of_each_volume(
    tmp_path: Path, source: ListServer, kopia: str
) -> None:
    listing = Listing("backup-operator.io", "v1", "backuphosts", "BackupHost", is_namespaced=False)
    listing.objects.append(
        {
            "metadata": {"name": HOST, "uid": "uid-shop", "generation": 1},
            "spec": {"type": "Data", "volumes": [{"namespace": HOST, "selector": {}}]},
        }
    )
    source.add(listing)
    await asyncio.to_thread(_kill_and_go_on, tmp_path, source.kubeconfig(tmp_path), kopia)

    engine = tmp_path / "engine"
    places = RepositoryPlaces((engine / "repositories").as_uri())
    passwords = FilePasswords(engine / "repository-passwords")
    found = Repositories(places, passwords, kopia, tmp_path / "look")
    snapshots = await (await found.open(2, HOST)).list_snapshots()
    assert sorted(str(each.volume) for each in snapshots) == ["shop/a-small", "shop/b-large"]


def _kill_and_go_on(folder: Path, kubeconfig: Path, kopia: str) -> None:
    volumes = folder / "volumes"
    small, large = volumes / HOST / "a-small", volumes / HOST / "b-large"
    small.mkdir(parents=True)
    large.mkdir()
    (small / "file").write_text("content")
    for number in range(MEGABYTES // 50):
        (large / f"{number}").write_bytes(os.urandom(50_000_000))
    options = ("--volumes-dir", str(volumes), "--kopia", kopia)
    with running_engine(folder / "engine", kubeconfig, *options) as engine:
        client = Client(engine.url, engine.token, engine.ca_path)
        client.until("/api/backup_engine/hosts", lambda hosts: len(hosts) == 2)
        client.ask("POST", DEPLOY, json={})
        client.until(DEPLOY, lambda status: status["status"] == "COMPLETE")
        entry = {"host_id": 2, "event_data_backup_enabled": True}
        client.ask("POST", f"{STAGED}/1", json={"data_backup_host_configuration": [entry]})
        client.ask("POST", DEPLOY, json={})
        client.until(DEPLOY, lambda status: status["status"] == "COMPLETE")
        body = {"name": "killed", "configuration_id": 1, "host_id": 2}
        created = client.ask("POST", BACKUPS, json=body, headers={"backup_type": "DATA"})
        path = f"/api/backup_engine/backups/{created['id']}/volumes"
        # LOW: one volume after the other, so the small one is done when the large one begins
        client.until(path, lambda told: len(told) == 2 and told[1]["status"] == "IN_PROGRESS")
        engine.kill()
        client.close()

        engine.start()
        client = Client(engine.url, engine.token, engine.ca_path)
        record = client.until(
            f"{BACKUPS}/{created['id']}",
            lambda record: record["status"] not in {"INITIALIZING", "IN_PROGRESS"},
        )
        volumes_told = client.ask("GET", path)
        client.close()

    assert record["status"] == "SUCCESS", volumes_told
    assert [each["files"] for each in volumes_told] == [1, MEGABYTES // 50]
