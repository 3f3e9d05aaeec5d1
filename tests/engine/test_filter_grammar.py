from collections.abc import Mapping
from typing import Any

import pytest

from backup_api.backups import BackupRecord
from backup_api.hosts import HostRecord
from backup_engine.query.binding import bind_filter
from backup_engine.query.errors import FilterError
from backup_engine.query.filter import parse_filter
from backup_engine.query.matching import fulfils
from backup_engine.query.shapes import Members, build_members

BACKUP = build_members(BackupRecord)
HOST = build_members(HostRecord)

RECORD: Mapping[str, Any] = {
    **dict.fromkeys(BACKUP.shapes),
    "id": 5,
    "name": "Pre-upgrade",
    "description": None,
    "type": "CONFIG",
    "status": "IN_PROGRESS",
    "size_on_disk": 1000,
    "is_valid": True,
    "intiated_by": "API_user: it's",
}
CONSOLE: Mapping[str, Any] = {
    **dict.fromkeys(HOST.shapes),
    "id": 1,
    "status": "Active",
    "components": ["hostcontext", "magistrate"],
    "appliance": {"id": "3199", "type": None},
}


def holds(text: str, element: Mapping[str, Any] = RECORD, shape: Members = BACKUP) -> bool:
    return fulfils(element, bind_filter(parse_filter(text), shape))


@pytest.mark.parametrize(
    "text",
    [
        "id = 5",
        "id=5",
        'id = "5"',
        "id = +5",
        "id = 5.0",
        "id = .5e1",
        "id > -1e3",
        "type = CONFIG AND status = IN_PROGRESS",
        'status IN ("SUCCESS", IN_PROGRESS)',
        "status not in (SUCCESS)",
        "id between 5 and 5",
        "id not between 6 and 9",
        "id != 4 and id <> 4 and id ^= 4",
        "description is null",
        "name IS NOT NULL",
        "not description is not null",
        'name like "Pre%"',
        "name like 'Pre_upgrade'",
        'name ilike "pRE%"',
        "is_valid = TRUE",
        "id = 1 or id = 5 and type = CONFIG",
        "not id = 1 or id = 1",
        "not (id = 1 or id = 2)",
        r"""intiated_by = 'API_user: it\'s'""",
        """initiated_by = "API_user: it's" """,
        "name > 5",
        "name != true",
        " \t id\n= 5 ",
    ],
)
def test_a_filter_that_the_record_fulfils(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        'name like "pre%"',
        'name like "Pre"',
        r'name like "Pre\_upgrade"',
        "name = Pre",
        "id < 5",
        "id = 4.5",
        "status = SUCCESS",
        "is_valid = false",
        "(id = 1 or id = 5) and type = DATA",
        "name = like",
        "name = not",
        "name = null",
    ],
)
def test_a_filter_that_the_record_does_not_fulfil(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("description = x", False),
        ("description < x", False),
        ("description in (x)", False),
        ("description between a and z", False),
        ('description like "%"', False),
        ('description ilike "%"', False),
        ("description != x", True),
        ("description not in (x)", True),
        ("description not between a and z", True),
    ],
)
def test_a_null_operand_is_false_and_true_under_negated_tests(test: str, outcome: bool) -> None:
    assert holds(test) is outcome
    assert holds(f"not {test}") is not outcome


@pytest.mark.parametrize(
    "text",
    [
        'components contains "magistrate"',
        "components contains magistrate",
        "components contains (. = magistrate or .= qvm)",
        'components contains . like "mag%"',
        'appliance(id) = "3199"',
        'appliance(id) = 3199 or components contains "magistrate"',
        "appliance(type) is null",
        "appliance is not null",
        'status != "Deleted"',
        "not components contains qvm",
    ],
)
def test_lists_and_nested_members_of_a_host(text: str) -> None:
    assert holds(text, CONSOLE, HOST)


def test_contains_is_false_on_null() -> None:
    assert not holds("components contains x", {**CONSOLE, "components": None}, HOST)
    assert not holds("appliance(id) = x", {**CONSOLE, "appliance": None}, HOST)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("id", 3),
        ("id =", 5),
        ("id = 5 )", 8),
        ("(id = 5", 8),
        ("id == 5", 5),
        ('name not like "x"', 10),
        ("name like x", 11),
        ('name = "open', 8),
        ("nope = 1", 1),
        ("id = 1 and NAME = x", 12),
        ("id = abc", 6),
        ("id = 99999999999999999999", 6),
        ("id = 1e999999999", 6),
        ("is_valid = 1", 12),
        ("status = Success", 10),
        ("status in (SUCCESS, DONE)", 21),
        ("id isnull", 4),
        ("not not id = 1", 9),
        ("id contains 5", 1),
        ('id like "5"', 1),
        (". = 5", 1),
        ("name(id) = 5", 1),
        ("id = pre-upgrade", 9),
        (f"{'(' * 51}id = 1{')' * 51}", 51),
    ],
)
def test_a_misfit_is_reported_with_its_position(text: str, position: int) -> None:
    with pytest.raises(FilterError, match=rf"\(at character {position} of the filter\)"):
        bind_filter(parse_filter(text), BACKUP)


def test_fifty_brackets_are_read_and_brackets_in_quotes_do_not_count() -> None:
    assert holds(f"{'(' * 50}id = 5{')' * 50}")
    assert holds(f"name != '{'(' * 60}'")


def test_nesting_without_brackets_is_bounded_too() -> None:
    with pytest.raises(FilterError, match="nest deeper"):
        parse_filter("a contains " * 200 + "b = 1")


def test_a_filter_of_very_many_tests_is_refused() -> None:
    parse_filter(" or ".join(["id = 1"] * 500))
    with pytest.raises(FilterError, match="more than 500 tests"):
        parse_filter(" or ".join(["id = 1"] * 501))
