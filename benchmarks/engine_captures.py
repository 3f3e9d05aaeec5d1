"""A CONFIG backup by a real engine process: from its POST until its record says SUCCESS.

Beside the capture that is the request, the claim, the journal, and the verification of the whole
archive, which the engine reads back before it calls the backup a success.
"""

import contextlib
import http
import http.client
import json
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fixtures.engine import EngineProcess, running_engine
from measuring import Run, read_cpu_s, read_peak_rss_mb

BACKUPS: Final = "/api/backup_and_restore/backups"
RUNNING: Final = frozenset({"INITIALIZING", "IN_PROGRESS"})
CALL_S: Final = 30.0
BACKUP_S: Final = 300.0
LOOK_EVERY_S: Final = 0.05


def measure_backup(kubeconfig: Path, recipient: str, archive_url: str | None) -> Run:
    """Back up once with an engine of its own, into a directory if there is no URL.

    The peak is that of the whole process: Python, what it serves, and the backup.
    """
    options = ["--recipient", recipient]
    if archive_url is not None:
        options += ["--archive-url", archive_url]
    with (
        tempfile.TemporaryDirectory(prefix="capture-benchmark-") as place,
        running_engine(Path(place) / "engine", kubeconfig, *options) as engine,
    ):
        spent_s = read_cpu_s(engine.pid)
        with contextlib.closing(_connect(engine)) as connection:
            begun = time.perf_counter()
            record = _await_end(connection, engine.token, _begin(connection, engine.token))
            seconds = time.perf_counter() - begun
        if record["status"] != "SUCCESS":
            raise RuntimeError(f"the backup is {record['status']}; {engine.log[-2000:]}")
        return Run(0, seconds, read_peak_rss_mb(engine.pid), read_cpu_s(engine.pid) - spent_s)


def _connect(engine: EngineProcess) -> http.client.HTTPSConnection:
    """Connect once: a handshake for each look would be work that no client makes of it."""
    address = urlsplit(engine.url)
    trusted = ssl.create_default_context(cafile=engine.ca_path)
    return http.client.HTTPSConnection(
        str(address.hostname), address.port, timeout=CALL_S, context=trusted
    )


def _begin(connection: http.client.HTTPSConnection, token: str) -> int:
    body = {"name": "benchmark", "configuration_id": 1}
    return int(_call(connection, token, "POST", BACKUPS, body)["id"])


def _await_end(
    connection: http.client.HTTPSConnection, token: str, backup_id: int
) -> dict[str, Any]:
    deadline = time.monotonic() + BACKUP_S
    path = f"{BACKUPS}/{backup_id}"
    while (record := _call(connection, token, "GET", path))["status"] in RUNNING:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the backup is {record['status']} after {BACKUP_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return record


def _call(
    connection: http.client.HTTPSConnection,
    token: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    headers = {
        "SEC": token.split(maxsplit=1)[0],
        "Content-Type": "application/json",
        "backup_type": "CONFIG",
    }
    content = json.dumps(body) if body is not None else None
    connection.request(method, path, content, headers)
    answer = connection.getresponse()
    found: dict[str, Any] = json.load(answer)
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise RuntimeError(f"{method} {path}: {answer.status} {found}")
    return found
