"""Who carries the work on one volume out: a process on this machine, or a Job in the cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from backup_engine.host_definition import VolumeSelection, VolumeSnapshotMode
from backup_engine.volumes.kopia import FREELY, Load, Report
from backup_engine.volumes.place import RepositoryPlace
from backup_engine.volumes.targets import TargetSeen, TargetWish
from backup_engine.volumes.volume import ChosenVolume, Volume


@dataclass(frozen=True, slots=True)
class HostRepository:
    """The repository of a host, and what opens it."""

    host_id: int
    hostname: str
    place: RepositoryPlace
    password: str

    def __repr__(self) -> str:
        return f"HostRepository({self.hostname}, {self.place.url})"  # never the password


@dataclass(frozen=True, slots=True)
class SnapshotRun:
    """One volume of one backup; ``time_limit_s`` is that of the whole backup."""

    archive_name: str  # of the backup
    volume: Volume
    repository: HostRepository
    time_limit_s: float
    load: Load = FREELY
    volume_snapshot: VolumeSnapshotMode = VolumeSnapshotMode.NEVER
    volume_snapshot_class: str | None = None  # None: that of the volume's driver


@dataclass(frozen=True, slots=True)
class RestoreRun:
    """One volume of one restore: a snapshot, or ``paths`` of it, into the claim ``target``.

    ``is_new``: the claim is to be made; its size and class are those given, or the source's.
    """

    restore_id: int
    number: int  # of the volume in it
    snapshot_id: str
    source: Volume
    target: Volume
    repository: HostRepository
    time_limit_s: float
    paths: tuple[str, ...] = ()
    is_new: bool = False
    is_resumed: bool = False  # begun before, by an engine that is gone: the target is half written
    size_bytes: int | None = None
    storage_class: str | None = None


class Executor(Protocol):
    """Works on volumes. All of it may be cancelled, and then leaves nothing at work.

    Each method raises VolumeError.
    """

    async def check(self) -> None:
        """Make sure that volumes can be worked on at all."""

    async def list_volumes(self, selections: Sequence[VolumeSelection]) -> tuple[ChosenVolume, ...]:
        """List the volumes that match, as they are now."""

    async def settle(self, repository: HostRepository) -> None:
        """Wait until nothing that a crashed engine left behind can still write a snapshot."""

    async def snapshot(self, run: SnapshotRun, report: Report) -> None:
        """Take a snapshot; returns when it is in the repository, its unreadable files counted."""

    async def look(self, wish: TargetWish) -> TargetSeen:
        """See what is at the target of a restore, as it is now."""

    async def prepare(self, run: RestoreRun) -> None:
        """See that the target of a restore may be written to; a new one must not be there yet.

        Of a run that is resumed nothing is asked but that the target is there, or can be made.
        """

    async def restore(self, run: RestoreRun, report: Report) -> None:
        """Write a snapshot, or paths of it, to the target, which is made if it is new.

        The last report before it returns is exact.
        """

    async def abandon(self, restore_id: int, number: int, snapshot_id: str, target: Volume) -> None:
        """End what still works on one volume of a restore."""

    async def discard(self, archive_name: str) -> None:
        """Remove what is left of the work on a backup, other than its snapshots."""
