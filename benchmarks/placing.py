"""Put many Backups into a sandbox at once: copies of one that the API server has stored.

What is measured is an operator over ten thousand Backups, not how they came to be: through the API
server that takes minutes. Its storage takes a hundred in one transaction, in the very form in which
the API server has stored the one that is copied.
"""

import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from appliance.hosts import CONSOLE, DATA_HOST
from fixtures.population import place
from fixtures.scene import Scene

PER_TRANSACTION: Final = 100
REGISTRY: Final = "/registry/backup-operator.io/backups"

Json = Any


@dataclass(frozen=True, slots=True)
class Storage:
    """The etcd of a sandbox, through its gateway for JSON."""

    session: aiohttp.ClientSession
    address: str

    async def read(self, key: str) -> Json:
        """Read what is stored under ``key``; raises KeyError."""
        answer = await self._call("range", {"key": encode(key.encode())})
        for found in answer.get("kvs", ()):
            return json.loads(base64.b64decode(found["value"]))
        raise KeyError(key)

    async def write(self, values: dict[str, Json]) -> None:
        """Write all values in one transaction."""
        puts = [
            {
                "requestPut": {
                    "key": encode(key.encode()),
                    "value": encode(json.dumps(value, separators=(",", ":")).encode()),
                }
            }
            for key, value in values.items()
        ]
        await self._call("txn", {"success": puts})

    async def _call(self, what: str, body: Json) -> Json:
        async with self.session.post(f"{self.address}/v3/kv/{what}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()


def encode(content: bytes) -> str:
    """Encode bytes as the gateway wants them."""
    return base64.b64encode(content).decode()


@asynccontextmanager
async def connect_storage(sandbox_root: Path) -> AsyncIterator[Storage]:
    """Connect to the etcd of the sandbox in this folder."""
    port = json.loads((sandbox_root / "state.json").read_text())["ports"]["etcd"]
    folder = sandbox_root / "certificates"
    (authority,) = folder.glob("ca.crt")
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(folder / "etcd-client.crt", folder / "etcd-client.key")
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Storage(session, f"https://127.0.0.1:{port}")


async def place_many(
    scene: Scene, storage: Storage, engine_uid: str, count: int, *, finished: bool
) -> None:
    """Put ``count`` Backups and their records there, as if they had always been."""
    if not count:
        return
    await place(scene, engine_uid, 0, finished=finished)
    word = "ended" if finished else "runs"
    first = await storage.read(f"{REGISTRY}/{scene.namespace}/{word}-0")
    for numbers in chunks(range(1, count)):
        values = {}
        for number in numbers:
            name = f"{word}-{number}"
            record = scene.appliance.add_backup(
                name,
                status="SUCCESS" if finished else "IN_PROGRESS",
                host_id=CONSOLE if finished else DATA_HOST,
                initiated_by="API_user: operator",
            )
            values[f"{REGISTRY}/{scene.namespace}/{name}"] = copy(first, name, record)
        await storage.write(values)


def copy(stored: Json, name: str, record_id: int) -> Json:
    """Copy a stored Backup to another name and record."""
    status = stored["status"]
    return {
        **stored,
        "metadata": {**stored["metadata"], "name": name, "uid": str(uuid.uuid4())},
        "spec": {**stored["spec"], "name": name},
        "status": {
            **status,
            "id": record_id,
            "name": name,
            "submission": {**status["submission"], "requestedName": name},
        },
    }


def chunks(numbers: range) -> Iterator[range]:
    """Split a range into as many as one transaction takes."""
    for start in range(0, len(numbers), PER_TRANSACTION):
        yield numbers[start : start + PER_TRANSACTION]
