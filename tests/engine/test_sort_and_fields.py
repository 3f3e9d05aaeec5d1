from typing import Any

import pytest

from backup_api.backups import SORTABLE, BackupRecord
from backup_api.hosts import HostRecord
from backup_engine.query.errors import FieldsError, SortError
from backup_engine.query.fields import parse_fields, select
from backup_engine.query.shapes import build_members
from backup_engine.query.sort import SortKey, parse_sort

BACKUP = build_members(BackupRecord)
HOST = build_members(HostRecord)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", []),
        ("name", [("name", False)]),
        ("+name,-id", [("name", False), ("id", True)]),
        (" name", [("name", False)]),  # an unencoded plus arrives as a space
        ("-initiated_by", [("intiated_by", True)]),
        ("-intiated_by,+initiated_by", [("intiated_by", True)]),
        (r"\name", [("name", False)]),
        ("id,-id", [("id", False)]),
    ],
)
def test_a_sort_that_is_read(text: str, keys: list[tuple[str, bool]]) -> None:
    assert list(parse_sort(text, BACKUP, SORTABLE)) == [SortKey(*key) for key in keys]


@pytest.mark.parametrize(
    "text", ["nope", "is_valid", "build_version", "NAME", "name,", ",", "--name", r"name\,id"]
)
def test_a_sort_by_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SortError, match="cannot sort by"):
        parse_sort(text, BACKUP, SORTABLE)


CONSOLE: dict[str, Any] = {
    "id": 1,
    "hostname": "console",
    "appliance": {"id": "3199", "type": "Console"},
    "components": ["magistrate"],
}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", CONSOLE),
        (" ", CONSOLE),
        ("hostname , id", {"id": 1, "hostname": "console"}),
        ("appliance(type)", {"appliance": {"type": "Console"}}),
        ("id,appliance( id , type )", {"id": 1, "appliance": CONSOLE["appliance"]}),
        ("appliance(id),appliance(type)", {"appliance": CONSOLE["appliance"]}),
        ("appliance,appliance(id)", {"appliance": CONSOLE["appliance"]}),
        ("appliance(id),appliance", {"appliance": CONSOLE["appliance"]}),
        ("components", {"components": ["magistrate"]}),
    ],
)
def test_fields_keep_what_they_name(text: str, kept: dict[str, Any]) -> None:
    assert select(CONSOLE, parse_fields(text, HOST)) == kept


def test_a_null_object_stays_null_under_fields() -> None:
    assert select({"appliance": None}, parse_fields("appliance(id)", HOST)) == {"appliance": None}


def test_the_initiator_is_known_by_both_spellings_and_answered_as_the_wire_has_it() -> None:
    record = {"id": 1, "intiated_by": "me"}
    for spelling in ("initiated_by", "intiated_by"):
        assert select(record, parse_fields(spelling, BACKUP)) == {"intiated_by": "me"}


@pytest.mark.parametrize(
    "text",
    [
        "nope",
        "ID",
        "id,",
        ",id",
        "id,,hostname",
        "id(x)",
        "components(x)",
        "appliance(",
        "appliance()",
        "appliance(id",
        "appliance(id))",
        "appliance(nope)",
        "(id)",
        "id)",
    ],
)
def test_malformed_or_unknown_fields_are_refused(text: str) -> None:
    with pytest.raises(FieldsError, match=r"Specified field \".*\" is not recognized"):
        parse_fields(text, HOST)
