"""The engine as started with keys: what it stores is encrypted, signed, and judged with them."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from backup_api.backups import BackupRecord, BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from fixtures.engine import EngineProcess, running_engine
from listserver import ListServer

pytestmark = pytest.mark.process


def archive(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backup_engine", "archive", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def back_up(engine: EngineProcess) -> BackupRecord:
    options = ClientOptions(engine.url, SecToken(engine.token), Trust(engine.ca_pem))
    running = {RecordStatus.INITIALIZING, RecordStatus.IN_PROGRESS}
    async with BackupApiClient(options) as client, asyncio.timeout(20):
        record = await client.create_backup(
            CreateBackup(name="kept", configuration_id=1), BackupType.CONFIG
        )
        while record.status in running:
            await asyncio.sleep(0.05)
            record = await client.get_backup(record.id)
    return record


async def test_with_recipients_an_archive_is_encrypted_signed_and_valid(
    tmp_path: Path, source: ListServer
) -> None:
    identity = tmp_path / "identity.txt"
    recipient = archive("keygen", "--output", identity).stdout.strip()
    options = ("--recipient", recipient, "--identity-file", str(identity), "--require-signature")

    with running_engine(tmp_path / "engine", source.kubeconfig(tmp_path), *options) as engine:
        record = await back_up(engine)
        assert "AGE-SECRET-KEY" not in engine.log

    assert (record.status, record.is_valid) == (RecordStatus.SUCCESS, True)
    (stored,) = engine.archives.glob("*.tar")
    truststore = engine.data_dir / "signing" / "truststore"
    signed = ("--truststore", truststore, "--require-signature")
    assert archive("verify", *signed, stored).returncode == 0  # no private key
    assert archive("verify", *signed, "--identity", identity, stored).returncode == 0
    assert archive("extract", "--identity", identity, stored).stdout.count("\n") > 0
    refused = archive("extract", stored)
    assert (refused.returncode, refused.stdout) == (3, "")


async def test_an_archive_of_an_engine_without_signing_has_no_signature(
    tmp_path: Path, source: ListServer
) -> None:
    with running_engine(tmp_path / "engine", source.kubeconfig(tmp_path), "--no-signing") as engine:
        record = await back_up(engine)

    assert record.is_valid
    (stored,) = engine.archives.glob("*.tar")
    (empty := tmp_path / "trust").mkdir()
    assert archive("verify", stored).returncode == 0
    assert archive("verify", "--truststore", empty, "--require-signature", stored).returncode == 3
    assert not (engine.data_dir / "signing").exists()
