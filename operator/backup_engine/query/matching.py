"""Whether an object in memory fulfils a ``filter`` (spec §2.8); for lists without a table."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from backup_engine.query.binding import Bound
from backup_engine.query.patterns import matches_pattern
from backup_engine.query.shapes import JsonValue
from backup_engine.query.terms import (
    Among,
    And,
    Between,
    Compare,
    Comparison,
    Contains,
    IsNull,
    Like,
    Member,
    Not,
    Or,
    Scalar,
)

_COMPARE: Final[Mapping[Comparison, Callable[[Any, Any], bool]]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.GREATER: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}


def fulfils(element: object, condition: Bound) -> bool:
    """Tell whether ``element``, an object as JSON would show it, fulfils ``condition``.

    A null operand makes every test false, the negated ones true (spec §2.8).
    """
    match condition:
        case And(conditions):
            return all(fulfils(element, each) for each in conditions)
        case Or(conditions):
            return any(fulfils(element, each) for each in conditions)
        case Not(opposite):
            return not fulfils(element, opposite)
        case _:
            return _fulfils_test(_find_value(element, condition.member), condition)


def _fulfils_test(  # noqa: PLR0911 - one for each kind of test
    value: JsonValue,
    test: Compare[Scalar] | Among[Scalar] | Between[Scalar] | IsNull | Like | Contains[Scalar],
) -> bool:
    match test:
        case IsNull(is_negated=is_negated):
            return (value is None) != is_negated
        case Compare(comparison=comparison, value=wanted):
            if value is None:
                return comparison is Comparison.NOT_EQUAL
            return _COMPARE[comparison](value, wanted)
        case Among(values=values, is_negated=is_negated):
            return (value is not None and value in values) != is_negated
        case Between(low=low, high=high, is_negated=is_negated):
            return (value is not None and bool(low <= value <= high)) != is_negated
        case Like(pattern=pattern, ignores_case=ignores_case):
            if value is None:
                return False
            if ignores_case:
                return matches_pattern(value.lower(), pattern.lower())
            return matches_pattern(value, pattern)
        case Contains(condition=condition):
            assert condition is not None
            return value is not None and any(fulfils(element, condition) for element in value)


def _find_value(element: JsonValue, member: Member) -> JsonValue:
    for name in member.path:
        if element is None:
            return None
        element = element[name]
    return element
