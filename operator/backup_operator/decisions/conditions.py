"""Merging conditions: a time moves only when the status does (Kubernetes API conventions)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from backup_operator.resources.parts import Condition, ConditionStatus, find_condition


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a condition is to say now."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def merge_conditions(
    stored: Iterable[Condition],
    judged: Iterable[Judgement],
    generation: int,
    now: datetime,
    drop: frozenset[str] = frozenset(),
) -> tuple[Condition, ...]:
    """Bring ``stored`` up to date, in the order of ``judged``; conditions of others stay behind.

    ``drop`` names types that are removed where they are not judged.
    """
    stored = tuple(stored)
    merged = [_merge_one(stored, judgement, generation, now) for judgement in judged]
    types = {condition.type for condition in merged} | drop
    return (*merged, *(condition for condition in stored if condition.type not in types))


def _merge_one(
    stored: tuple[Condition, ...], judgement: Judgement, generation: int, now: datetime
) -> Condition:
    before = find_condition(stored, judgement.type)
    unmoved = before is not None and before.status is judgement.status
    return Condition(
        type=judgement.type,
        status=judgement.status,
        observed_generation=generation,
        last_transition_time=(
            before.last_transition_time
            if before is not None and unmoved
            else now.replace(microsecond=0)
        ),
        reason=judgement.reason,
        message=judgement.message,
    )


def truth(holds: bool) -> ConditionStatus:
    """Return True or False as conditions spell them."""
    return ConditionStatus.TRUE if holds else ConditionStatus.FALSE
