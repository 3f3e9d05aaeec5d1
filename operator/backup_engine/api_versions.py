"""Which versions of the API are spoken, and what a ``Version`` header means (spec §2.3, §14)."""

import re
from dataclasses import dataclass
from typing import Final

from backup_api.about import ApiVersion
from backup_api.versions import NEWEST

OLDEST_SUPPORTED: Final = (24, 0)
OLDEST_ACCEPTED: Final = (9, 0)
LOCATION_SINCE: Final = (26, 0)
"""The first version whose list of backups has ``app_deployment_location`` (spec §14 no. 3)."""

Number = tuple[int, int]

_MINORS: Final = {12: (0, 1), 13: (0, 1)}  # all others have 0 only (spec §2.3)

# Without leading zeros: consoles reject odd numbers such as 322.0123 (spec §12 no. 8).
_VERSION: Final = re.compile(r"(0|[1-9]\d{0,3})(?:\.(0|[1-9]\d{0,3}))?", re.ASCII)


class WrongVersionError(Exception):
    """The ``Version`` header names no version, or one that was removed (422)."""


@dataclass(frozen=True, slots=True)
class SpokenVersion:
    """The version that a request is answered in; ``deprecation`` None: it is supported."""

    number: Number
    deprecation: str | None


def choose_spoken(header: str | None) -> SpokenVersion:
    """Choose the version that answers a ``Version`` header; None is the newest.

    Raises WrongVersionError.
    """
    if header is None:
        return SpokenVersion(NEWEST, None)
    match = _VERSION.fullmatch(header.strip(" "))
    if match is None:
        raise WrongVersionError(f'"{header[:40]}" is not a valid version; expected e.g. 26.0')
    major = int(match[1])
    minor = int(match[2]) if match[2] is not None else max(_MINORS.get(major, (0,)))
    number = min((major, minor), NEWEST)
    if number < OLDEST_ACCEPTED:
        oldest = _spelled(OLDEST_SUPPORTED)
        raise WrongVersionError(f"Version {_spelled(number)} has been removed; use {oldest} or up")
    if number < OLDEST_SUPPORTED:
        return SpokenVersion(number, f"Version {_spelled(number)} of the API is deprecated")
    return SpokenVersion(number, None)


def list_api_versions() -> tuple[ApiVersion, ...]:
    """List all versions that are accepted, oldest first; ids count from 1 (spec §8)."""
    numbers = [
        (major, minor)
        for major in range(OLDEST_ACCEPTED[0], NEWEST[0] + 1)
        for minor in _MINORS.get(major, (0,))
    ]
    return tuple(
        ApiVersion(id=position, version=_spelled(number), deprecated=number < OLDEST_SUPPORTED)
        for position, number in enumerate(numbers, start=1)
    )


def _spelled(number: Number) -> str:
    return f"{number[0]}.{number[1]}"
