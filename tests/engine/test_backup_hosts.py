"""BackupHosts become hosts: staged, deployed, narrowed, deleted (spec §6, §7, §14 no. 2)."""

import asyncio
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from backports.zstd import decompress
from sqlalchemy import update

from backup_engine.records.hosts import HostRecords
from backup_engine.records.tables import BACKUPS as BACKUP_ROWS
from backup_engine.runs.deploying import build_deployed_host
from listserver import Fault, Listing, ListServer, a_config_map
from localengine import BACKUPS, STAGED, LocalEngine, local_engine

HOSTS = "/api/config/deployment/hosts"
STAGED_HOSTS = "/api/staged_config/deployment/hosts"
ENGINE_HOSTS = "/api/backup_engine/hosts"
OBJECTS = "/apis/backup-operator.io/v1/backuphosts"
DATA: Mapping[str, Any] = {
    "type": "Data",
    "volumes": [{"namespace": "shop", "claimNames": ["data-0"]}],
}


class Objects:
    """The BackupHosts of the small API server, which tells its watches of each change."""

    def __init__(self, source: ListServer) -> None:
        self._source = source
        self._listing = Listing(
            "backup-operator.io", "v1", "backuphosts", "BackupHost", is_namespaced=False
        )
        source.add(self._listing)

    def apply(self, name: str, spec: Mapping[str, Any], generation: int = 1) -> None:
        self.delete(name)
        metadata = {"name": name, "uid": f"uid-{name}", "generation": generation}
        self._listing.objects.append({"metadata": metadata, "spec": spec})
        self._source.tell()

    def delete(self, name: str) -> None:
        others = [each for each in self._listing.objects if each["metadata"]["name"] != name]
        self._listing.objects[:] = others
        self._source.tell()


@pytest.fixture
def objects(source: ListServer) -> Objects:
    return Objects(source)


async def hosts(engine: LocalEngine, path: str = ENGINE_HOSTS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await engine.send("GET", path)).json()
    return found


