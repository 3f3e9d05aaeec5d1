"""Giving the names and values of a ``filter`` the types of an object (spec §14 no. 9)."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from backup_api.paging import MAX_POSITION as LONGEST
from backup_engine.query.errors import FilterError
from backup_engine.query.filter import Written
from backup_engine.query.shapes import Listing, Members, Plain, PlainType, Shape
from backup_engine.query.terms import (
    Among,
    And,
    Between,
    Compare,
    Comparison,
    Condition,
    Contains,
    IsNull,
    Like,
    Literal,
    Member,
    Not,
    Or,
    Scalar,
)

Bound: TypeAlias = Condition[Scalar]

_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
_LONG_DIGITS: Final = 19
_BOOLEANS: Final = {"true": True, "false": False}


def bind_filter(  # noqa: PLR0911 - one for each kind of node
    written: Written, shape: Shape
) -> Bound:
    """Resolve names and convert values; raises FilterError with the position of the first misfit.

    Aliases are replaced by the member's own name, so that the result knows one spelling only.
    """
    match written:
        case And(conditions):
            return And(tuple(bind_filter(each, shape) for each in conditions))
        case Or(conditions):
            return Or(tuple(bind_filter(each, shape) for each in conditions))
        case Not(condition):
            return Not(bind_filter(condition, shape))
        case IsNull(member, is_negated):
            return IsNull(_resolve(member, shape)[0], is_negated)
        case Contains(member, value, condition):
            return _bind_contains(member, value, condition, shape)
        case Like(member, pattern, ignores_case):
            return _bind_like(member, pattern, ignores_case, shape)
        case Compare(member, comparison, value):
            bound, plain = _resolve_plain(member, shape)
            return Compare(bound, comparison, _convert(value, plain))
        case Among(member, values, is_negated):
            bound, plain = _resolve_plain(member, shape)
            return Among(bound, tuple(_convert(each, plain) for each in values), is_negated)
        case Between(member, low, high, is_negated):
            bound, plain = _resolve_plain(member, shape)
            return Between(bound, _convert(low, plain), _convert(high, plain), is_negated)


def _bind_contains(
    member: Member, value: Literal | None, condition: Written | None, shape: Shape
) -> Bound:
    bound, found = _resolve(member, shape)
    if not isinstance(found, Listing):
        raise FilterError(member.position, f"{_spelled(member)} is not a list, so contains fails")
    if condition is not None:
        return Contains(bound, None, bind_filter(condition, found.element))
    assert value is not None
    if not isinstance(found.element, Plain):
        message = f"{_spelled(member)} holds objects: give a test in brackets, not a value"
        raise FilterError(value.position, message)
    element = Member((), value.position)
    converted = _convert(value, found.element)
    return Contains(bound, None, Compare(element, Comparison.EQUAL, converted))


def _bind_like(member: Member, pattern: str, ignores_case: bool, shape: Shape) -> Bound:
    bound, plain = _resolve_plain(member, shape)
    if plain.type not in {PlainType.TEXT, PlainType.CHOICE}:
        message = f"like needs text, but {_spelled(member)} is of type {plain.type.value}"
        raise FilterError(member.position, message)
    if "\0" in pattern:
        raise FilterError(member.position, "a pattern must not hold NUL")
    return Like(bound, pattern, ignores_case)


def _resolve_plain(member: Member, shape: Shape) -> tuple[Member, Plain]:
    bound, found = _resolve(member, shape)
    if not isinstance(found, Plain):
        message = f"{_spelled(member)} is not a plain value and cannot be compared"
        raise FilterError(member.position, message)
    return bound, found


def _resolve(member: Member, shape: Shape) -> tuple[Member, Shape]:
    path: list[str] = []
    for name in member.path:
        own_name = shape.find_name(name) if isinstance(shape, Members) else None
        if own_name is None:
            raise FilterError(member.position, f"there is no member {_spelled(member)}")
        assert isinstance(shape, Members)
        path.append(own_name)
        shape = shape.shapes[own_name]
    return Member(tuple(path), member.position), shape


def _spelled(member: Member) -> str:
    if not member.path:
        return "."
    return "(".join(member.path) + ")" * (len(member.path) - 1)


def _convert(literal: Literal, plain: Plain) -> Scalar:
    value: Scalar | None
    match plain.type:
        case PlainType.TEXT:
            value = literal.text if "\0" not in literal.text else None
            expected = "a text without NUL"
        case PlainType.CHOICE:
            value = literal.text if literal.text in plain.choices else None
            expected = "one of " + ", ".join(sorted(plain.choices))
        case PlainType.BOOLEAN:
            value = _BOOLEANS.get(literal.text.lower())
            expected = "true or false"
        case _:
            value = _find_number(literal.text)
            expected = "a number of 64 bits"
    if value is None:
        raise FilterError(literal.position, f"{literal.text[:40]!r} is not {expected}")
    return value


def _find_number(text: str) -> int | float | None:
    """The number that ``text`` writes; a float only where it has a fraction."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    if exact.adjusted() > _LONG_DIGITS:  # 1e999999 as an integer would fill the memory
        return None
    if exact != exact.to_integral_value():
        return float(exact)
    number = int(exact)
    return number if -LONGEST - 1 <= number <= LONGEST else None
