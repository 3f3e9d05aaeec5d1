"""The backups that a repository of volumes holds, as its snapshots tell."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backup_engine.command.layout import format_moment
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.snapshots import Snapshot, choose_snapshots
from backup_engine.volumes.volume import BACKUP_TAG, Volume


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """One backup as the repository has it: the snapshot of each volume."""

    name: str
    hostname: str
    snapshots: dict[Volume, Snapshot]

    @property
    def began(self) -> datetime:
        """When its first snapshot was begun."""
        return min(each.started for each in self.snapshots.values())

    def as_json(self) -> dict[str, Any]:
        """Return it as ``-o json`` prints it."""
        return {
            "backup": self.name,
            "host": self.hostname,
            "began": _tell(self),
            "volumes": [
                {
                    "namespace": volume.namespace,
                    "claim": volume.claim,
                    "snapshotId": snapshot.id,
                    "sizeBytes": snapshot.size_bytes,
                    "files": snapshot.files,
                    "unreadableFiles": snapshot.failed,
                }
                for volume, snapshot in sorted(self.snapshots.items())
            ],
        }


def gather_backups(snapshots: Sequence[Snapshot], hostname: str) -> list[KeptBackup]:
    """Gather snapshots to the backups that they are of, the oldest first. Pure."""
    by_name: dict[str, list[Snapshot]] = {}
    for one in snapshots:
        name = one.tags.get(BACKUP_TAG)
        if name and one.volume is not None:
            by_name.setdefault(name, []).append(one)
    gathered = [
        KeptBackup(name, hostname, choose_snapshots(of_it)) for name, of_it in by_name.items()
    ]
    return sorted(gathered, key=lambda each: (each.began, each.name))


def choose_backup(
    snapshots: Sequence[Snapshot], hostname: str, arguments: argparse.Namespace
) -> KeptBackup:
    """Choose by ``--backup``, or the newest one begun by ``--at``; raises VolumeError."""
    backups = gather_backups(snapshots, hostname)
    if arguments.backup is not None:
        named = [each for each in backups if each.name == arguments.backup]
        if not named:
            raise VolumeError(
                "BackupMissing", f"{arguments.url}: no backup {arguments.backup}; `list` has all"
            )
        return named[0]
    moment: datetime | None = arguments.at
    early = [each for each in backups if moment is None or each.began <= _end_of(moment)]
    if not early:
        when = f" that had begun by {moment.isoformat()}" if moment is not None else ""
        first = f"; the oldest began at {_tell(backups[0])}" if backups else ""
        raise VolumeError("BackupMissing", f"{arguments.url}: no backup{when}{first}")
    return early[-1]


def _tell(backup: KeptBackup) -> str:
    return format_moment(int(backup.began.timestamp() * 1000))


def _end_of(moment: datetime) -> datetime:
    """Return the end of a second that was given as one, as `list` prints them."""
    return moment if moment.microsecond else moment.replace(microsecond=999_999)
