"""A ``filter`` and a ``sort`` as SQL (spec §2.8, §2.9), in words that every database knows.

The database must take LIKE as case-sensitive and have Unicode's ``lower``; SQLite is taught both
in ``records/sqlite.py``.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Float, and_, false, literal, not_, or_, true
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.types import TypeEngine

from backup_engine.query.binding import Bound
from backup_engine.query.sort import SortKey
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

Columns = Mapping[str, Column[Any]]

Bind = Callable[[Scalar, TypeEngine[Any]], ColumnElement[Any]]
"""Puts a value of the filter into the SQL."""

_COMPARE: Final[Mapping[Comparison, Callable[[Any, Any], ColumnElement[bool]]]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.GREATER: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}


def build_condition(
    condition: Bound, columns: Columns, bind: Bind = literal
) -> ColumnElement[bool]:
    """Build the SQL of ``condition``; ``columns`` are filed by the wire's names of the members.

    Each test is either true or false, never NULL, else ``not`` would turn it into nothing.
    ``bind`` is asked for the values one by one, in the order of ``split_values``.
    """
    match condition:
        case And(conditions):
            return and_(true(), *(build_condition(each, columns, bind) for each in conditions))
        case Or(conditions):
            return or_(false(), *(build_condition(each, columns, bind) for each in conditions))
        case Not(opposite):
            return not_(build_condition(opposite, columns, bind).self_group())
        case Contains():
            raise TypeError("a table row has no lists")
        case _:
            (name,) = condition.member.path
            return _build_test(columns[name], condition, bind)


def split_values(condition: Bound) -> tuple[Bound, tuple[Scalar, ...]]:
    """Take the values out of ``condition``: what is left is the same for all filters of its form.

    A fraction leaves 0.0, for SQL must know it from an integer; whatever else leaves "".
    """
    values: list[Scalar] = []

    def take(value: Scalar) -> Scalar:
        values.append(value)
        return 0.0 if isinstance(value, float) else ""

    return _outline(condition, take), tuple(values)


def _outline(  # noqa: PLR0911 - one for each kind of node
    condition: Bound, take: Callable[[Scalar], Scalar]
) -> Bound:
    match condition:
        case And(conditions):
            return And(tuple(_outline(each, take) for each in conditions))
        case Or(conditions):
            return Or(tuple(_outline(each, take) for each in conditions))
        case Not(opposite):
            return Not(_outline(opposite, take))
        case IsNull(member, is_negated):
            return IsNull(_anywhere(member), is_negated)
        case Compare(member, comparison, value):
            return Compare(_anywhere(member), comparison, take(value))
        case Among(member, values, is_negated):
            return Among(_anywhere(member), tuple(take(each) for each in values), is_negated)
        case Between(member, low, high, is_negated):
            return Between(_anywhere(member), take(low), take(high), is_negated)
        case Like(member, pattern, ignores_case):
            return Like(_anywhere(member), str(take(pattern)), ignores_case)
        case Contains():
            raise TypeError("a table row has no lists")


def _anywhere(member: Member) -> Member:
    return Member(member.path, 0)


def build_order(keys: Sequence[SortKey], columns: Columns) -> list[UnaryExpression[Any]]:
    """Build the ORDER BY: nulls last ascending, first descending, ties by ascending id."""
    return [*(_build_key(columns[key.name], key) for key in keys), columns["id"].asc()]


def _build_key(column: Column[Any], key: SortKey) -> UnaryExpression[Any]:
    order = column.desc() if key.is_descending else column.asc()
    if not column.nullable:
        return order  # said of nulls that cannot be, SQLite would leave the index unused
    return order.nulls_first() if key.is_descending else order.nulls_last()


def _build_test(  # noqa: C901, PLR0911 - one branch for each kind of test
    column: Column[Any],
    test: Compare[Scalar] | Among[Scalar] | Between[Scalar] | IsNull | Like,
    bind: Bind,
) -> ColumnElement[bool]:
    def bound(value: Scalar) -> ColumnElement[Any]:
        # as parameters also true and false, which SQLAlchemy would compare by IS alone
        return bind(value, Float() if isinstance(value, float) else column.type)

    def never_null(answer: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(column.is_not(None), answer) if column.nullable else answer

    def or_null(answer: ColumnElement[bool]) -> ColumnElement[bool]:
        return or_(column.is_(None), answer) if column.nullable else answer

    match test:
        case IsNull(is_negated=is_negated):
            return column.is_not(None) if is_negated else column.is_(None)
        case Compare(comparison=Comparison.NOT_EQUAL, value=value):
            return or_null(column != bound(value))
        case Compare(comparison=comparison, value=value):
            return never_null(_COMPARE[comparison](column, bound(value)))
        case Among(values=values, is_negated=True):
            return or_null(column.not_in([bound(value) for value in values]))
        case Among(values=values):
            return never_null(column.in_([bound(value) for value in values]))
        case Between(low=low, high=high, is_negated=True):
            return or_null(or_(column < bound(low), column > bound(high)))
        case Between(low=low, high=high):
            return never_null(and_(column >= bound(low), column <= bound(high)))
        case Like(pattern=pattern, ignores_case=True):
            return never_null(column.ilike(bound(pattern), escape="\\"))
        case Like(pattern=pattern):
            return never_null(column.like(bound(pattern), escape="\\"))
