import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_engine.capture.errors import CaptureError
from backup_engine.capture.split import parse_page, split

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
METADATA = st.fixed_dictionaries(
    {"name": st.text(min_size=1)},
    optional={
        "namespace": st.text(min_size=1),
        "uid": st.text(),
        "resourceVersion": st.text(),
        "labels": st.dictionaries(st.text(), st.text(), max_size=3),
    },
)
OBJECTS = st.fixed_dictionaries(
    {"metadata": METADATA},
    optional={"spec": JSON_VALUES, "data": JSON_VALUES, "kindred": st.text()},
)
IDENTITY = st.sampled_from(
    [
        {},
        {"apiVersion": "example.io/v1"},
        {"kind": "Widget"},
        {"apiVersion": "example.io/v1", "kind": "Widget"},
    ]
)


def a_page(objects: list[dict[str, Any]], *, indent: int | None, escapes: bool) -> bytes:
    page = {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": objects}
    return json.dumps(page, indent=indent, ensure_ascii=escapes).encode()


@given(
    objects=st.lists(st.builds(lambda own, rest: own | rest, IDENTITY, OBJECTS), max_size=5),
    indent=st.sampled_from([None, 2]),
    escapes=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_object_comes_out_whole_on_one_line_and_with_its_identity(
    objects: list[dict[str, Any]], indent: int | None, escapes: bool
) -> None:
    page = parse_page(a_page(objects, indent=indent, escapes=escapes), "widgets")

    found = list(split(page.items or [], "example.io/v1", "Widget"))

    assert [json.loads(one.line) for one in found] == [
        {"apiVersion": "example.io/v1", "kind": "Widget"} | one for one in objects
    ]
    assert all(b"\n" not in one.line for one in found)
    assert [one.name for one in found] == [one["metadata"]["name"] for one in objects]
    assert [one.namespace for one in found] == [one["metadata"].get("namespace") for one in objects]


def test_the_bytes_of_a_complete_object_are_those_of_the_server() -> None:
    item = (
        b'{"kind":"Widget","apiVersion":"x/v1","n":1.50e3,"big":9007199254740993,'
        b'"metadata":{"name":"\\u00e9"}}'
    )
    page = parse_page(b'{"metadata":{},"items":[' + item + b"]}", "widgets")

    (found,) = split(page.items or [], "other/v2", "Other")

    assert found.line == item
    assert found.name == "é"


def test_a_member_named_kind_deeper_down_is_not_taken_for_the_objects_own() -> None:
    item = b'{"metadata":{"name":"a"},"roleRef":{"kind":"Role","apiVersion":"x/v9"}}'
    page = parse_page(b'{"metadata":{},"items":[' + item + b"]}", "bindings")

    (found,) = split(page.items or [], "rbac/v1", "RoleBinding")

    assert json.loads(found.line)["kind"] == "RoleBinding"
    assert found.line.endswith(item[1:])


def test_an_object_of_megabytes_is_kept_whole() -> None:
    item = json.dumps({"metadata": {"name": "a"}, "data": {"x": "y" * 3_000_000}}).encode()
    page = parse_page(b'{"metadata":{},"items":[' + item + b"]}", "configmaps")

    (found,) = split(page.items or [], "v1", "ConfigMap")

    assert len(json.loads(found.line)["data"]["x"]) == 3_000_000


@pytest.mark.parametrize("items", ["null", "[]"])
def test_a_list_without_items_is_an_empty_one(items: str) -> None:
    page = parse_page(b'{"metadata":{},"items":' + items.encode() + b"}", "widgets")

    assert list(split(page.items or [], "v1", "Widget")) == []


@pytest.mark.parametrize("item", [b"{}", b"[]", b'{"metadata":{}}', b"7"])
def test_an_item_without_a_name_is_refused(item: bytes) -> None:
    with pytest.raises(CaptureError) as caught:
        list(split([msgspec.Raw(item)], "v1", "Widget"))

    assert caught.value.reason == "UnreadableAnswer"


def test_a_page_cut_short_is_refused() -> None:
    with pytest.raises(CaptureError) as caught:
        parse_page(b'{"metadata":{},"items":[{"metadata":{"na', "widgets")

    assert caught.value.reason == "UnreadableAnswer"
