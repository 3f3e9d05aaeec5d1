"""Checks on the headers alone: ``Accept`` and ``Content-Type`` (spec §2.4, §14 no. 15)."""

from collections.abc import Sequence
from typing import Final

_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})


def find_accepted(header: str | None, offered: Sequence[str]) -> str | None:
    """Return the media type of ``offered`` that ``Accept`` likes best, None if it takes none.

    No header takes anything; of equals the first. The most specific range that fits decides, so
    ``application/json;q=0, */*`` does not take JSON.
    """
    if header is None or not header.strip():
        return offered[0]
    best = max(offered, key=lambda media_type: _find_quality(header, media_type))
    return best if _find_quality(header, best) > 0 else None


def is_json(header: str | None) -> bool:
    """Tell whether ``Content-Type`` is JSON in UTF-8; absent counts as that (spec §14)."""
    if header is None or not header.strip():
        return True
    media_type, _, parameters = header.partition(";")
    charset = _parameter(parameters, "charset")
    is_readable = charset is None or charset.lower() in _CHARSETS
    return media_type.strip().lower() == "application/json" and is_readable


def _find_quality(header: str, offered: str) -> float:
    acceptable = {offered, f"{offered.partition('/')[0]}/*", "*/*"}
    best = (-1, 0.0)
    for entry in header.split(","):
        media_type, _, parameters = entry.partition(";")
        media_type = media_type.strip().lower()
        if media_type in acceptable:
            specificity = 2 - media_type.count("*")
            best = max(best, (specificity, _quality(parameters)))
    return best[1]


def _quality(parameters: str) -> float:
    quality = _parameter(parameters, "q")
    try:
        return float(quality) if quality is not None else 1.0
    except ValueError:
        return 0.0


def _parameter(parameters: str, name: str) -> str | None:
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None
