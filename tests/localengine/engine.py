"""An engine without a process around it: what ``app.serve`` composes, piece by piece."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx2

from backup_engine.app import build_app
from backup_engine.archive.store import ArchiveStore
from backup_engine.auth.gate import Gate
from backup_engine.auth.reviews import Reviews
from backup_engine.auth.sec_tokens import TokenFile
from backup_engine.backups import Backups
from backup_engine.cluster import ClusterConnection
from backup_engine.product import Product, build_console
from backup_engine.records.database import Database
from backup_engine.records.sqlite import build_sqlite_url
from backup_engine.runs.capturing import Capturing
from backup_engine.runs.runner import Runner
from backup_engine.runs.watch import ArchiveWatch

TOKEN = "0f8fad5b-d9cb-469f-a165-70867728950e"
BACKUPS = "/api/backup_and_restore/backups"
Anything: TypeAlias = Any
PRODUCT = Product("1.2.3", "1.2.3.4")


@dataclass
class LocalEngine:
    """The engine's parts, composed as ``app.serve`` does, without a process around them."""

    directory: Path
    database: Database
    cluster: ClusterConnection
    client: httpx2.AsyncClient
    store: ArchiveStore
    runner: Runner
    watch: ArchiveWatch
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Let the runner and the watch work from now on."""
        self.tasks = [asyncio.create_task(work()) for work in (self.runner.run, self.watch.run)]

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

    async def until(self, backup_id: int, status: str, within_s: float = 10) -> dict[str, Any]:
        """Wait for a status; ``gone`` is 404."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self.send("GET", f"{BACKUPS}/{backup_id}")
                record: dict[str, Any] = answer.json()
                if record.get("status", "gone") == status:
                    return record
                await asyncio.sleep(0.02)


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def local_engine(
    directory: Path, kubeconfig: Path, time_limit_s: float = 60.0
) -> AsyncIterator[LocalEngine]:
    """Compose an engine on ``directory``; a second one stands for the first, restarted."""
    tokens = directory / "tokens"
    tokens.write_text(f"{TOKEN} backup-bot\n")
    async with AsyncExitStack() as opened:
        database = Database.open(build_sqlite_url(directory / "engine.db"))
        opened.push_async_callback(database.close)
        await database.migrate()
        connection = ClusterConnection.from_kubeconfig(kubeconfig)
        cluster = await opened.enter_async_context(connection)
        archive_url = (directory / "archives").as_uri()
        store = ArchiveStore.open(archive_url)
        token_file = TokenFile(tokens)
        await token_file.load()
        hosts = (build_console(PRODUCT),)
        capturing = Capturing(database, cluster, store, hosts, PRODUCT, _now, time_limit_s)
        runner = Runner(database, store, capturing)
        backups = Backups(database, hosts, PRODUCT, _now, runner.wake)
        app = build_app(database, Gate(token_file, Reviews(cluster)), backups, hosts, PRODUCT)
        client = await opened.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
                base_url="https://engine.test",
                headers={"SEC": TOKEN, "Accept": "application/json"},
            )
        )
        watch = ArchiveWatch(database, lambda: ArchiveStore.open(archive_url), interval_s=0.05)
        engine = LocalEngine(directory, database, cluster, client, store, runner, watch)
        opened.push_async_callback(engine.stop)
        yield engine
