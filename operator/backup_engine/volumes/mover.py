"""What runs in a mover's pod: one kopia on one volume, its end told in the termination message."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.kopia import Load, Report, find_kopia
from backup_engine.volumes.mover_job import (
    DONE,
    REFUSED,
    REQUEST,
    SCRATCH,
    VOLUMES,
    MoverReport,
    MoverRequest,
)
from backup_engine.volumes.place import PASSED, RepositoryPlace
from backup_engine.volumes.repository import PASSWORD, Repository
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.targets import check_writable
from backup_engine.volumes.volume import Volume

TERMINATION_LOG: Final = Path("/dev/termination-log")
LONGEST_MESSAGE: Final = 2000  # of the 4096 bytes that the kubelet keeps

KILLED: Final = 128 + signal.SIGTERM
"""What a shell tells of a program that SIGTERM ended: the Job may try again."""


def run_mover(environment: Mapping[str, str], log: Path = TERMINATION_LOG) -> int:
    """Do what the environment asks for, and write how it ended; returns the exit code."""
    try:
        request = msgspec.json.decode(environment.get(REQUEST, ""), type=MoverRequest)
        home = Path(environment.get("HOME", SCRATCH))
        done = asyncio.run(_run(request, environment, home, VOLUMES))
    except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
        return _end(log, MoverReport("MoverRequestUnknown", f"{REQUEST}: {trouble}"))
    except VolumeError as trouble:
        return _end(log, MoverReport(trouble.reason, trouble.message[:LONGEST_MESSAGE]))
    except asyncio.CancelledError:
        _end(log, MoverReport("Interrupted", "the mover was told to stop"))
        return KILLED
    return _end(log, MoverReport(files=done.files, bytes=done.bytes))


async def work(
    request: MoverRequest, secrets: Mapping[str, str], home: Path, volumes: Path, report: Report
) -> Progress:
    """Take the snapshot, or write it, as ``request`` says; raises VolumeError.

    Returns what was written; of a snapshot the repository tells.
    """
    volume = Volume(request.namespace, request.claim)
    path = volumes / request.namespace / request.claim
    place = RepositoryPlace(
        request.url,
        request.place,
        None,
        {name: secrets[name] for name in PASSED if name in secrets},
    )
    password = secrets.get(PASSWORD, "")
    repository = Repository(find_kopia(None), place, request.hostname, password, home)
    await repository.connect()
    load = Load(request.parallel)
    if not request.snapshot_id:
        await repository.snapshot(request.archive_name, volume, path, report, load)
        return Progress()
    if request.paths or not request.is_resumed:
        await asyncio.to_thread(check_writable, path, volume, request.paths)
    return await repository.restore_all(request.snapshot_id, request.paths, path, report)


async def _run(
    request: MoverRequest, environment: Mapping[str, str], home: Path, volumes: str
) -> Progress:
    os.nice(request.niceness)  # kopia inherits it, and with it the I/O priority
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work(request, environment, home / "kopia", Path(volumes), _print)


def _print(progress: Progress) -> None:
    sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
    sys.stdout.flush()


def _end(log: Path, report: MoverReport) -> int:
    text = msgspec.json.encode(report).decode()
    if log.exists() or os.access(log.parent, os.W_OK):
        log.write_text(text)
    sys.stderr.write(f"backup_engine mover: {text}\n")
    return REFUSED if report.reason else DONE
