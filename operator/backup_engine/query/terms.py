"""A ``filter`` as a tree (spec §2.8).

Every node is generic over its operands: Literal as written, Scalar once the types of the members
are known (``query/binding.py``). Conditions are two-valued: null is an operand, never an answer.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Generic, TypeAlias, TypeVar, Union

Scalar: TypeAlias = int | float | str | bool

Operand = TypeVar("Operand")


@unique
class Comparison(StrEnum):
    """Comparison operators; the synonyms of "not equal" are one."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written, without its quotes and escapes; ``position`` counts from zero."""

    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Member:
    """Names from the object inwards; none at all (written ``.``) is the element itself."""

    path: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Compare(Generic[Operand]):
    """``member = value`` and its kind."""

    member: Member
    comparison: Comparison
    value: Operand


@dataclass(frozen=True, slots=True)
class Among(Generic[Operand]):
    """``member in (…)`` or, negated, ``not in``."""

    member: Member
    values: tuple[Operand, ...]
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Between(Generic[Operand]):
    """``member between low and high``, both ends included."""

    member: Member
    low: Operand
    high: Operand
    is_negated: bool


@dataclass(frozen=True, slots=True)
class IsNull:
    """``member is null`` or, negated, ``is not null``."""

    member: Member
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Like:
    """``member like pattern``; the escapes are still in the pattern."""

    member: Member
    pattern: str
    ignores_case: bool


@dataclass(frozen=True, slots=True)
class Contains(Generic[Operand]):
    """Some element of the list ``member`` equals a value, or fulfils a condition of its own."""

    member: Member
    value: Operand | None
    condition: Union["Condition[Operand]", None]


@dataclass(frozen=True, slots=True)
class Not(Generic[Operand]):
    """The opposite."""

    condition: "Condition[Operand]"


@dataclass(frozen=True, slots=True)
class And(Generic[Operand]):
    """All of them."""

    conditions: tuple["Condition[Operand]", ...]


@dataclass(frozen=True, slots=True)
class Or(Generic[Operand]):
    """At least one of them."""

    conditions: tuple["Condition[Operand]", ...]


Condition: TypeAlias = (
    Compare[Operand]
    | Among[Operand]
    | Between[Operand]
    | IsNull
    | Like
    | Contains[Operand]
    | Not[Operand]
    | And[Operand]
    | Or[Operand]
)
