"""Whether a volume may be restored to."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.volume import Volume

_ALWAYS_THERE: Final = frozenset({"lost+found"})


def require_empty(target: Path, volume: Volume, paths: Iterable[str]) -> None:
    """Raise VolumeError if ``target`` holds something, unless single paths are to be restored.

    What a file system makes by itself does not count.
    """
    if any(paths) or all(each.name in _ALWAYS_THERE for each in target.iterdir()):
        return
    raise VolumeError(
        "TargetNotEmpty",
        f"{volume}: the volume is not empty; restore to a new or an empty one, or name the paths to"
        " be overwritten",
    )
