"""Whether the operator should be restarted (liveness), and whether it has begun (readiness)."""

from dataclasses import dataclass
from typing import Final

LONGEST_WORK_S: Final = 600.0
LONGEST_WAIT_S: Final = 600.0
LONGEST_WITHOUT_WATCHES_S: Final = 300.0
MOST_LATE_COMPARISONS: Final = 2


@dataclass(frozen=True, slots=True)
class Vitals:
    """What shows that the program works; a standby has an empty queue."""

    has_seen_all: bool
    watches_down_s: float
    late_comparisons: int  # in a row that found the watches behind
    longest_work_s: float
    oldest_wait_s: float


def find_ailments(vitals: Vitals) -> list[str]:
    """Say what only a restart can mend; an engine or an API server that is down is not among it."""
    found = []
    if vitals.watches_down_s > LONGEST_WITHOUT_WATCHES_S:
        found.append(f"no watches for {vitals.watches_down_s:.0f} s")
    if vitals.late_comparisons >= MOST_LATE_COMPARISONS:
        found.append(f"the watches were behind in {vitals.late_comparisons} comparisons")
    if vitals.longest_work_s > LONGEST_WORK_S:
        found.append(f"one reconciliation has been going on for {vitals.longest_work_s:.0f} s")
    if vitals.oldest_wait_s > LONGEST_WAIT_S:
        found.append(f"the queue has not moved for {vitals.oldest_wait_s:.0f} s")
    return found
