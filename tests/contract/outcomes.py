"""What the model of ``life.py`` may say of a server whose jobs end when they end.

Of every job it knows what it was when last seen and what it can have become since, and of every
request which answers that leaves open (spec §3.0, §4.0, §7).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

GONE = "gone"
MAY_BECOME: Mapping[str, frozenset[str]] = {
    "INITIALIZING": frozenset({"INITIALIZING", "IN_PROGRESS", "SUCCESS"}),
    "IN_PROGRESS": frozenset({"IN_PROGRESS", "SUCCESS"}),
    "CANCELLING": frozenset({"CANCELLING", "DELETING", GONE}),
    "DELETING": frozenset({"DELETING", GONE}),
}
"""What a backup that nobody touches can be at the next look; any other stays what it is."""

RESTORE_MAY_BECOME: Mapping[str, frozenset[str]] = {
    "REQUESTING": frozenset({"REQUESTING", "INITIALIZING", "IN_PROGRESS", "SUCCESS", "FAILED"}),
    "INITIALIZING": frozenset({"INITIALIZING", "IN_PROGRESS", "SUCCESS", "FAILED"}),
    "IN_PROGRESS": frozenset({"IN_PROGRESS", "SUCCESS", "FAILED"}),
}
RUNNING = frozenset({"INITIALIZING", "IN_PROGRESS"})
LEAVING = frozenset({"CANCELLING", "DELETING"})
RUNNING_RESTORE = frozenset(RESTORE_MAY_BECOME)
OPEN_RESTORE = RUNNING_RESTORE | {"PENDING"}

YES = frozenset({True})
NO = frozenset({False})
PERHAPS = YES | NO
DONE = 0  # in the place of a code: not refused

Answer = frozenset[bool]


@dataclass
class KnownRestore:
    """What the model knows of a restore; ``has_lost_backup``: it may, or must, fail."""

    backup_id: int
    status: str = "PENDING"
    has_lost_backup: bool = False


def pick(ids: Iterable[int], place: int) -> int | None:
    """Pick one of ``ids``, counted from the newest; None if there are none."""
    known = sorted(ids, reverse=True)
    return known[place % len(known)] if known else None


def either(answers: Iterable[Answer]) -> Answer:
    """Whether any of several things is so."""
    known = list(answers)
    if YES in known:
        return YES
    return PERHAPS if PERHAPS in known else NO


def open_outcomes(*checks: tuple[int, Answer]) -> set[int]:
    """Return the codes that may be answered, the checks being made in this order."""
    outcomes = set()
    for code, answer in checks:
        if True in answer:
            outcomes.add(code)
        if answer == YES:
            return outcomes
    return outcomes | {DONE}
