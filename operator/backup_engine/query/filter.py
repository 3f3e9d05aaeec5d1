"""Reading a ``filter`` (spec §2.8 with the rulings of §14 no. 9)."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, TypeAlias, cast

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args

from backup_engine.query.errors import FilterError
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
)

NESTING_LIMIT: Final = 50
TEST_LIMIT: Final = 500  # SQLite refuses expressions deeper than 1000, and "a or b or c" nests

# LALR with a contextual lexer: a keyword is one only where the grammar takes it, so that
# `name = like` compares with a word. Keywords end at a word boundary, else `inside` were `in`.
_GRAMMAR: Final = r"""
?start: any_of
any_of: all_of (_OR all_of)*
all_of: negation (_AND negation)*
?negation: _NOT primary                        -> negated
         | primary
?primary: "(" any_of ")"
        | test
?test: ident COMPARISON value                  -> compare
     | ident _IN values                        -> among
     | ident _NOT _IN values                   -> not_among
     | ident _BETWEEN value _AND value         -> between
     | ident _NOT _BETWEEN value _AND value    -> not_between
     | ident _IS _NULL                         -> null
     | ident _IS _NOT _NULL                    -> not_null
     | ident _LIKE QUOTED                      -> like
     | ident _ILIKE QUOTED                     -> ilike
     | ident _CONTAINS value                   -> contains_value
     | ident _CONTAINS test                    -> contains_condition
     | ident _CONTAINS "(" any_of ")"          -> contains_condition
values: "(" value ("," value)* ")"
?ident: ELEMENT                                -> element
      | NAME                                   -> name
      | NAME "(" ident ")"                     -> nested
?value: QUOTED                                 -> quoted
      | NUMBER                                 -> number
      | NAME                                   -> word
      | DIGITS_WORD                            -> word

COMPARISON: "!=" | "<>" | "^=" | "<=" | ">=" | "=" | "<" | ">"
ELEMENT: /\.(?![0-9])/
QUOTED: /"(?:\\.|[^"\\])*"/s | /'(?:\\.|[^'\\])*'/s
NUMBER.2: /[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.])/
DIGITS_WORD: /[0-9][A-Za-z0-9_]*/
NAME: /[A-Za-z_][A-Za-z0-9_]*/
_OR.3: /or(?![A-Za-z0-9_])/i
_AND.3: /and(?![A-Za-z0-9_])/i
_NOT.3: /not(?![A-Za-z0-9_])/i
_IN.3: /in(?![A-Za-z0-9_])/i
_BETWEEN.3: /between(?![A-Za-z0-9_])/i
_IS.3: /is(?![A-Za-z0-9_])/i
_NULL.3: /null(?![A-Za-z0-9_])/i
_LIKE.3: /like(?![A-Za-z0-9_])/i
_ILIKE.3: /ilike(?![A-Za-z0-9_])/i
_CONTAINS.3: /contains(?![A-Za-z0-9_])/i
%import common.WS
%ignore WS
"""

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_BRACKETS: Final = re.compile(r"""(?s)"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[()]""")
_SYNONYMS: Final = {"<>": Comparison.NOT_EQUAL, "^=": Comparison.NOT_EQUAL}

Written: TypeAlias = Condition[Literal]


def parse_filter(text: str) -> Written:
    """Read a filter; raises FilterError with the position of what is wrong."""
    _check_brackets(text)
    try:
        condition = cast("Written", _parser().parse(text))
    except UnexpectedInput as wrong:
        raise _explained(wrong, text) from wrong
    _check_size(condition)
    return condition


def iterate_parts(condition: Written) -> Iterator[tuple[int, Written]]:
    """Yield every condition inside with its depth, from 1; without recursion."""
    pending = [(1, condition)]
    while pending:
        depth, part = pending.pop()
        yield depth, part
        match part:
            case And(inner) | Or(inner):
                pending += [(depth + 1, each) for each in inner]
            case Not(opposite):
                pending.append((depth + 1, opposite))
            case Contains(condition=within) if within is not None:
                pending.append((depth + 1, within))


def _check_brackets(text: str) -> None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth > NESTING_LIMIT:
            raise FilterError(found.start(), f"brackets nest deeper than {NESTING_LIMIT}")


def _check_size(condition: Written) -> None:
    tests = 0
    for depth, part in iterate_parts(condition):
        if isinstance(part, And | Or | Not):
            continue
        tests += 1
        if tests > TEST_LIMIT:
            raise FilterError(part.member.position, f"more than {TEST_LIMIT} tests in one filter")
        if depth > 2 * NESTING_LIMIT:  # each bracket may hold an "or" of "and"s
            raise FilterError(part.member.position, f"tests nest deeper than {NESTING_LIMIT}")


def _explained(wrong: UnexpectedInput, text: str) -> FilterError:
    if isinstance(wrong, UnexpectedToken) and wrong.token.type == "$END":
        return FilterError(len(text), "the filter ends too early")
    position = cast("int | None", wrong.pos_in_stream) or 0
    return FilterError(position, f"the filter cannot be read from {text[position:][:40]!r} on")


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder())


@v_args(inline=True)
class _Builder(Transformer[Token, object]):
    """Builds the tree while the parser reads, bottom up, hence without recursion."""

    def any_of(self, *conditions: Written) -> Written:
        return conditions[0] if len(conditions) == 1 else Or(conditions)

    def all_of(self, *conditions: Written) -> Written:
        return conditions[0] if len(conditions) == 1 else And(conditions)

    def negated(self, condition: Written) -> Written:
        return Not(condition)

    def compare(self, member: Member, operator: Token, value: Literal) -> Written:
        comparison = _SYNONYMS.get(str(operator)) or Comparison(str(operator))
        return Compare(member, comparison, value)

    def among(self, member: Member, values: tuple[Literal, ...]) -> Written:
        return Among(member, values, is_negated=False)

    def not_among(self, member: Member, values: tuple[Literal, ...]) -> Written:
        return Among(member, values, is_negated=True)

    def values(self, *values: Literal) -> tuple[Literal, ...]:
        return values

    def between(self, member: Member, low: Literal, high: Literal) -> Written:
        return Between(member, low, high, is_negated=False)

    def not_between(self, member: Member, low: Literal, high: Literal) -> Written:
        return Between(member, low, high, is_negated=True)

    def null(self, member: Member) -> Written:
        return IsNull(member, is_negated=False)

    def not_null(self, member: Member) -> Written:
        return IsNull(member, is_negated=True)

    def like(self, member: Member, pattern: Token) -> Written:
        return Like(member, str(pattern)[1:-1], ignores_case=False)

    def ilike(self, member: Member, pattern: Token) -> Written:
        return Like(member, str(pattern)[1:-1], ignores_case=True)

    def contains_value(self, member: Member, value: Literal) -> Written:
        return Contains(member, value, None)

    def contains_condition(self, member: Member, condition: Written) -> Written:
        return Contains(member, None, condition)

    def element(self, token: Token) -> Member:
        return Member((), _position(token))

    def name(self, token: Token) -> Member:
        return Member((str(token),), _position(token))

    def nested(self, token: Token, inner: Member) -> Member:
        return Member((str(token), *inner.path), _position(token))

    def quoted(self, token: Token) -> Literal:
        return Literal(_ESCAPE.sub(r"\1", str(token)[1:-1]), _position(token))

    def number(self, token: Token) -> Literal:
        return Literal(str(token), _position(token))

    def word(self, token: Token) -> Literal:
        return Literal(str(token), _position(token))


def _position(token: Token) -> int:
    return token.start_pos or 0
