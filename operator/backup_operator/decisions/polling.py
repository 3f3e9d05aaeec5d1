"""How often the running backups of an engine are looked at (architecture §2.3)."""

from datetime import timedelta
from typing import Final

FIRST: Final = timedelta(seconds=1)
GROWTH: Final = 1.5
LONGEST: Final = timedelta(seconds=30)
SOON: Final = timedelta(minutes=2)
"""A backup older than this is a long runner, whose end need not be noticed at once."""


def next_interval(
    last: timedelta | None, poll_interval: timedelta, youngest: timedelta
) -> timedelta:
    """Return the time to the next poll; ``last`` None: something has just been submitted.

    It grows from FIRST to ``poll_interval``, and to LONGEST while only long runners are left,
    the youngest of which has run for ``youngest``. A longer ``poll_interval`` is kept to.
    """
    if last is None:
        return min(FIRST, poll_interval)
    ceiling = max(poll_interval, LONGEST) if youngest > SOON else poll_interval
    return min(last * GROWTH, ceiling)
