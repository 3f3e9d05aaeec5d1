"""What a DATA backup is made of: the volumes of a data host, each known by its claim. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from backup_engine.host_definition import VolumeSelection, VolumeSnapshotMode
from backup_engine.volumes.errors import VolumeError

BACKUP_TAG: Final = "backup"
VOLUME_TAG: Final = "volume"
MOST_VOLUMES: Final = 500

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_CLAIM: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Volume:
    """One PersistentVolumeClaim."""

    namespace: str
    claim: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.claim}"


@dataclass(frozen=True, slots=True)
class VolumePolicy:
    """What is no failure: a volume without a file, files that cannot be read; and what is read.

    ``volume_snapshot`` says whether a snapshot that the storage makes is read in its place, of the
    class ``volume_snapshot_class``; None: that of the volume's driver.
    """

    tolerate_empty: bool = False
    tolerate_unreadable: bool = False
    volume_snapshot: VolumeSnapshotMode = VolumeSnapshotMode.NEVER
    volume_snapshot_class: str | None = None


STRICT: Final = VolumePolicy()


@dataclass(frozen=True, slots=True)
class ChosenVolume:
    """A volume as one backup takes it. ``trouble``: why there is nothing to read, if so."""

    volume: Volume
    policy: VolumePolicy = STRICT
    trouble: str | None = None


def parse_volume(namespace: str, claim: str) -> Volume:
    """Return the volume of these names, which become a path; raises ValueError."""
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError(f"expected the name of a namespace, found {namespace!r}")
    if not _CLAIM.fullmatch(claim) or ".." in claim:
        raise ValueError(f"expected the name of a PersistentVolumeClaim, found {claim!r}")
    return Volume(namespace, claim)


def check_path(text: str) -> str:
    """Return a path inside a volume, relative and without ``..``; raises ValueError."""
    path = PurePosixPath(text)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"{text!r} is no path inside a volume, such as data/base")
    return str(path)


def build_policy(selection: VolumeSelection) -> VolumePolicy:
    """Build the policy that a selection asks for."""
    return VolumePolicy(
        selection.tolerate_empty,
        selection.tolerate_unreadable,
        selection.volume_snapshot,
        selection.volume_snapshot_class_name,
    )


def build_tags(archive_name: str, volume: Volume) -> tuple[str, ...]:
    """Build what kopia stores beside a snapshot, so that it is found again, by us and without us.

    The name of the backup's archive, not its id: after the loss of a database ids begin anew.
    """
    return (f"{BACKUP_TAG}:{archive_name}", f"{VOLUME_TAG}:{volume}")


def merge_chosen(chosen: Iterable[ChosenVolume]) -> tuple[ChosenVolume, ...]:
    """Return each volume once, in order; of two selections the first one's policy counts.

    Raises VolumeError if there are none, or too many for one backup.
    """
    first: dict[Volume, ChosenVolume] = {}
    for one in chosen:
        first.setdefault(one.volume, one)
    if not first:
        raise VolumeError(
            "NoVolumes", "no PersistentVolumeClaim matches the volumes of the host's BackupHost"
        )
    if len(first) > MOST_VOLUMES:
        raise VolumeError(
            "TooManyVolumes",
            f"the host has {len(first)} volumes, and one backup takes {MOST_VOLUMES} at most;"
            " spread them over several BackupHosts",
        )
    return tuple(first[volume] for volume in sorted(first))


def describe_all(volumes: Sequence[Volume]) -> str:
    """Name a few volumes, for a message."""
    few = 3
    named = ", ".join(str(volume) for volume in volumes[:few])
    return named if len(volumes) <= few else f"{named} and {len(volumes) - few} more"
