"""Whether a volume may be restored to."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup_api.extensions.volume_targets import TargetState
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.volume import Volume

_ALWAYS_THERE: Final = frozenset({"lost+found"})


@dataclass(frozen=True, slots=True)
class TargetWish:
    """Where one volume is to go; size and class are those of a claim to be made, if given."""

    source: Volume
    target: Volume
    is_new: bool = False
    has_paths: bool = False
    size_bytes: int | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class TargetSeen:
    """What is there. Of a claim to be made, size and class are those that it would get.

    ``capacity_bytes`` None: not known, or of no matter. ``used_by`` names pods.
    """

    state: TargetState
    used_by: tuple[str, ...] = ()
    capacity_bytes: int | None = None
    storage_class: str | None = None


def judge_target(wish: TargetWish, seen: TargetSeen, size_bytes: int) -> VolumeError | None:
    """Find what keeps files of ``size_bytes`` from being restored as wished; None: nothing."""
    target = wish.target
    if wish.is_new and seen.state is not TargetState.ABSENT:
        return target_exists(target)
    if not wish.is_new and seen.state is TargetState.ABSENT:
        return target_missing(target)
    if not wish.has_paths and seen.state is TargetState.NOT_EMPTY:
        return target_not_empty(target)
    if not wish.has_paths and seen.capacity_bytes is not None and seen.capacity_bytes < size_bytes:
        return VolumeError(
            "TargetTooSmall",
            f"{target}: {seen.capacity_bytes} bytes do not hold the {size_bytes} of the backup",
        )
    return None


def target_exists(target: Volume) -> VolumeError:
    """Build the error of a claim that is to be made and is there."""
    return VolumeError(
        "TargetExists",
        f"{target}: the claim exists already; choose another name, or do not ask for it to be made",
    )


def target_missing(target: Volume) -> VolumeError:
    """Build the error of a claim that is not there, and is not to be made."""
    return VolumeError(
        "TargetMissing", f"{target}: there is no such claim; create it, or ask for it to be made"
    )


def target_not_empty(target: Volume) -> VolumeError:
    """Build the error of a volume that holds something."""
    return VolumeError(
        "TargetNotEmpty",
        f"{target}: the volume is not empty; restore to a new or an empty one, or name the paths to"
        " be overwritten",
    )


def size_missing(target: Volume, source: Volume) -> VolumeError:
    """Build the error of a claim that is to be made, of a size that nobody knows."""
    return VolumeError(
        "SizeMissing", f"{target}: the claim {source} is gone; give the size of the new one"
    )


def is_empty(folder: Path) -> bool:
    """Tell whether a volume holds nothing; what a file system makes by itself does not count."""
    return all(each.name in _ALWAYS_THERE for each in folder.iterdir())


def check_writable(folder: Path, volume: Volume, paths: Iterable[str]) -> None:
    """Raise VolumeError unless all may be written to ``folder``, or these ``paths`` of it.

    A volume that is written to as a whole has to be empty. No path may lead through a symbolic
    link: whoever can write to the volume would have others' files overwritten by it.
    """
    chosen = tuple(paths)
    if not chosen and not is_empty(folder):
        raise target_not_empty(volume)
    check_links(folder, str(volume), chosen)


def check_links(folder: Path, name: str, paths: Iterable[str]) -> None:
    """Raise VolumeError if one of ``paths`` leads through a symbolic link below ``folder``."""
    for path in paths:
        place = folder
        for part in Path(path).parts:
            place /= part
            if place.is_symlink():
                raise VolumeError(
                    "TargetIsLink",
                    f"{name}: {path} leads through the symbolic link"
                    f" {place.relative_to(folder)}; remove it, or restore to another place",
                )
