"""Compare DATA snapshots by the engine's executor with the bare kopia command line.

Both store the same volumes in repositories of their own with the same policy, in turns: one GiB in
four files, 20 000 small files, each of them once more unchanged, and 20 volumes four at a time, as
priority HIGH reads them. What a backup costs beside its volumes (listing the repository before and
after) is measured apart.

Usage: python benchmarks/data.py [--rounds 3] [--large-mib 1024] [--files 20000] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from backup_engine.runs.repositories import Repositories
from backup_engine.volumes.executor import HostRepository, SnapshotRun
from backup_engine.volumes.kopia import ignore
from backup_engine.volumes.local import LocalExecutor
from backup_engine.volumes.passwords import FilePasswords
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.volume import Volume
from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.versions import KOPIA_BINARY

MIB = 1024 * 1024
SMALL_BYTES = 1024
LARGEST_RATIO = 1.05
MANY = 20
MANY_MIB = 8
ABREAST = 4
NAMESPACE = "bench"
HOST = "bench"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of run; seconds are medians, ``ratio`` is that of the medians."""

    what: str
    bare_s: float
    engine_s: float
    ratio: float


def make_volumes(root: Path, large_mib: int, files: int) -> list[Volume]:
    """Write the two volumes; their bytes do not compress, so that kopia has to store them."""
    large, small = root / NAMESPACE / "large", root / NAMESPACE / "small"
    large.mkdir(parents=True)
    for number in range(4):
        with (large / str(number)).open("wb") as handle:
            for _ in range(large_mib // 4):
                handle.write(os.urandom(MIB))
    source = random.Random(1)  # noqa: S311 - bytes to store, no secret
    for number in range(files):
        folder = small / f"{number % 200:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_bytes(source.randbytes(SMALL_BYTES))
    for many in list_many():
        (root / NAMESPACE / many.claim).mkdir()
        (root / NAMESPACE / many.claim / "file").write_bytes(os.urandom(MANY_MIB * MIB))
    return [Volume(NAMESPACE, "large"), Volume(NAMESPACE, "small")]


def list_many() -> list[Volume]:
    """List the volumes that are read several at once."""
    return [Volume(NAMESPACE, f"many-{number:02}") for number in range(MANY)]


def snapshot_bare(binary: str, home: Path, path: Path) -> float:
    """Take a snapshot as a person would; returns seconds."""
    began = time.perf_counter()
    _kopia(binary, home, "snapshot", "create", str(path), "--no-auto-maintenance")
    return time.perf_counter() - began


def open_bare(binary: str, home: Path) -> None:
    """Create a repository with the engine's policy."""
    home.mkdir()
    _kopia(binary, home, "repository", "create", "filesystem", f"--path={home / 'repository'}")
    policy = ("--compression=zstd-fastest", "--ignore-cache-dirs=false")
    _kopia(binary, home, "policy", "set", "--global", *policy)


def _kopia(binary: str, home: Path, *arguments: str) -> None:
    environment = {**os.environ, "KOPIA_PASSWORD": "benchmark", "HOME": str(home)}
    own = (f"--config-file={home / 'config'}", f"--log-dir={home / 'logs'}")
    subprocess.run(
        [binary, *arguments, *own, "--disable-file-logging", "--no-progress"],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def run_round(
    binary: str, folder: Path, root: Path, volumes: Sequence[Volume], is_bare_first: bool
) -> dict[str, tuple[float, float]]:
    """Measure each volume new and unchanged, bare and by the engine; returns seconds of both."""
    open_bare(binary, folder / "bare")
    places = RepositoryPlaces((folder / "engine").as_uri())
    passwords = FilePasswords(folder / "passwords")
    repositories = Repositories(places, passwords, binary, folder / "state")
    await repositories.ensure(1, HOST)
    host = await repositories.get(1, HOST)
    executor = LocalExecutor(root, binary, folder / "movers")
    repository = await repositories.open(1, HOST)
    measured: dict[str, tuple[float, float]] = {}
    # so that neither pays for what is done once: the engine's mover has not connected yet
    scratch = Volume(NAMESPACE, "warm")
    (root / NAMESPACE / "warm").mkdir(exist_ok=True)
    await executor.snapshot(SnapshotRun("warm", scratch, host, 600), ignore)
    for attempt in ("new", "unchanged"):
        for volume in volumes:
            path = root / volume.namespace / volume.claim

            async def engine(volume: Volume = volume, attempt: str = attempt) -> float:
                began = time.perf_counter()
                await executor.snapshot(SnapshotRun(attempt, volume, host, 3600), ignore)
                return time.perf_counter() - began

            if is_bare_first:
                bare_s = await asyncio.to_thread(snapshot_bare, binary, folder / "bare", path)
                engine_s = await engine()
            else:
                engine_s = await engine()
                bare_s = await asyncio.to_thread(snapshot_bare, binary, folder / "bare", path)
            measured[f"{volume.claim}, {attempt}"] = (bare_s, engine_s)
    measured[f"{MANY} volumes, {ABREAST} abreast"] = await run_many(
        binary, folder, root, executor, host, is_bare_first
    )
    began = time.perf_counter()
    for _ in range(2):
        await repository.list_snapshots("new")
    measured["a backup beside its volumes"] = (0.0, time.perf_counter() - began)
    return measured


async def run_many(
    binary: str,
    folder: Path,
    root: Path,
    executor: LocalExecutor,
    host: HostRepository,
    is_bare_first: bool,
) -> tuple[float, float]:
    """Measure many volumes, a few at once; returns seconds bare and by the engine."""

    async def measure(snapshot: Callable[[Volume], Awaitable[object]]) -> float:
        turn = asyncio.Semaphore(ABREAST)

        async def one(volume: Volume) -> None:
            async with turn:
                await snapshot(volume)

        began = time.perf_counter()
        await asyncio.gather(*(one(volume) for volume in list_many()))
        return time.perf_counter() - began

    async def bare(volume: Volume) -> None:
        path = root / volume.namespace / volume.claim
        await asyncio.to_thread(snapshot_bare, binary, folder / "bare", path)

    async def engine(volume: Volume) -> None:
        await executor.snapshot(SnapshotRun("many", volume, host, 3600), ignore)

    if is_bare_first:
        return await measure(bare), await measure(engine)
    engine_s = await measure(engine)
    return await measure(bare), engine_s


def build_rows(rounds: Sequence[dict[str, tuple[float, float]]]) -> list[Row]:
    """Sum the rounds up."""
    rows = []
    for what in rounds[0]:
        bare = statistics.median(each[what][0] for each in rounds)
        engine = statistics.median(each[what][1] for each in rounds)
        ratio = engine / bare if bare else 0.0
        rows.append(Row(what, round(bare, 3), round(engine, 3), round(ratio, 3)))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit code 1 if the engine is slower than its budget allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    binary = str(ensure_binaries([KOPIA_BINARY], os.environ)[KOPIA_BINARY])
    with tempfile.TemporaryDirectory(prefix="data-benchmark-") as place:
        root = Path(place) / "volumes"
        volumes = make_volumes(root, arguments.large_mib, arguments.files)
        rounds = []
        for number in range(arguments.rounds):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                rounds.append(
                    asyncio.run(run_round(binary, Path(folder), root, volumes, number % 2 == 0))
                )
    rows = build_rows(rounds)
    print(f"{'what':<30}{'bare s':>9}{'engine s':>10}{'ratio':>8}")
    for row in rows:
        ratio = f"{row.ratio:>8.3f}" if row.ratio else ""
        print(f"{row.what:<30}{row.bare_s:>9.3f}{row.engine_s:>10.3f}{ratio}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    slow = [row.what for row in rows if row.ratio > LARGEST_RATIO]
    if slow:
        print(f"over the budget of {LARGEST_RATIO}: {'; '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
