"""The two servers behind one face: what the suite needs beyond the API itself."""

import asyncio
import itertools
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from appliance.server import FakeAppliance
from contract.replies import RawClient, Reply
from fixtures.cluster import Cluster, run_kubectl
from fixtures.engine import EngineProcess

BACKUPS = "/backup_and_restore/backups"
RESTORES = "/backup_and_restore/restores"
SCHEDULED = "/config/backup_and_restore/scheduled_backup_configurations"
STAGED_SCHEDULED = "/staged_config/backup_and_restore/scheduled_backup_configurations"
HOSTS = "/config/deployment/hosts"
STAGED_HOSTS = "/staged_config/deployment/hosts"
SERVERS = "/system/servers"
DEPLOY = "/staged_config/deploy_status"
CONFIG = {"backup_type": "CONFIG"}

POPULATION: tuple[tuple[str, str | None], ...] = (
    ("a", None),
    ("b", "50% off"),
    ("c", "under_score"),
    ("d", 'quote " and back\\slash'),
    ("E", "UPPER Case"),
)
"""Endings of the names, and descriptions, of the records that list tests look at; by id."""

SETTLED_WITHIN_S = 100.0

HELD = "contract-held"
_HELD_OBJECT = ("poddisruptionbudget", HELD)
_PATCH = ("--type=merge", "--patch")

_SERIAL = itertools.count(1)


def unique_name() -> str:
    """A name that no other test uses, for the engine outlives a test."""
    return f"t{next(_SERIAL)}-{uuid.uuid4().hex[:8]}"


class Server(Protocol):
    """One server of the API under test."""

    @property
    def client(self) -> RawClient:
        """Sends as an admin."""
        ...

    @property
    def console_id(self) -> int:
        """Id of the Console."""
        ...

    @property
    def console_hostname(self) -> str:
        """Host name of the Console."""
        ...

    @property
    def no_data_host_id(self) -> int:
        """Id of a host that stores no event data."""
        ...

    @property
    def archive_pattern(self) -> re.Pattern[str]:
        """What ``content_file_path`` looks like (spec §10)."""
        ...

    async def settle(self) -> None:
        """Return when no backup runs any more."""
        ...

    async def populate(self) -> str:
        """Make sure the records of POPULATION exist and return what their names begin with."""
        ...

    async def powerless(self) -> Mapping[str, str]:
        """Headers of a caller who is known but may do nothing."""
        ...

    async def lose_archive(self, record: Mapping[str, Any]) -> None:
        """Let the file of this backup vanish."""
        ...

    async def return_archive(self, record: Mapping[str, Any]) -> None:
        """Bring the file back."""
        ...

    async def prepare_hold(self) -> None:
        """Make what a restore can be held at, for the backups that follow."""
        ...

    async def hold_restores(self) -> None:
        """Let no restore end from now on."""
        ...

    async def finish_restores(self) -> None:
        """Let the restores that run end, and return when they have."""
        ...


