import yaml
from hypothesis import given
from hypothesis import strategies as st

from backup_engine.browse.rendering import to_yaml

TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(DOCUMENTS)
def test_a_document_is_read_back_as_it_was(document: object) -> None:
    assert yaml.safe_load(to_yaml(document)) == document


def test_texts_that_kubectl_would_take_for_numbers_or_booleans_are_quoted() -> None:
    for text in ("1e3", "0o17", "y", "N", "+1", ".5", "1_000", "0x1F", "12:30", "2001-01-01"):
        assert to_yaml({"a": text}) == f"a: '{text}'\n"


def test_lines_stay_lines() -> None:
    assert to_yaml({"a": "one\ntwo\n"}) == "a: |\n  one\n  two\n"
