"""An engine that is killed in the midst of a DATA backup, as a real process with a real kopia.

Its state is in SQLite or PostgreSQL; where it died, the application stands still, and waits.
"""

import asyncio
import json
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
from fixtures.cluster import Cluster, Kubectl
from fixtures.engine import running_engine
from fixtures.exec_node import ExecNode
from localengine import BACKUPS, DEPLOY, STAGED

pytestmark = [pytest.mark.cluster, pytest.mark.process]

FILES = 3
WITHIN_S = 100


class Client:
    """Blocking calls, for the process is another one."""

    def __init__(self, url: str, token: str, ca: Path) -> None:
        trust = ssl.create_default_context(cafile=ca)
        headers = {"SEC": token, "Accept": "application/json"}
        self._http = httpx2.Client(base_url=url, headers=headers, verify=trust, timeout=60)

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


async def test_a_killed_engine_makes_one_snapshot_of_each_volume_and_lets_the_application_go(
    tmp_path: Path,
    sandbox: Cluster,
    kubectl: Kubectl,
    namespace: str,
    exec_node: ExecNode,
    kopia: str,
    database_url: str,
) -> None:
    log = tmp_path / "hooks"
    await exec_node.add_pod(namespace, "db-0", labels={"app": "db"})
    host = a_host(namespace, log)
    await asyncio.to_thread(kubectl, "create", "-f", "-", input=json.dumps(host))
    go = tmp_path / "go"
    held = ("--kopia", str(hold_kopia(tmp_path, kopia, go)))
    options = ("--engine-name", namespace, "--database-url", database_url, *held)
    patience = ("--takeover-after", "1")  # of a shared database: nobody else lives there

    told = await asyncio.to_thread(
        _kill_and_go_on, tmp_path, sandbox.kubeconfig, namespace, go, (*options, *patience)
    )

    await asyncio.to_thread(kubectl, "delete", "backuphost", namespace, "--wait=false")
    assert [(each["stage"], each["status"]) for each in told] == [
        ("BEFORE", "SUCCESS"),
        ("AFTER", "SUCCESS"),
    ]
    assert log.read_text().split() == ["before", "after"]
    engine = tmp_path / "engine"
    places = RepositoryPlaces((engine / "repositories").as_uri())
    passwords = FilePasswords(engine / "repository-passwords")
    found = Repositories(places, passwords, kopia, tmp_path / "look")
    snapshots = await (await found.open(2, namespace)).list_snapshots()
    expected = [f"{namespace}/a-small", f"{namespace}/b-large"]
    assert sorted(str(each.volume) for each in snapshots) == expected


def hold_kopia(folder: Path, kopia: str, go: Path) -> Path:
    """Write a kopia that does not read the large volume before ``go`` is there."""
    held = folder / "held-kopia"
    wait = f"while ! test -e {go}; do sleep 0.1; done"
    held.write_text(
        f'#!/bin/sh\ncase "$*" in *"snapshot create"*b-large*) {wait};; esac\nexec {kopia} "$@"\n'
    )
    held.chmod(0o755)
    return held


def a_host(namespace: str, log: Path) -> dict[str, Any]:
    """Build a host of all volumes of a namespace, whose hooks tell of themselves."""
    target = {"namespace": namespace, "selector": {"matchLabels": {"app": "db"}}}

    def hook(word: str) -> dict[str, Any]:
        return {**target, "command": ["sh", "-c", f"echo {word} >>{log}"]}

    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupHost",
        "metadata": {"name": namespace},
        "spec": {
            "type": "Data",
            "engineRef": {"name": namespace},
            "volumes": [{"namespace": namespace, "selector": {}}],
            "hooks": {"before": [hook("before")], "after": [hook("after")]},
        },
    }


def _kill_and_go_on(
    folder: Path, kubeconfig: Path, namespace: str, go: Path, options: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Kill the engine while its kopia has the second volume; returns how the hooks went.

    That kopia outlives it, and reads when the next engine is there already.
    """
    volumes = folder / "volumes"
    small, large = volumes / namespace / "a-small", volumes / namespace / "b-large"
    small.mkdir(parents=True)
    large.mkdir()
    (small / "file").write_text("content")
    for number in range(FILES):
        (large / f"{number}").write_bytes(os.urandom(1_000_000))
    volumes_too = ("--volumes-dir", str(volumes), *options)
    with running_engine(folder / "engine", kubeconfig, *volumes_too) as engine:
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
        go.touch()
        client = Client(engine.url, engine.token, engine.ca_path)
        record = client.until(
            f"{BACKUPS}/{created['id']}",
            lambda record: record["status"] not in {"INITIALIZING", "IN_PROGRESS"},
        )
        volumes_told = client.ask("GET", path)
        hooks: list[dict[str, Any]] = client.ask("GET", path.replace("volumes", "hooks"))
        client.close()

    assert record["status"] == "SUCCESS", volumes_told
    assert [each["files"] for each in volumes_told] == [1, FILES]
    return hooks
