"""The ``Version`` header and the versions that the fake lists (spec §2.3, §14 no. 3)."""

import re
from dataclasses import dataclass

from appliance.wire import Record, Refusal

NEWEST_MAJOR = 26
OLDEST_MAJOR = 9
OLDEST_SUPPORTED_MAJOR = 24

_WITH_A_MINOR = {9: 1, 10: 1, 12: 1, 13: 1}
_VERSION = re.compile(r"(\d{1,3})(?:\.(0|[1-9]\d{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spoken:
    """The version that a request is answered in."""

    major: int
    is_deprecated: bool


def parse_version(header: str | None) -> Spoken:
    """Read the header; absent or too great: the newest (spec §2.3)."""
    if header is None:
        return Spoken(NEWEST_MAJOR, is_deprecated=False)
    match = _VERSION.fullmatch(header)
    if match is None:
        raise Refusal(422, 12, f"{header!r} is not a valid version")
    major, minor = int(match[1]), int(match[2] or 0)
    if major >= NEWEST_MAJOR:
        return Spoken(NEWEST_MAJOR, is_deprecated=False)
    if major < OLDEST_MAJOR:
        raise Refusal(422, 13, f"Version {header} has been removed")
    if minor > _WITH_A_MINOR.get(major, 0):
        raise Refusal(422, 12, f"{header!r} is not a valid version")
    return Spoken(major, is_deprecated=major < OLDEST_SUPPORTED_MAJOR)


def list_versions() -> list[Record]:
    """Every version that is answered, oldest first (spec §8)."""
    numbers = [
        (major, minor)
        for major in range(OLDEST_MAJOR, NEWEST_MAJOR + 1)
        for minor in range(_WITH_A_MINOR.get(major, 0) + 1)
    ]
    return [
        {
            "id": position,
            "version": f"{major}.{minor}",
            "deprecated": major < OLDEST_SUPPORTED_MAJOR,
            "removed": False,
            "root_resource_ids": [100 * position + 1, 100 * position + 2],
        }
        for position, (major, minor) in enumerate(numbers, start=1)
    ]
