"""Works on volumes that are directories of this machine: ``ROOT/<namespace>/<claim>``.

For the demo, for tests, and for a machine whose volumes are mounted there. No cluster is asked.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backup_api.extensions.volume_targets import TargetState
from backup_engine.host_definition import VolumeSelection, VolumeSnapshotMode
from backup_engine.selectors import build_label_selector
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.executor import HostRepository, RestoreRun, SnapshotRun
from backup_engine.volumes.kopia import Report
from backup_engine.volumes.repository import Repository
from backup_engine.volumes.targets import (
    TargetSeen,
    TargetWish,
    check_writable,
    is_empty,
    target_exists,
    target_missing,
)
from backup_engine.volumes.volume import (
    ChosenVolume,
    Volume,
    build_policy,
    merge_chosen,
    parse_volume,
)

SETTLE_WITHIN_S: Final = 120.0
LOOK_EVERY_S: Final = 0.1


class LocalExecutor:
    """Runs kopia as a child of the engine; ``state`` keeps its configurations, caches and locks."""

    def __init__(self, root: Path, binary: str, state: Path) -> None:
        self._root = root
        self._binary = binary
        self._state = state

    async def check(self) -> None:
        """Make sure that the directory of volumes is there."""
        if not await asyncio.to_thread(self._root.is_dir):
            raise VolumeError("VolumesMissing", f"--volumes-dir {self._root} is no directory")

    async def list_volumes(self, selections: Sequence[VolumeSelection]) -> tuple[ChosenVolume, ...]:
        """List the directories that match; one that is named and absent is in it with trouble."""
        await self.check()
        return await asyncio.to_thread(self._list, selections)

    async def settle(self, repository: HostRepository) -> None:
        """Wait until no kopia of a killed engine runs: it ends with its next line of progress."""
        path = self._lock_of(repository)
        try:
            async with asyncio.timeout(SETTLE_WITHIN_S):
                while not await asyncio.to_thread(_is_free, path):  # noqa: ASYNC110 - of the kernel
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError as trouble:
            raise VolumeError(
                "StillRunning",
                f"a kopia of an engine that is gone still runs; it holds {path}: end it",
            ) from trouble

    async def snapshot(self, run: SnapshotRun, report: Report) -> None:
        """Take a snapshot of the volume's directory."""
        if run.volume_snapshot is VolumeSnapshotMode.ALWAYS:
            raise VolumeError(
                "NoVolumeSnapshotClass",
                f"{run.volume}: a directory has no storage that makes snapshots; set volumeSnapshot"
                " to Never or IfPossible",
            )
        path = self._path_of(run.volume)
        if not await asyncio.to_thread(path.is_dir):
            raise VolumeError("VolumeMissing", f"{run.volume}: {path} is no directory")
        with self._held(run.repository) as lock:
            repository = self._open(run.repository, (lock,))
            await repository.connect()
            await repository.snapshot(run.archive_name, run.volume, path, report, run.load)

    async def look(self, wish: TargetWish) -> TargetSeen:
        """See what is in the directory of the target."""
        await self.check()
        return TargetSeen(await asyncio.to_thread(_find_state, self._path_of(wish.target)))

    async def prepare(self, run: RestoreRun) -> None:
        """See that the directory of the target is absent, or empty, as the run wants it."""
        await asyncio.to_thread(_check_target, run, self._path_of(run.target))

    async def restore(self, run: RestoreRun, report: Report) -> None:
        """Write a snapshot to the directory of a claim, which is made if the claim is new."""
        target = self._path_of(run.target)
        if run.is_new:
            await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        with self._held(run.repository) as lock:
            repository = self._open(run.repository, (lock,))
            await repository.connect()
            report(await repository.restore_all(run.snapshot_id, run.paths, target, report))

    async def abandon(self, restore_id: int, number: int, snapshot_id: str, target: Volume) -> None:
        """Do nothing: a child ends with the run that it belongs to."""

    async def discard(self, archive_name: str) -> None:
        """Do nothing: a child that is gone leaves nothing."""

    def _list(self, selections: Sequence[VolumeSelection]) -> tuple[ChosenVolume, ...]:
        return merge_chosen(one for each in selections for one in self._choose(each))

    def _choose(self, selection: VolumeSelection) -> Iterator[ChosenVolume]:
        policy = build_policy(selection)
        folder = self._root / selection.namespace
        if selection.claim_names is None:
            if build_label_selector(selection.selector).requirements:
                raise VolumeError(
                    "NoLabels",
                    f"namespace {selection.namespace}: directories have no labels, so choose the"
                    " volumes by claimNames, or all of the namespace by an empty selector",
                )
            names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
        else:
            names = list(selection.claim_names)
        for name in names:
            try:
                volume = parse_volume(selection.namespace, name)
            except ValueError:
                continue  # no claim can have that name
            is_there = (folder / name).is_dir()
            trouble = None if is_there else f"{volume}: {folder / name} is no directory"
            if is_there or selection.claim_names is not None:
                yield ChosenVolume(volume, policy, trouble)

    def _path_of(self, volume: Volume) -> Path:
        return self._root / volume.namespace / volume.claim

    def _open(self, host: HostRepository, inherited: Sequence[int]) -> Repository:
        home = self._state / f"{host.hostname}_{host.host_id}"
        return Repository(self._binary, host.place, host.hostname, host.password, home, inherited)

    def _lock_of(self, host: HostRepository) -> Path:
        return self._state / f"{host.hostname}_{host.host_id}.lock"

    @contextmanager
    def _held(self, host: HostRepository) -> Iterator[int]:
        """Hold a lock that kopia inherits, and with it keeps as long as it lives."""
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock_of(host), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield descriptor
        finally:
            os.close(descriptor)


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    with path.open("rb") as handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _check_target(run: RestoreRun, target: Path) -> None:
    if run.is_new:
        if target.exists() and not run.is_resumed:
            raise target_exists(run.target)
        return
    if not target.is_dir():
        raise target_missing(run.target)
    if run.paths or not run.is_resumed:
        check_writable(target, run.target, run.paths)


def _find_state(target: Path) -> TargetState:
    if not target.is_dir():
        return TargetState.ABSENT
    return TargetState.EMPTY if is_empty(target) else TargetState.NOT_EMPTY
