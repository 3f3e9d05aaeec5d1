"""The storage of a sandbox's API server, written to directly: a hundred objects in one transaction.

What is measured is work on many objects, not how they came to be: through the API server that takes
minutes. They are written in the very form in which the API server has stored one of their kind.
"""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

PER_TRANSACTION: Final = 100

Json = Any


@dataclass(frozen=True, slots=True)
class Storage:
    """The etcd of a sandbox, through its gateway for JSON."""

    session: aiohttp.ClientSession
    address: str

    async def read(self, key: str) -> bytes:
        """Read what is stored under ``key``; raises KeyError."""
        answer = await self._call("range", {"key": encode(key.encode())})
        for found in answer.get("kvs", ()):
            return base64.b64decode(found["value"])
        raise KeyError(key)

    async def write(self, values: Mapping[str, bytes]) -> None:
        """Write all values in one transaction."""
        puts = [
            {"requestPut": {"key": encode(key.encode()), "value": encode(value)}}
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


def chunks(numbers: range) -> Iterator[range]:
    """Split a range into as many as one transaction takes."""
    for start in range(0, len(numbers), PER_TRANSACTION):
        yield numbers[start : start + PER_TRANSACTION]
