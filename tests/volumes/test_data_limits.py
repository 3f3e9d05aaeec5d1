"""What the deployed configuration allows a DATA backup: how long, how many at once, how hard."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backup_api.configurations import BackupConfigurationRecord, BackupPriority
from backup_api.hosts import HostStatus
from backup_engine.product import CONFIGURATION_ID
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.hosts import StoredHost
from backup_engine.runs.volume_rules import build_volume_rules
from backup_engine.volumes.kopia import Load
from fixtures.volumes import HOST, VolumeScene, build_work, open_scene
from listserver import ListServer
from localengine import local_engine

READING = "snapshot create"
LIMIT_MS = 12_000  # no client can set less than a minute


@pytest.fixture
async def slow_shop(tmp_path: Path, source: ListServer, kopia: str) -> AsyncIterator[VolumeScene]:
    """A shop of two volumes, one read after the other, whose kopia never ends with one."""
    slow = tmp_path / "slow-kopia"
    sleep = f'exec {sys.executable} -c "import time; time.sleep(600)" "$@"'
    slow.write_text(f'#!/bin/sh\ncase "$*" in *"{READING}"*) {sleep};; esac\nexec {kopia} "$@"\n')
    slow.chmod(0o755)
    work = build_work(tmp_path, kopia, reader=str(slow))
    volumes = [{"namespace": HOST, "claimNames": ["data", "more"]}]
    async with local_engine(tmp_path, source.kubeconfig(tmp_path), volume_work=work) as engine:
        scene = await open_scene(engine, source, work, volumes)
        await engine.stage(data_backup_priority="LOW")
        await engine.deploy()
        async with engine.database.writing() as connection:
            records = ConfigurationRecords(connection)
            deployed = (await records.get(CONFIGURATION_ID)).deployed
            short = deployed.model_copy(update={"data_backup_time_limit": LIMIT_MS})
            await records.stage(short)
            await records.deploy(short, 0)
        yield scene


async def test_a_backup_that_takes_too_long_fails_and_nothing_reads_its_volumes_any_more(
    slow_shop: VolumeScene,
) -> None:
    for claim in ("data", "more"):
        slow_shop.fill(claim, {"a": "1"})

    record = await slow_shop.create("endless")
    async with asyncio.timeout(100):
        while not await slow_shop.is_at_work(READING):  # noqa: ASYNC110 - a process tells nobody
            await asyncio.sleep(0.05)
    await slow_shop.engine.until(record["id"], "FAILED", within_s=100)

    reason = await slow_shop.engine.failure(record["id"])
    assert reason == "TimeLimitExceeded: not finished within 12 s"
    told = [each["status"] for each in await slow_shop.volumes(record["id"])]
    assert told == ["IN_PROGRESS", "PENDING"], "LOW: the second waits for the first"
    assert not await slow_shop.is_at_work(READING)
    assert await (await slow_shop.repository()).list_snapshots() == ()


@pytest.mark.parametrize(
    ("priority", "abreast", "load"),
    [
        (BackupPriority.LOW, 1, Load(parallel=1, niceness=15)),
        (BackupPriority.MEDIUM, 2, Load(parallel=2, niceness=5)),
        (BackupPriority.HIGH, 4, Load()),
    ],
)
def test_priority_governs_how_many_volumes_are_read_at_once_and_how_hard(
    priority: BackupPriority, abreast: int, load: Load
) -> None:
    deployed = BackupConfigurationRecord(
        configuration_id=1, data_backup_priority=priority, data_backup_time_limit=60_000
    )
    host = StoredHost(2, "uid", HOST, None, None, HostStatus.ACTIVE)

    rules = build_volume_rules(deployed, host)

    assert (rules.fan_out.abreast, rules.fan_out.load) == (abreast, load)
    assert rules.time_limit_s == 60