class Conversation:
    """Shorthands over a server's client, the same for both servers."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.send = server.client.request

    async def create(self, name: str | None = None, **members: object) -> Reply:
        """POST a CONFIG backup of the console."""
        body = {"name": name or unique_name(), "configuration_id": 1, **members}
        return await self.send("POST", BACKUPS, headers=CONFIG, body=body)

    async def created(self, name: str | None = None, **members: object) -> dict[str, Any]:
        """Create a backup, wait for its end, and return its record."""
        record = (await self.create(name, **members)).assert_is(201).json
        await self.server.settle()
        reply = await self.get(record["id"])
        found: dict[str, Any] = reply.assert_is(200).json
        return found

    async def get(self, backup_id: object) -> Reply:
        """GET one backup."""
        return await self.send("GET", f"{BACKUPS}/{backup_id}")

    async def delete(self, backup_id: object) -> Reply:
        """DELETE one backup."""
        return await self.send("DELETE", f"{BACKUPS}/{backup_id}")

    async def becomes(self, backup_id: int, status: str) -> dict[str, Any]:
        """Wait until the backup has this status and return its record; raises TimeoutError."""
        async with asyncio.timeout(100):
            while True:
                record: dict[str, Any] = (await self.get(backup_id)).assert_is(200).json
                if record["status"] == status:
                    return record
                await asyncio.sleep(0.02)

    async def gone(self, backup_id: int) -> None:
        """Wait until GET answers 404/1001 (spec §3.5); raises TimeoutError."""
        async with asyncio.timeout(100):
            while True:
                reply = await self.get(backup_id)
                if reply.status == 404:
                    break
                await asyncio.sleep(0.02)
        reply.assert_refused(404, 1001)

    async def deploy(self, deploy_type: str = "INCREMENTAL") -> dict[str, Any]:
        """Deploy, wait for the end and return the status; raises TimeoutError."""
        (await self.send("POST", DEPLOY, body={"type": deploy_type})).assert_is(200)
        return await self.deployed()

    async def deployed(self) -> dict[str, Any]:
        """Wait until no deploy runs and return the status; raises TimeoutError."""
        async with asyncio.timeout(100):
            while True:
                status: dict[str, Any] = (await self.send("GET", DEPLOY)).assert_is(200).json
                if status["status"] == "COMPLETE":
                    return status
                await asyncio.sleep(0.02)

    async def list(self, query: Mapping[str, str] | str = "", **headers: str) -> Reply:
        """GET the list."""
        return await self.send("GET", BACKUPS, query=query, headers=headers)


@dataclass(frozen=True)
class ApplianceServer:
    """The fake appliance; ``fake`` has the levers for cases that only it can play."""

    client: RawClient
    fake: FakeAppliance
    console_id: int = 53
    console_hostname: str = "console1"
    no_data_host_id: int = 105
    archive_pattern: re.Pattern[str] = re.compile(
        r"^/store/backup/backup\.(?P<name>.+)\.(?P<host>.+)_(?P<hostid>\d+)"
        r"\.(?P<d>\d{1,2})_(?P<m>\d{1,2})_(?P<y>\d{4})\.(?P<type>config|data)\.(?P<ts>\d+)\.tgz$"
    )

    async def settle(self) -> None:
        self.fake.finish_all()

    async def populate(self) -> str:
        prefix = unique_name()
        start_ms = self.fake.clock.now_ms() - 60_000
        for position, (ending, description) in enumerate(POPULATION):
            self.fake.add_backup(
                f"{prefix}.{ending}",
                description=description,
                time_initiated=start_ms + 1000 * position,
            )
        return prefix

    async def powerless(self) -> Mapping[str, str]:
        return {"SEC": self.fake.powerless_token}

    async def lose_archive(self, record: Mapping[str, Any]) -> None:
        self.fake.lose_archive(record["id"])

    async def return_archive(self, record: Mapping[str, Any]) -> None:
        self.fake.return_archive(record["id"])

    async def prepare_hold(self) -> None:
        """Do nothing: a restore of the fake ends when it is told to."""

    async def hold_restores(self) -> None:
        """Do nothing, for the same reason."""

    async def finish_restores(self) -> None:
        self.fake.finish_restores()


@dataclass
class EngineSite:
    """One engine that serves many tests; ``population`` is the prefix of the records made once."""

    process: EngineProcess
    powerless_token: str
    cluster: Cluster
    population: str | None = None
    is_holding: bool = False


@dataclass(frozen=True)
class EngineServer:
    """The in-cluster engine, on the sandbox."""

    client: RawClient
    site: EngineSite
    console_id: int = 1
    console_hostname: str = "console"
    no_data_host_id: int = 1
    archive_pattern: re.Pattern[str] = re.compile(
        r"^(?:.*/)?backup\.(?P<name>.+)\.(?P<host>.+)_(?P<hostid>\d+)"
        r"\.(?P<d>\d{1,2})_(?P<m>\d{1,2})_(?P<y>\d{4})\.(?P<type>config|data)\.(?P<ts>\d+)\.tar$"
    )

    async def settle(self) -> None:
        query = {"filter": 'status in ("INITIALIZING","IN_PROGRESS","CANCELLING")', "fields": "id"}
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while True:
                reply = await self.client.request("GET", BACKUPS, query=query)
                if not reply.assert_is(200).json:
                    return
                await asyncio.sleep(0.02)

    async def populate(self) -> str:
        if self.site.population is None:
            prefix = unique_name()
            for ending, description in POPULATION:
                await Conversation(self).created(f"{prefix}.{ending}", description=description)
            self.site.population = prefix
        return self.site.population

    async def powerless(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.site.powerless_token}"}

    async def lose_archive(self, record: Mapping[str, Any]) -> None:
        path = self._archive(record)
        path.rename(path.with_name("aside"))

    async def return_archive(self, record: Mapping[str, Any]) -> None:
        path = self._archive(record)
        path.with_name("aside").rename(path)

    async def prepare_hold(self) -> None:
        await self._kubectl(
            *("create", "poddisruptionbudget", HELD, "--selector=app=held", "--min-available=1")
        )

    async def hold_restores(self) -> None:
        """A restore waits for an object that is being deleted, and this one stays."""
        await self._kubectl("patch", *_HELD_OBJECT, *_PATCH, '{"metadata":{"finalizers":["t/t"]}}')
        await self._kubectl("delete", *_HELD_OBJECT, "--wait=false")
        self.site.is_holding = True

    async def finish_restores(self) -> None:
        if self.site.is_holding:
            await self._kubectl("patch", *_HELD_OBJECT, *_PATCH, '{"metadata":{"finalizers":null}}')
        talk = Conversation(self)
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while True:
                # the record may be gone; but no backup can begin until the restore has ended
                reply = await talk.create()
                if reply.status != 409:
                    break
                await asyncio.sleep(0.05)
        await talk.becomes(reply.json["id"], "SUCCESS")
        if self.site.is_holding:
            await self._kubectl("delete", *_HELD_OBJECT, "--ignore-not-found")
            self.site.is_holding = False

    async def _kubectl(self, *arguments: str) -> None:
        where = ("--namespace", "default")
        await asyncio.to_thread(run_kubectl, self.site.cluster, *arguments, *where)

    def _archive(self, record: Mapping[str, Any]) -> Path:
        name: str = record["content_file_path"].rpartition("/")[2]
        return self.site.process.archives / name
