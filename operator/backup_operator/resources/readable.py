"""Figures as people read them in ``kubectl get``."""

from datetime import datetime, timedelta

from backup_operator.resources.durations import format_duration

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_TWO_DIGITS = 10


def format_size(size_bytes: int) -> str:
    """Write ``734 MiB`` or ``1.5 GiB``: one decimal below ten units, none above."""
    size = float(size_bytes)
    unit = 0
    while round(size) >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    decimals = 1 if unit and round(size, 1) < _TWO_DIGITS else 0
    return f"{size:.{decimals}f} {_UNITS[unit]}"


def format_elapsed(start: datetime, end: datetime) -> str:
    """Write the time between two moments as ``6m52s``; ``0s`` if the clocks disagree."""
    return format_duration(max(end - start, timedelta(0)))
