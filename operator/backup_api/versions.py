"""Choosing the API version to speak (spec §2.3, §9 "Start-up probe")."""

import re
from collections.abc import Iterable
from typing import Final

from backup_api.about import ApiVersion

NEWEST: Final = (26, 0)
"""The newest version this project knows (spec §11)."""

OLDEST: Final = (12, 0)

_VERSION: Final = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?", re.ASCII)


def parse_version(text: str) -> tuple[int, int | None]:
    """Read ``26`` or ``26.0``; a missing minor is None. Raises ValueError on anything else."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a valid version; expected for example 26.0")
    return int(match[1]), int(match[2]) if match[2] is not None else None


def choose_version(offered: Iterable[ApiVersion]) -> str | None:
    """Pick the highest version that is live and known here; None if there is none.

    A version is live that is neither removed nor deprecated; where every known one is deprecated,
    the highest of those still works (spec §2.3).
    """
    known: list[tuple[bool, tuple[int, int], str]] = []
    for entry in offered:
        try:
            major, minor = parse_version(entry.version)
        except ValueError:
            continue  # a version that is no version cannot be asked for
        number = (major, minor or 0)
        if OLDEST <= number <= NEWEST and not entry.removed:
            known.append((not entry.deprecated, number, entry.version))
    return max(known)[2] if known else None
