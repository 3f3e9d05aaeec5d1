"""The engine as a process: start, stop, kill -9, a second one on the same data."""

import asyncio
import base64
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from backup_api.backups import BackupType, CreateBackup, RecordStatus
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_engine.__main__ import main
from backup_engine.auth.passwords import hash_password
from backup_engine.serving import GRACE_S
from fixtures.engine import EngineProcess, running_engine
from fixtures.postgresql import LOCKED, PostgresServer
from fixtures.s3_server import S3Server
from listserver import ListServer
from localengine import TOKEN

pytest_plugins = ["fixtures.s3"]
pytestmark = pytest.mark.process

HELD = "/api/v1/secrets"
PASSWORD = "correct horse battery staple"
WRONG = "a-token-that-nobody-knows"
IN_URL = "pg-password-in-the-url"
IN_FILE = "pg-password-in-a-file"


@pytest.fixture
async def process(tmp_path: Path, source: ListServer) -> AsyncIterator[EngineProcess]:
    with running_engine(tmp_path / "engine", source.kubeconfig(tmp_path)) as engine:
        yield engine


def client_of(engine: EngineProcess) -> BackupApiClient:
    options = ClientOptions(engine.url, SecToken(engine.token), Trust(ca_pem=engine.ca_pem))
    return BackupApiClient(options)


async def until(client: BackupApiClient, backup_id: int, status: RecordStatus) -> Any:  # noqa: ANN401
    async with asyncio.timeout(100):
        while (record := await client.get_backup(backup_id)).status is not status:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return record