async def until(
    engine: LocalEngine, holds: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """Wait until something holds of the hosts as the engine tells them in full."""
    async with asyncio.timeout(100):
        while True:
            found = await hosts(engine)
            if holds(found):
                return found
            await asyncio.sleep(0.02)


async def staged(engine: LocalEngine, objects: Objects, name: str = "shop") -> int:
    """Apply a data host and return its id once it is staged."""
    objects.apply(name, DATA)
    found = await until(engine, lambda hosts: any(host["hostname"] == name for host in hosts))
    return int(next(host["id"] for host in found if host["hostname"] == name))


async def activate(engine: LocalEngine, host_id: int) -> None:
    """Let a data host be one that works, which it is not without something that backs it up."""
    async with engine.database.writing() as connection:
        records = HostRecords(connection)
        host = await records.find(host_id)
        assert host is not None
        await records.write(build_deployed_host(host, host.staged, None))


def pending(host: Mapping[str, Any]) -> bool:
    return bool(host["is_deploy_pending"])


async def refused(engine: LocalEngine, backup_type: str, host_id: int, name: str = "x") -> int:
    body = {"name": name, "configuration_id": 1, "host_id": host_id}
    answer = await engine.send("POST", BACKUPS, json=body, headers={"backup_type": backup_type})
    return int(answer.json().get("code", 0))


def archived(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the objects of an archive; the lines of its index have no metadata."""
    with tarfile.open(record["content_file_path"]) as archive:
        parts = [name for name in archive.getnames() if name.endswith(".ndjson.zst")]
        streams = [archive.extractfile(name) for name in sorted(parts)]
        lines = [
            line
            for stream in streams
            if stream is not None
            for line in decompress(stream.read()).split(b"\n")
            if line
        ]
    return [entry for entry in map(json.loads, lines) if "metadata" in entry]


async def test_a_new_host_is_staged_and_not_yet_deployed(
    local: LocalEngine, objects: Objects
) -> None:
    host_id = await staged(local, objects)

    console, host = await hosts(local, STAGED_HOSTS)
    assert (console["id"], console["status"]) == (1, "Active")
    assert (host["id"], host["hostname"], host["status"]) == (host_id, "shop", "New")
    assert "dataNode" in host["components"]
    assert await hosts(local, HOSTS) == [console]
    assert (await local.send("GET", f"{HOSTS}/{host_id}")).json()["code"] == 1002
    assert (await local.send("GET", f"{STAGED_HOSTS}/{host_id}/tunnels")).json() == []
    assert (await local.send("GET", f"{HOSTS}/{host_id}/tunnels")).json()["code"] == 1009
    assert await refused(local, "DATA", host_id) == 1010
    refusal = (await local.create("console")).json()
    assert refusal["code"] == 1011
    assert f"host {host_id} (shop)" in refusal["message"]
    told = (await hosts(local))[1]
    assert (told["staged_generation"], told["deployed_generation"]) == (1, None)
    assert (told["resource_uid"], told["staged_status"]) == ("uid-shop", "New")


async def test_a_host_of_volumes_does_not_pretend_to_work(
    local: LocalEngine, objects: Objects
) -> None:
    host_id = await staged(local, objects)

    status = await local.deploy()

    assert [(host["ip"], host["status"]) for host in status["hosts"]] == [("shop", "ERROR")]
    told = (await hosts(local))[1]
    assert (told["reason"], told["deployed_status"]) == ("NoExecutor", "ADD_FAILED_CHECK_LOGS")
    assert not told["is_deploy_pending"]
    assert await hosts(local, HOSTS) == await hosts(local, STAGED_HOSTS)
    assert await refused(local, "DATA", host_id) == 1010
    assert (await local.create("console")).status_code == 201
    entry = {"host_id": host_id, "event_data_backup_enabled": True}
    assert (await local.stage(data_backup_host_configuration=[entry]))["code"] == 1009


async def test_a_deploy_is_about_what_changed_unless_it_is_full(
    local: LocalEngine, objects: Objects
) -> None:
    await staged(local, objects)
    assert [host["ip"] for host in (await local.deploy())["hosts"]] == ["shop"]
    refusal = (await local.send("POST", "/api/staged_config/deploy_status", json={})).json()
    assert refusal["code"] == 1004

    await local.send("POST", "/api/staged_config/deploy_status", json={"type": "FULL"})

    told = (await local.until_deployed())["hosts"]
    assert [(host["ip"], host["status"]) for host in told] == [
        ("console", "SUCCESS"),
        ("shop", "ERROR"),
    ]


async def test_the_hosts_of_a_backup_are_checked_in_order(
    local: LocalEngine, objects: Objects
) -> None:
    host_id = await staged(local, objects)
    await activate(local, host_id)

    assert await refused(local, "CONFIG", host_id) == 1012
    assert await refused(local, "DATA", 1) == 1013
    assert await refused(local, "DATA", host_id) == 1014
    assert await refused(local, "DATA", 99) == 1009


async def test_hosts_of_a_configuration_have_to_exist_to_work_and_to_store_data(
    local: LocalEngine, objects: Objects
) -> None:
    host_id = await staged(local, objects)

    async def stage(entry_id: int) -> Any:  # noqa: ANN401 - a code, or none
        entry = {"host_id": entry_id, "event_data_backup_enabled": True}
        return (await local.stage(data_backup_host_configuration=[entry])).get("code")

    assert [await stage(each) for each in (99, host_id, 1)] == [1002, 1009, 1010]
    await activate(local, host_id)
    assert await stage(host_id) is None
    assert (await local.send("GET", f"{STAGED}/1")).json()["data_backup_host_configuration"] == [
        {
            "host_id": host_id,
            "event_data_backup_enabled": True,
            "flow_data_backup_enabled": False,
        }
    ]


async def test_the_deployed_scope_of_the_console_is_what_a_capture_takes(
    local: LocalEngine, objects: Objects, source: ListServer
) -> None:
    source.add(
        Listing("", "v1", "pods", "Pod", [a_config_map("web", "shop"), a_config_map("db", "bank")])
    )
    scope = {"namespaces": {"include": ["shop"]}, "kinds": {"include": ["pods"]}}
    objects.apply("everything", {"type": "Console", "scope": scope})
    (told,) = await until(local, lambda hosts: pending(hosts[0]))
    assert (told["id"], told["hostname"], told["resource_name"]) == (1, "console", "everything")

    await local.deploy()
    narrow = await local.until((await local.create("narrow")).json()["id"], "SUCCESS")
    objects.delete("everything")
    await until(local, lambda hosts: pending(hosts[0]))
    await local.deploy()
    whole = await local.until((await local.create("whole")).json()["id"], "SUCCESS")

    assert [each["metadata"]["name"] for each in archived(narrow)] == ["web"]
    names = {each["metadata"]["name"] for each in archived(whole)}
    assert {"web", "db", "s1"} <= names


async def test_a_misspelt_kind_is_told_by_the_deploy_and_fails_the_backup(
    local: LocalEngine, objects: Objects, source: ListServer
) -> None:
    source.add(Listing("", "v1", "pods", "Pod", [a_config_map("web", "shop")]))

    def console(*kinds: str) -> dict[str, Any]:
        return {"type": "Console", "scope": {"kinds": {"include": list(kinds)}}}

    objects.apply("console-host", console("pods", "deploymnts"))
    await until(local, lambda hosts: pending(hosts[0]))
    await local.deploy()
    (told,) = await hosts(local)
    failed = await local.until((await local.create("misspelt")).json()["id"], "FAILED")
    objects.apply("console-host", console("pods"), generation=2)
    await until(local, lambda hosts: pending(hosts[0]))
    await local.deploy()
    (mended,) = await hosts(local)

    assert (told["deployed_status"], told["reason"]) == ("Active", "UnknownKind")
    assert told["message"].startswith("kinds.include: 'deploymnts' names no kind")
    assert "'pods'" not in told["message"]
    assert failed["status"] == "FAILED"
    assert mended["reason"] is None
    await local.until((await local.create("mended")).json()["id"], "SUCCESS")


async def test_a_deleted_host_is_gone_after_a_deploy(local: LocalEngine, objects: Objects) -> None:
    host_id = await staged(local, objects)
    await activate(local, host_id)
    objects.delete("shop")
    await until(local, lambda hosts: pending(hosts[1]))

    assert (await local.send("GET", f"{STAGED_HOSTS}/{host_id}")).json()["status"] == "Deleting"
    assert (await local.send("GET", f"{HOSTS}/{host_id}")).json()["status"] == "Active"
    assert (await local.create("console")).json()["code"] == 1011
    await local.deploy()

    assert [host["id"] for host in await hosts(local, STAGED_HOSTS)] == [1]
    assert [host["id"] for host in await hosts(local, HOSTS)] == [1]
    assert await staged(local, objects) > host_id  # an id is never given twice


async def test_a_deleted_host_that_has_backups_is_shown_as_deleted(
    local: LocalEngine, objects: Objects
) -> None:
    host_id = await staged(local, objects)
    await activate(local, host_id)
    backup_id = (await local.create("of-it")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    async with local.database.writing() as connection:
        await connection.execute(
            update(BACKUP_ROWS).where(BACKUP_ROWS.c.id == backup_id).values(host_id=host_id)
        )
    objects.delete("shop")
    await until(local, lambda hosts: pending(hosts[1]))
    await local.deploy()

    for path in (HOSTS, STAGED_HOSTS):
        assert (await hosts(local, path))[1]["status"] == "Deleted"
    assert (await local.get(backup_id))["host_id"] == host_id
    assert await refused(local, "DATA", host_id) == 1010
    assert (await local.create("next")).status_code == 201
    servers = (await local.send("GET", "/api/system/servers")).json()
    assert [server["managed_host_id"] for server in servers] == [1]


async def test_without_the_right_to_look_hosts_stay_as_they_were(
    local: LocalEngine, objects: Objects, source: ListServer, caplog: pytest.LogCaptureFixture
) -> None:
    await staged(local, objects)
    source.fail(OBJECTS, Fault(403, "backuphosts is forbidden", times=10**9))
    objects.delete("shop")

    async with asyncio.timeout(100):
        while True:
            if "grant the engine's ServiceAccount" in caplog.text:
                break
            await asyncio.sleep(0.02)

    assert [host["hostname"] for host in await hosts(local)] == ["console", "shop"]
    assert (await local.send("GET", "/readyz")).status_code == 200
    assert caplog.text.count("hosts stay as they were last seen") == 1


async def test_a_restarted_engine_knows_its_hosts_and_their_ids(
    tmp_path: Path, local: LocalEngine, objects: Objects, source: ListServer, database_url: str
) -> None:
    host_id = await staged(local, objects)
    await local.stop()
    objects.delete("shop")
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(tmp_path, kubeconfig, database_url=database_url) as restarted:
        assert [host["id"] for host in await hosts(restarted, STAGED_HOSTS)] == [1, host_id]
        restarted.start()
        await until(restarted, lambda hosts: len(hosts) == 1)
