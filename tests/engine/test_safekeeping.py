"""The engine as started with keys: what it stores is encrypted, signed, and judged with them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_api.backups import BackupRecord, BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_engine.__main__ import main
from backup_engine.archive.signing_directory import SigningDirectory
from fixtures.engine import EngineProcess, running_engine
from listserver import ListServer

pytestmark = pytest.mark.process


@dataclass(frozen=True, slots=True)
class Archive:
    """``backup_engine archive`` in this process, for each process of its own costs seconds."""

    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *arguments: object) -> tuple[int, str]:
        """Run one subcommand; exit code and what it wrote to stdout."""
        self.capsys.readouterr()
        code = await asyncio.to_thread(main, ["archive", *map(str, arguments)])
        return code, self.capsys.readouterr().out


@pytest.fixture
def archive(capsys: pytest.CaptureFixture[str]) -> Archive:
    return Archive(capsys)


async def back_up(engine: EngineProcess) -> BackupRecord:
    options = ClientOptions(engine.url, SecToken(engine.token), Trust(engine.ca_pem))
    running = {RecordStatus.INITIALIZING, RecordStatus.IN_PROGRESS}
    async with BackupApiClient(options) as client, asyncio.timeout(100):
        record = await client.create_backup(
            CreateBackup(name="kept", configuration_id=1), BackupType.CONFIG
        )
        while record.status in running:
            await asyncio.sleep(0.05)
            record = await client.get_backup(record.id)
    return record


async def test_with_recipients_an_archive_is_encrypted_signed_and_valid(
    tmp_path: Path, source: ListServer, archive: Archive
) -> None:
    identity = tmp_path / "identity.txt"
    recipient = (await archive("keygen", "--output", identity))[1].strip()
    options = ("--recipient", recipient, "--identity-file", str(identity), "--require-signature")

    with running_engine(tmp_path / "engine", source.kubeconfig(tmp_path), *options) as engine:
        record = await back_up(engine)
        assert "AGE-SECRET-KEY" not in engine.log

    assert (record.status, record.is_valid) == (RecordStatus.SUCCESS, True)
    (stored,) = engine.archives.glob("*.tar")
    truststore = engine.data_dir / "signing" / "truststore"
    signed = ("--truststore", truststore, "--require-signature")
    assert (await archive("verify", *signed, stored))[0] == 0  # no private key
    assert (await archive("verify", *signed, "--identity", identity, stored))[0] == 0
    assert (await archive("extract", "--identity", identity, stored))[1].count("\n") > 0
    assert await archive("extract", stored) == (3, "")


async def test_an_archive_of_an_engine_without_signing_has_no_signature(
    tmp_path: Path, source: ListServer, archive: Archive
) -> None:
    with running_engine(tmp_path / "engine", source.kubeconfig(tmp_path), "--no-signing") as engine:
        record = await back_up(engine)

    assert record.is_valid
    (stored,) = engine.archives.glob("*.tar")
    others = SigningDirectory(tmp_path / "others")
    others.ensure_signer(datetime.now(UTC))
    assert (await archive("verify", stored))[0] == 0
    strict = ("--truststore", others.truststore, "--require-signature")
    assert (await archive("verify", *strict, stored))[0] == 3
    assert not (engine.data_dir / "signing").exists()
