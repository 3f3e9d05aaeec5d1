"""File names of archives (spec §10, ending in ``.tar`` as architecture §3 says)."""

import re
from datetime import UTC, datetime
from typing import Final

from backup_api.backups import BackupType

_ENDINGS: Final = {BackupType.CONFIG: "tar", BackupType.DATA: "kopia"}

LONGEST_NAME_BYTES: Final = 255  # of one path segment on every file system in use

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_ARCHIVE_NAME = re.compile(
    r"backup\.(?P<name>.+)\.(?P<host>.+)_(?P<host_id>\d+)\."
    r"\d{1,2}_\d{1,2}_\d{4}\.(?P<type>config|data)\.(?P<initiated_ms>\d+)\.tar"
)


def build_archive_name(
    name: str,
    hostname: str,
    host_id: int,
    time_initiated_ms: int,
    backup_type: BackupType = BackupType.CONFIG,
) -> str:
    """Build ``backup.<name>.<hostname>_<id>.<d>_<m>_<yyyy>.config.<epoch ms>.tar`` (spec §10).

    The day is the one in UTC, without leading zeros as on the appliance. What a DATA backup is
    called ends in ``.data.<epoch ms>.kopia``: it is no file, but snapshots in a repository. Raises
    ValueError if the result would not be one safe path segment.
    """
    day = datetime.fromtimestamp(time_initiated_ms / 1000, tz=UTC)
    built = (
        f"backup.{name}.{hostname}_{host_id}."
        f"{day.day}_{day.month}_{day.year}.{backup_type.lower()}.{time_initiated_ms}"
        f".{_ENDINGS[backup_type]}"
    )
    return parse_safe_name(built)


def parse_safe_name(name: str) -> str:
    """Return ``name`` if it is one safe path segment, else raise ValueError saying what is not."""
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(
            f"archive name {name!r}: only letters, digits, '_', '.' and '-' are allowed, and no"
            " '.' in front"
        )
    if len(name) > LONGEST_NAME_BYTES:
        raise ValueError(
            f"archive name {name!r}: {len(name)} bytes, at most {LONGEST_NAME_BYTES} are allowed"
        )
    return name


def is_archive_name(name: str) -> bool:
    """Tell whether ``name`` has the form of spec §10."""
    return _ARCHIVE_NAME.fullmatch(name) is not None
