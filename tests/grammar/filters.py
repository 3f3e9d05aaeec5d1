"""Valid filters for any shape: every form of the grammar of spec §2.8."""

from collections.abc import Sequence

from hypothesis import strategies as st

from backup_api.filters import quoted
from backup_api.restores import RestoreGroup
from backup_engine.product import COMPONENTS
from backup_engine.query.shapes import Listing, Members, Plain, PlainType, Shape

# few letters, so that values meet; some beyond ASCII, some that LIKE takes for its own
TEXTS = st.text("aAbB%_\\é\u00c9ß'\" .\U0001f600", max_size=4)
NUMBERS = st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63), 1763856000000])

_COMPARISONS = st.sampled_from(["=", "!=", "<>", "^=", "<", "<=", ">", ">="])
_NEGATIONS = st.sampled_from(["", "not "])
_BLANKS = st.sampled_from(["", " ", "  "])
_PATTERNS = st.lists(
    st.sampled_from(["a", "B", "é", "É", "'", "%", "_", r"\%", r"\_", r"\\", r"\"", r"\a"]),
    max_size=5,
).map("".join)
_NUMBERS_AS_TEXT = NUMBERS.map(str) | st.sampled_from(["1.5", '"2"', "'-1'", "1e0", "-.5", "+3"])


def filters(members: Members, max_leaves: int = 6) -> st.SearchStrategy[str]:
    """Build filters on an object of this shape; every one of them is valid."""
    return _combined(_tests(members), max_leaves)


def with_words(members: Members) -> Members:
    """Name the words of enumerations that the models leave open (spec §4.0, §6.0, §8)."""
    words = {"groups": frozenset(each.value for each in RestoreGroup), "components": COMPONENTS}
    closed: dict[str, Shape] = {
        name: Listing(Plain(PlainType.CHOICE, words[name]))
        for name in words
        if name in members.shapes
    }
    if "http_method" in members.shapes:
        methods = {"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"}
        closed["http_method"] = Plain(PlainType.CHOICE, frozenset(methods))
    return Members({**members.shapes, **closed}, members.aliases)


@st.composite
def keywords(draw: st.DrawFn, text: str) -> str:
    """Draw any upper and lower case of the words in ``text`` (spec §2.8)."""
    is_upper = draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    return "".join(c.upper() if up else c for c, up in zip(text, is_upper, strict=True))


def _combined(tests: st.SearchStrategy[str], max_leaves: int) -> st.SearchStrategy[str]:
    def inner(one: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        joined = st.tuples(
            st.lists(one, min_size=2, max_size=3), st.sampled_from(["and", "AND", "or", "Or"])
        ).map(lambda pair: "(" + f" {pair[1]} ".join(pair[0]) + ")")
        negated = st.tuples(keywords("not"), one).map(lambda pair: f"{pair[0]} ({pair[1]})")
        return joined | negated | one.map("({})".format)

    return st.recursive(tests, inner, max_leaves=max_leaves)


def _tests(members: Members) -> st.SearchStrategy[str]:
    own = [
        _tests_of(name, members.shapes[members.aliases.get(name, name)])
        for name in (*members.shapes, *members.aliases)
    ]
    return st.one_of(own)


def _tests_of(ident: str, shape: Shape) -> st.SearchStrategy[str]:
    is_null = st.tuples(_NEGATIONS, keywords("null")).map(lambda p: f"{ident} is {p[0]}{p[1]}")
    match shape:
        case Plain():
            return is_null | _plain_tests(ident, shape)
        case Members(shapes=shapes):
            inner = [
                _tests_of(f"{ident}({name})", each)
                for name, each in shapes.items()
                if isinstance(each, Plain)
            ]
            return st.one_of(is_null, *inner)
        case Listing(element=element):
            return is_null | _contains(ident, element)


def _contains(ident: str, element: Shape) -> st.SearchStrategy[str]:
    word = keywords("contains")
    if isinstance(element, Members):
        one = _tests(element)
        bracketed = _combined(one, 3).map("({})".format)
        return st.tuples(word, one | bracketed).map(lambda p: f"{ident} {p[0]} {p[1]}")
    assert isinstance(element, Plain)
    plain = values(element)
    inner = _plain_tests(".", element).map("({})".format)
    return st.tuples(word, plain | inner).map(lambda p: f"{ident} {p[0]} {p[1]}")


def _plain_tests(ident: str, plain: Plain) -> st.SearchStrategy[str]:
    value = values(plain)
    forms: list[st.SearchStrategy[str]] = [
        st.tuples(_BLANKS, _COMPARISONS, _BLANKS, value).map(
            lambda p: f"{ident}{p[0]}{p[1]}{p[2]}{p[3]}"
        ),
        st.tuples(_NEGATIONS, st.lists(value, min_size=1, max_size=3)).map(
            lambda p: f"{ident} {p[0]}in ({', '.join(p[1])})"
        ),
        st.tuples(_NEGATIONS, value, value).map(
            lambda p: f"{ident} {p[0]}between {p[1]} and {p[2]}"
        ),
    ]
    if plain.type in {PlainType.TEXT, PlainType.CHOICE}:
        forms.append(
            st.tuples(keywords("like") | keywords("ilike"), _PATTERNS).map(
                lambda p: f'{ident} {p[0]} "{p[1]}"'
            )
        )
    return st.one_of(forms)


def values(plain: Plain) -> st.SearchStrategy[str]:
    """Build values of this type as they are written in a filter."""
    match plain.type:
        case PlainType.INTEGER:
            return _NUMBERS_AS_TEXT
        case PlainType.BOOLEAN:
            return st.sampled_from(["true", "false", '"true"', "'false'"])
        case PlainType.CHOICE:
            return st.sampled_from(_words(sorted(plain.choices)))
        case PlainType.TEXT:
            barewords = st.text("abAB01", min_size=1, max_size=3)
            return TEXTS.map(quoted) | TEXTS.map(_single_quoted) | barewords


def _words(choices: Sequence[str]) -> list[str]:
    bare = [word for word in choices if word.replace("_", "").isalnum()]
    return [*bare, *(quoted(word) for word in choices)]


def _single_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