def refusal(arguments: list[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run ``serve`` with arguments that it must not accept; exit code and stderr."""
    command = [sys.executable, "-m", "backup_engine", "serve", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


async def test_our_own_client_speaks_to_it_over_tls(process: EngineProcess) -> None:
    async with client_of(process) as client:
        about = await client.about()
        assert about.external_version
        (host,) = await client.list_hosts()
        assert host.is_console
        body = CreateBackup(name="first", configuration_id=1)
        created = await client.create_backup(body, BackupType.CONFIG)
        assert created.status is RecordStatus.INITIALIZING
        await until(client, created.id, RecordStatus.SUCCESS)
    assert process.token not in process.log
    assert len(list(process.archives.glob("*.tar"))) == 1


async def test_kill_9_in_mid_capture_and_the_restart_finishes_the_same_backup(
    process: EngineProcess, source: ListServer
) -> None:
    source.hold(HELD)
    async with client_of(process) as client:
        body = CreateBackup(name="first", configuration_id=1)
        created = await client.create_backup(body, BackupType.CONFIG)
        await asyncio.wait_for(source.reached.wait(), 100)
    token, ca_pem = process.token, process.ca_pem
    process.kill()
    source.held[HELD].set()
    process.start()

    assert (process.token, process.ca_pem) == (token, ca_pem)
    async with client_of(process) as client:
        record = await until(client, created.id, RecordStatus.SUCCESS)
        assert record.time_initiated == created.time_initiated
        assert [each.id async for each in client.list_backups()] == [created.id]
    assert len(list(process.archives.iterdir())) == 1


async def test_sigterm_lets_a_running_capture_be_resumed_by_the_next_start(
    process: EngineProcess, source: ListServer
) -> None:
    source.hold(HELD)
    async with client_of(process) as client:
        body = CreateBackup(name="first", configuration_id=1)
        created = await client.create_backup(body, BackupType.CONFIG)
        await asyncio.wait_for(source.reached.wait(), 100)
    began = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - began < GRACE_S
    assert list(process.archives.glob("*.tar")) == []
    source.held[HELD].set()
    process.start()
    async with client_of(process) as client:
        await until(client, created.id, RecordStatus.SUCCESS)


async def test_a_connection_at_rest_that_nobody_reads_from_does_not_hold_the_end_up(
    process: EngineProcess,
) -> None:
    context = ssl.create_default_context(cadata=process.ca_pem)
    address = urlsplit(process.url)

    def connect() -> ssl.SSLSocket:
        plain = socket.create_connection((address.hostname, address.port))
        return context.wrap_socket(plain, server_hostname=address.hostname)

    with await asyncio.to_thread(connect) as resting:
        resting.sendall(b"GET /healthz HTTP/1.1\r\nHost: engine\r\n\r\n")
        assert (await asyncio.to_thread(resting.recv, 1000)).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert process.stop() == 0
    assert time.monotonic() - began < GRACE_S


async def test_a_second_process_on_the_same_data_or_port_is_refused_and_sigint_ends_the_first(
    process: EngineProcess, tmp_path: Path
) -> None:
    address = process.url.removeprefix("https://")
    for listen, data_dir, problem in (
        ("127.0.0.1:0", process.data_dir, f"in use by another engine, process {process.pid}"),
        (address, tmp_path / "other", f"cannot listen on {address}"),
    ):
        code, said = await asyncio.to_thread(
            refusal,
            [
                *("--listen", listen, "--data-dir", str(data_dir), "--plain-http"),
                *("--kubeconfig", str(process.kubeconfig)),
            ],
        )
        assert code == 3
        assert problem in said

    assert process.process is not None
    process.process.send_signal(signal.SIGINT)
    assert process.process.wait(60) == 0
    process.process = None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--listen", "0.0.0.0:0", "--plain-http"), "--plain-http would send tokens"),
        (("--listen", "127.0.0.1:0"), "choose one of"),
    ],
)
def test_wrong_usage_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], problem: str
) -> None:
    assert main(["serve", "--data-dir", str(tmp_path / "d"), *options]) == 2
    said = capsys.readouterr()
    assert problem in said.err
    assert said.out == ""


def test_trouble_that_can_be_mended_exits_with_3(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    there = ("--data-dir", str(tmp_path / "d"), "--plain-http", "--kubeconfig", missing)
    code, said = refusal(["--listen", "127.0.0.1:0", *there])
    assert code == 3
    assert missing in said


async def test_no_secret_is_in_the_whole_log_of_an_engine_even_at_debug(
    tmp_path: Path, source: ListServer, postgres: PostgresServer, s3_server: S3Server
) -> None:
    """Tokens, passwords, cookies, keys: of callers, of the database, of the bucket, of TLS."""
    users, buckets = tmp_path / "users", tmp_path / "buckets"
    users.write_text(f"eva:{hash_password(PASSWORD)}\n")
    buckets.write_text(
        f"[default]\naws_access_key_id = {s3_server.key_id}\n"
        f"aws_secret_access_key = {s3_server.secret}\n"
    )
    s3_server.make_bucket("secretive")
    database = postgres.url(postgres.make_database(), f"postgres:{IN_URL}")
    options = (
        *("--log-level", "debug", "--users-file", str(users), "--database-url", database),
        *("--archive-url", "s3://secretive/archives", "--archive-credentials-file", str(buckets)),
    )
    environment = {k: v for k, v in s3_server.environment.items() if "KEY" not in k}
    kubeconfig = source.kubeconfig(tmp_path)
    secrets = {PASSWORD, WRONG, base64.b64encode(f"eva:{PASSWORD}".encode()).decode()}
    secrets |= {IN_URL, s3_server.secret}
    with running_engine(
        tmp_path / "engine", kubeconfig, *options, environment=environment
    ) as engine:
        secrets.add(engine.token)
        async with client_of(engine) as client:
            created = await client.create_backup(
                CreateBackup(name="first", configuration_id=1), BackupType.CONFIG
            )
            await until(client, created.id, RecordStatus.SUCCESS)
        async with httpx2.AsyncClient(base_url=engine.url, verify=False, timeout=60) as client:
            place = "/api/backup_and_restore/backups"
            logged_in = await client.get(place, auth=("eva", PASSWORD))
            assert logged_in.status_code == 200
            cookie = logged_in.cookies["SEC"]
            secrets.add(cookie)
            assert (await client.delete(f"{place}/{created.id}")).status_code == 202  # by cookie
            client.cookies.clear()
            for headers in (
                {"SEC": WRONG},
                {"Authorization": f"Bearer {WRONG}"},
                {"Authorization": f"Basic {WRONG}"},
                {"SEC": engine.token, "Version": "x"},
                {"SEC": engine.token, "backup_type": "nonsense"},
            ):
                assert (await client.post(place, headers=headers, json={})).is_error
        key = (engine.data_dir / "tls" / "ca.key").read_text().splitlines()[1]
        secrets.add(key)
        log = engine.log
    assert "status=201" in log
    assert "status=401" in log
    assert "DEBUG" in log
    assert [secret for secret in secrets if secret in log] == []


@pytest.mark.parametrize("way", ["URL", "file"])
async def test_a_password_that_the_database_refuses_is_not_shown(
    tmp_path: Path, source: ListServer, postgres: PostgresServer, way: str
) -> None:
    file = tmp_path / "password"
    file.write_text(IN_FILE)
    user = f"{LOCKED}:{IN_URL}" if way == "URL" else LOCKED
    options = [
        *("--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "d"), "--plain-http"),
        *("--kubeconfig", str(source.kubeconfig(tmp_path)), "--log-level", "debug"),
        *("--database-url", postgres.url("postgres", user)),
        *(("--database-password-file", str(file)) if way == "file" else ()),
    ]
    code, said = await asyncio.to_thread(refusal, options)
    assert code == 3
    assert "cannot be brought up to date" in said
    assert LOCKED in said
    assert IN_URL not in said
    assert IN_FILE not in said


async def test_an_engine_that_waits_for_its_database_stops_when_told_to(
    tmp_path: Path, source: ListServer
) -> None:
    absent = "postgresql+asyncpg://me@127.0.0.1:1/engine"
    options = ("--plain-http", "--database-url", absent)
    engine = EngineProcess(tmp_path / "d", source.kubeconfig(tmp_path), options)
    with engine.launch() as waiting:
        while "asking again" not in engine.log:
            assert waiting.poll() is None
            await asyncio.sleep(0.05)
        waiting.terminate()
        assert await asyncio.to_thread(waiting.wait, 30) == 0
    assert "Traceback" not in engine.log


async def test_given_tokens_and_plain_http_on_loopback(tmp_path: Path, source: ListServer) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN} the bot\n")
    engine = EngineProcess(
        tmp_path / "engine",
        source.kubeconfig(tmp_path),
        ("--plain-http",),
        {"BACKUP_ENGINE_TOKEN_FILE": str(tokens)},
    )
    try:
        engine.start()
        assert engine.url.startswith("http://127.0.0.1:")
        async with httpx2.AsyncClient(base_url=engine.url, timeout=60) as client:
            answer = await client.get("/api/system/about", headers={"SEC": TOKEN})
            assert answer.status_code == 200
            for probe in ("/healthz", "/readyz"):
                assert (await client.get(probe)).status_code == 200
        assert not (engine.data_dir / "token").exists()
    finally:
        engine.kill()
