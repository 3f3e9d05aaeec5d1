"""An engine without a process around it: what ``app.serve`` composes, piece by piece."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx2

from backup_engine.archive.places import ArchivePlaces
from backup_engine.auth.gate import Gate
from backup_engine.auth.logins import Logins
from backup_engine.auth.passwords import Users, UsersFileError, parse_users_file
from backup_engine.auth.reviews import Reviews
from backup_engine.auth.sec_tokens import TokenFile
from backup_engine.auth.watched_file import WatchedFile
from backup_engine.capture.run import CaptureLimits
from backup_engine.cluster import ClusterConnection
from backup_engine.composition import Conduct, Engine, VolumeWork, build_engine
from backup_engine.product import Product
from backup_engine.records.backups import BackupRecords
from backup_engine.records.database import Database
from backup_engine.records.migrating import migrate
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.runs.claims import Lease
from backup_engine.runs.host_watch import WatchPace
from backup_engine.runs.lookout import LookoutRules
from backup_engine.runs.nightly import NightlyRules
from backup_engine.runs.restoring import RestoreRules
from backup_engine.runs.rules import CaptureRules
from backup_engine.runs.safekeeping import UNPROTECTED, Safekeeping
from backup_engine.runs.scanning import ScanRules

TOKEN = "0f8fad5b-d9cb-469f-a165-70867728950e"
BACKUPS = "/api/backup_and_restore/backups"
DEPLOYED = "/api/config/backup_and_restore/scheduled_backup_configurations"
STAGED = "/api/staged_config/backup_and_restore/scheduled_backup_configurations"
DEPLOY = "/api/staged_config/deploy_status"
Anything: TypeAlias = Any
PRODUCT = Product("1.2.3", "1.2.3.4")
PATIENCE_S = 100.0  # what is waited for comes at once, but for a machine that stalls
PACE = WatchPace(look_again_s=20, settle_s=0.01, after_trouble_s=0.05)


@dataclass
class LocalEngine:
    """The engine's parts, composed as ``app.serve`` does, without a process around them."""

    directory: Path
    database: Database
    cluster: ClusterConnection
    client: httpx2.AsyncClient
    parts: Engine
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Let all that runs beside the app work from now on."""
        self.tasks = [asyncio.create_task(_work(work)) for work in self.parts.background]

    async def stop(self) -> None:
        """End runner and watch, as a crash would, as far as the database can tell."""
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.tasks = []

    @property
    def archives(self) -> list[str]:
        directory = self.directory / "archives"
        return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

    async def send(self, method: str, path: str, **options: Anything) -> httpx2.Response:
        return await self.client.request(method, path, **options)

    async def create(self, name: str, **members: Anything) -> httpx2.Response:
        body = {"name": name, "configuration_id": 1, **members}
        return await self.send("POST", BACKUPS, json=body, headers={"backup_type": "CONFIG"})

    async def get(self, backup_id: int) -> dict[str, Any]:
        record: dict[str, Any] = (await self.send("GET", f"{BACKUPS}/{backup_id}")).json()
        return record

    async def stage(self, **members: Anything) -> dict[str, Any]:
        """Change the staged configuration."""
        answer: dict[str, Any] = (await self.send("POST", f"{STAGED}/1", json=members)).json()
        return answer

    async def deploy(self, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Deploy what is staged and wait until it is in force."""
        started = await self.send("POST", DEPLOY, json={})
        assert started.status_code == 200, started.text
        return await self.until_deployed(within_s)

    async def until_deployed(self, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until no deploy runs."""
        async with asyncio.timeout(within_s):
            while True:
                status: dict[str, Any] = (await self.send("GET", DEPLOY)).json()
                if status["status"] == "COMPLETE":
                    return status
                await asyncio.sleep(0.02)

    async def until(
        self, backup_id: int, status: str, within_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Wait for a status; ``gone`` is 404."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self.send("GET", f"{BACKUPS}/{backup_id}")
                record: dict[str, Any] = answer.json()
                if record.get("status", "gone") == status:
                    return record
                await asyncio.sleep(0.02)

    async def failure(self, backup_id: int) -> str:
        """Why a backup failed, as the engine recorded it; its log says so a moment later."""
        async with self.database.reading() as connection:
            stored = await BackupRecords(connection).find(backup_id)
        assert stored is not None
        return f"{stored.failure_reason}: {stored.failure_message}"


def _now() -> datetime:
    return datetime.now(UTC)


async def _work(run: Callable[[], Awaitable[None]]) -> None:
    await run()


@asynccontextmanager
async def local_engine(
    directory: Path,
    kubeconfig: Path,
    time_limit_s: float | None = None,
    nightly: NightlyRules | None = None,
    clock: Callable[[], datetime] = _now,
    users: str | None = None,
    database_url: str | None = None,
    lease: Lease | None = None,
    scan: ScanRules | None = None,
    volume_work: VolumeWork | None = None,
    restore_rules: RestoreRules | None = None,
    safekeeping: Safekeeping = UNPROTECTED,
) -> AsyncIterator[LocalEngine]:
    """Compose an engine on ``directory``; a second one stands for the first, restarted.

    With a ``database_url`` of PostgreSQL two of them are two replicas; None is SQLite.
    """
    tokens = directory / "tokens"
    tokens.write_text(f"{TOKEN} backup-bot\n")
    async with AsyncExitStack() as opened:
        database = Database.open(database_url or build_sqlite_url(directory / "engine.db"))
        opened.push_async_callback(database.close)
        await migrate(database)
        connection = ClusterConnection.from_kubeconfig(kubeconfig)
        cluster = await opened.enter_async_context(connection)
        archive_url = (directory / "archives").as_uri()
        places = ArchivePlaces(archive_url)
        token_file = TokenFile(tokens)
        await token_file.load()
        logins = None
        if users is not None:
            users_file = directory / "users"
            users_file.write_text(users)
            watched: WatchedFile[Users] = WatchedFile(
                users_file,
                "users file",
                lambda text: parse_users_file(text, users_file),
                UsersFileError,
                empty={},
            )
            await watched.load()
            logins = Logins(watched, database, clock)
        gate = Gate(token_file, Reviews(cluster), logins)

        async def tight(_: int) -> CaptureRules:
            return CaptureRules(time_limit_s or 0.0, CaptureLimits())

        read_rules = tight if time_limit_s is not None else None
        rules = nightly or NightlyRules()
        lookout = LookoutRules(0.05, scan or ScanRules(look_every_s=0.05), served_every_s=0.1)
        conduct = Conduct(
            clock,
            rules,
            read_rules,
            restore_rules or RestoreRules(),
            lease=lease or Lease(),
            host_pace=PACE,
            lookout=lookout,
            safekeeping=safekeeping,
            volume_work=volume_work,
        )
        parts = await build_engine(database, cluster, places, gate, PRODUCT, conduct)
        client = await opened.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(parts.app, raise_app_exceptions=False),
                base_url="https://engine.test",
                headers={"SEC": TOKEN, "Accept": "application/json"},
            )
        )
        engine = LocalEngine(directory, database, cluster, client, parts)
        opened.push_async_callback(engine.stop)
        yield engine
