"""A ``filter`` and a ``sort`` as SQL (spec §2.8, §2.9), in words that every database knows.

The database must take LIKE as case-sensitive and have Unicode's ``lower``; SQLite is taught both
in ``records/sqlite.py``.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Float, and_, false, literal, not_, or_, true
from sqlalchemy.sql.elements import UnaryExpression

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
    Not,
    Or,
    Scalar,
)

Columns = Mapping[str, Column[Any]]

_COMPARE: Final[Mapping[Comparison, Callable[[Any, Any], ColumnElement[bool]]]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.GREATER: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}


def build_condition(condition: Bound, columns: Columns) -> ColumnElement[bool]:
    """Build the SQL of ``condition``; ``columns`` are filed by the wire's names of the members.

    Each test is either true or false, never NULL, else ``not`` would turn it into nothing.
    """
    match condition:
        case And(conditions):
            return and_(true(), *(build_condition(each, columns) for each in conditions))
        case Or(conditions):
            return or_(false(), *(build_condition(each, columns) for each in conditions))
        case Not(opposite):
            return not_(build_condition(opposite, columns).self_group())
        case Contains():
            raise TypeError("a table row has no lists")
        case _:
            (name,) = condition.member.path
            return _build_test(columns[name], condition)


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
) -> ColumnElement[bool]:
    def bound(value: Scalar) -> ColumnElement[Any]:
        # as parameters also true and false, which SQLAlchemy would compare by IS alone
        return literal(value, Float() if isinstance(value, float) else column.type)

    match test:
        case IsNull(is_negated=is_negated):
            return column.is_not(None) if is_negated else column.is_(None)
        case Compare(comparison=Comparison.NOT_EQUAL, value=value):
            return or_(column.is_(None), column != bound(value))
        case Compare(comparison=comparison, value=value):
            return and_(column.is_not(None), _COMPARE[comparison](column, bound(value)))
        case Among(values=values, is_negated=True):
            return or_(column.is_(None), column.not_in([bound(value) for value in values]))
        case Among(values=values):
            return and_(column.is_not(None), column.in_([bound(value) for value in values]))
        case Between(low=low, high=high, is_negated=True):
            return or_(column.is_(None), column < bound(low), column > bound(high))
        case Between(low=low, high=high):
            return and_(column.is_not(None), column >= bound(low), column <= bound(high))
        case Like(pattern=pattern, ignores_case=True):
            return and_(column.is_not(None), column.ilike(pattern, escape="\\"))
        case Like(pattern=pattern):
            return and_(column.is_not(None), column.like(pattern, escape="\\"))
