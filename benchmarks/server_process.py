"""The servers that requests are measured on, each a process of its own.

    PYTHONPATH=tests python benchmarks/server_process.py bare | engine DATABASE_URL

Prints the port once it listens.
"""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backup_engine.http_protocol import EngineProtocol
from listserver import ListServer
from localengine import local_engine

ONE: Final[dict[str, object]] = {
    "id": 1,
    "name": "r1",
    "type": "CONFIG",
    "status": "SUCCESS",
    "description": "weekly, before the update",
    "host_id": 1,
    "configuration_id": 1,
    "time_initiated": 1_700_000_000_000,
    "time_completed": 1_700_000_060_000,
    "size_on_disk": 1_000_000,
    "is_valid": True,
}


def build_bare_app() -> FastAPI:
    """Build what the engine is compared with: FastAPI, a path, a body, and nothing else."""
    app = FastAPI(openapi_url=None)
    page = [ONE] * 50

    @app.get("/one/{record_id}")
    async def one(record_id: int) -> dict[str, object]:
        return {**ONE, "id": record_id}

    @app.get("/page")
    async def listed() -> list[dict[str, object]]:
        return page

    @app.post("/create", status_code=201)
    async def create(body: dict[str, Any]) -> dict[str, object]:
        return {**ONE, **body}

    return app


async def serve_app(app: Any, protocol: Any = HttpToolsProtocol) -> None:  # noqa: ANN401
    """Serve on a free port of loopback, which is printed, until killed."""
    # with its protocol named: asyncio switches Nagle's algorithm off for no other, and each answer
    # would wait 40 ms for the client's acknowledgement
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)  # before its port is told
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, http=protocol, lifespan="off", ws="none", log_config=None, access_log=False
        )
        await uvicorn.Server(config).serve([listener])


async def serve_engine(database_url: str) -> None:
    """Serve the engine, at rest, on a database that exists already."""
    with tempfile.TemporaryDirectory(prefix="benchmark-engine-") as place:
        source = ListServer()
        async with source.running():
            kubeconfig = source.kubeconfig(Path(place))
            async with local_engine(Path(place), kubeconfig, database_url=database_url) as engine:
                await serve_app(engine.parts.app, EngineProtocol)


@contextlib.asynccontextmanager
async def server(*arguments: str) -> AsyncIterator[str]:
    """Run one server of this file as a process; yields its URL. Its temporary files go with it."""
    with tempfile.TemporaryDirectory(prefix="benchmark-server-") as place:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": place},  # killed, it removes nothing itself
        )
        try:
            assert process.stdout is not None
            port = (await process.stdout.readline()).decode().strip()
            if not port:
                raise RuntimeError("the server did not start; it said so above")
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def main(arguments: list[str]) -> None:
    """Serve what the arguments name until killed."""
    if arguments == ["bare"]:
        asyncio.run(serve_app(build_bare_app()))
    else:
        asyncio.run(serve_engine(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
