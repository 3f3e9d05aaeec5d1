"""The ``filter`` parameter: a recursive descent over the grammar of spec §2.8."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from appliance.shapes import Kind, Member, Shape
from appliance.wire import Json, Refusal

Predicate = Callable[[Json], bool]
Operand = str | bool | int | Decimal

DEEPEST = 50  # spec §14 no. 9

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.]))
    | (?P<word>[A-Za-z0-9_]+)
    | (?P<compare>!=|<>|\^=|<=|>=|=|<|>)
    | (?P<mark>[(),.])
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_LONG = re.compile(r"[+-]?\d+", re.ASCII)
_COMPARISONS: dict[str, Callable[[Operand, Operand], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "^=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TRUE_OF_NULL = frozenset({"!=", "<>", "^="})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    def says(self, *words: str) -> bool:
        return self.kind in {"word", "mark", "compare"} and self.text.lower() in words


def parse_filter(text: str, shape: Shape) -> Predicate:
    """Compile ``text``; every trouble is a 422/11 that names the position (spec §14 no. 9)."""
    return _Parser(text, shape).parse()


class _Parser:
    def __init__(self, text: str, shape: Shape) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self._scope = shape

    def parse(self) -> Predicate:
        found = self._or()
        if self._peek().kind != "end":
            self._fail("expected the end")
        return found

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _took(self, *words: str) -> bool:
        if self._peek().says(*words):
            self._next += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._took(mark):
            self._fail(f"expected {mark!r}")

    def _fail(self, trouble: str) -> NoReturn:
        token = self._peek()
        raise _refusal(f"{trouble}, found {token.text or 'the end'!r}", token.position)

    def _or(self) -> Predicate:
        parts = [self._and()]
        while self._took("or"):
            parts.append(self._and())
        return lambda row: any(part(row) for part in parts)

    def _and(self) -> Predicate:
        parts = [self._not()]
        while self._took("and"):
            parts.append(self._not())
        return lambda row: all(part(row) for part in parts)

    def _not(self) -> Predicate:
        if self._took("not"):
            inner = self._primary()
            return lambda row: not inner(row)
        return self._primary()

    def _primary(self) -> Predicate:
        if not self._peek().says("("):
            return self._test()
        self._deeper()
        self._take()
        inner = self._or()
        self._expect(")")
        self._depth -= 1
        return inner

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"nested deeper than {DEEPEST}")

    def _test(self) -> Predicate:
        path, member = self._ident(self._scope)
        token = self._peek()
        if token.kind == "compare":
            return self._comparison(path, member)
        if self._took("is"):
            is_not = self._took("not")
            if not self._took("null"):
                self._fail("expected null")
            return lambda row: (_at(row, path) is None) != is_not
        if self._took("like", "ilike"):
            return self._like(path, member, ignore_case=token.text.lower() == "ilike")
        if self._took("contains"):
            return self._contains(path, member)
        return self._in_or_between(path, member)

    def _in_or_between(self, path: tuple[str, ...], member: Member) -> Predicate:
        negated = self._took("not")
        if self._took("in"):
            return self._in(path, member, negated)
        if not self._took("between"):
            self._fail("expected a comparison")
        return self._between(path, member, negated)

    def _ident(self, scope: Shape) -> tuple[tuple[str, ...], Member]:
        token = self._peek()
        if token.kind != "word" and not token.says("."):
            self._fail("expected a name")
        member = scope.get(token.text)
        if member is None:
            self._fail("unknown name")
        self._take()
        step = () if token.text == "." else (member.alias_of or token.text,)
        if token.text == "." or not self._took("("):
            return step, member
        rest, inner = self._ident(member.members)
        self._expect(")")
        return step + rest, inner

    def _comparison(self, path: tuple[str, ...], member: Member) -> Predicate:
        sign = self._take().text
        compare = _COMPARISONS[sign]
        wanted = self._value(member)

        def holds(row: Json) -> bool:
            found = _operand(_at(row, path))
            return sign in _TRUE_OF_NULL if found is None else compare(found, wanted)

        return holds

    def _in(self, path: tuple[str, ...], member: Member, negated: bool) -> Predicate:
        self._expect("(")
        wanted = [self._value(member)]
        while self._took(","):
            wanted.append(self._value(member))
        self._expect(")")
        return lambda row: (_at(row, path) in wanted) != negated

    def _between(self, path: tuple[str, ...], member: Member, negated: bool) -> Predicate:
        low = self._value(member)
        if not self._took("and"):
            self._fail("expected 'and'")
        high = self._value(member)

        def holds(row: Json) -> bool:
            found = _operand(_at(row, path))
            inside = found is not None and _COMPARISONS["<="](low, found)
            return (inside and found is not None and _COMPARISONS["<="](found, high)) != negated

        return holds

    def _like(self, path: tuple[str, ...], member: Member, ignore_case: bool) -> Predicate:
        token = self._peek()
        if token.kind != "quoted":
            self._fail("expected a quoted pattern")
        if member.kind not in {Kind.TEXT, Kind.WORD}:
            self._fail("only texts have patterns")
        self._take()
        pattern = _pattern(token.text[1:-1], re.IGNORECASE if ignore_case else 0)

        def holds(row: Json) -> bool:
            found = _at(row, path)
            return isinstance(found, str) and pattern.fullmatch(found) is not None

        return holds

    def _contains(self, path: tuple[str, ...], member: Member) -> Predicate:
        element = member.element
        if element is None:
            self._fail("contains needs a list")
        outer, self._scope = self._scope, element.members or {".": element}
        token = self._peek()
        if token.says("("):
            inner = self._primary()
        elif token.says(".") or element.members:
            inner = self._test()
        else:
            wanted = self._value(element)
            inner = lambda row: row == wanted  # noqa: E731 - a predicate like its neighbours
        self._scope = outer

        def holds(row: Json) -> bool:
            found = _at(row, path)
            return isinstance(found, list) and any(inner(one) for one in found)

        return holds

    def _value(self, member: Member) -> Operand:
        token = self._peek()
        if token.kind not in {"quoted", "number", "word"}:
            self._fail("expected a value")
        try:
            operand = _converted(token, member)
        except (ValueError, InvalidOperation):
            self._fail(f"no value of type {member.kind.name}")
        self._take()
        return operand


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _refusal(f"cannot read {text[position : position + 20]!r}", position)
        kind = match.lastgroup
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return [*tokens, _Token("end", "", end)]


def _refusal(trouble: str, position: int) -> Refusal:
    message = f'Failed to transform user query parameter "filter": {trouble}'
    return Refusal(422, 11, f"{message} at position {position}")


def _converted(token: _Token, member: Member) -> Operand:
    text = re.sub(r"(?s)\\(.)", r"\1", token.text[1:-1]) if token.kind == "quoted" else token.text
    match member.kind:
        case Kind.TEXT:
            return f"/{text.removeprefix('/')}" if member.is_path else text
        case Kind.WORD if text in member.words:
            return text
        case Kind.BOOLEAN if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        case Kind.LONG if token.kind == "number":
            return Decimal(text)
        case Kind.LONG if _LONG.fullmatch(text):
            return int(text)
    raise ValueError(text)


def _at(row: Json, path: tuple[str, ...]) -> Json:
    for step in path:
        row = row.get(step) if isinstance(row, dict) else None
    return row


def _operand(found: Json) -> Operand | None:
    return found if isinstance(found, str | bool | int) else None


def _pattern(text: str, flags: int) -> re.Pattern[str]:
    parts = []
    for found in re.finditer(r"(?s)\\(.)|(.)", text):
        match found[2]:
            case None:
                parts.append(re.escape(found[1]))
            case "%":
                parts.append(".*")
            case "_":
                parts.append(".")
            case character:
                parts.append(re.escape(character))
    return re.compile("".join(parts), flags | re.DOTALL)
