"""What is asked of the database for a page of a list, and what is told of its length."""

from collections.abc import Generator, Sequence

import pytest

from backup_engine.records.backup_lists import PageSelect, Stretch
from backup_engine.records.selects import CompiledSelect, Row, Statement
from backup_engine.records.totals import Total, Totals

MARK, TOTAL = "mark of the state", "total of the list"
PAGE = PageSelect(
    CompiledSelect("rows", ("row_limit", "row_offset"), ("id", MARK), ()),
    CompiledSelect("count", (), (TOTAL, MARK), ()),
    CompiledSelect("together", ("row_limit", "row_offset"), ("id", MARK, TOTAL), ()),
)


def drive(
    asking: Generator[Statement, Sequence[Row], Stretch], *answers: tuple[str, Sequence[Row]]
) -> Stretch:
    """Answer each statement, which must be the expected one, until the end."""
    sql, _ = next(asking)
    for number, (expected, rows) in enumerate(answers, start=1):
        assert sql == expected
        try:
            sql, _ = asking.send(rows)
        except StopIteration as end:
            assert number == len(answers)
            stretch: Stretch = end.value
            return stretch
    pytest.fail(f"asked for {sql}, too")


def read(first: int, totals: Totals) -> Generator[Statement, Sequence[Row], Stretch]:
    return PAGE.read({"row_limit": 2, "row_offset": first}, "key", totals)


@pytest.mark.parametrize(
    ("first", "rows", "total"), [(0, [], 0), (0, [(1, "a")], 1), (4, [(5, "a")], 5)]
)
def test_a_page_that_reaches_the_end_tells_the_length_by_itself(
    first: int, rows: list[Row], total: int
) -> None:
    found, told = drive(read(first, Totals()), ("rows", rows))
    assert (len(found), told) == (len(rows), total)


def test_a_full_page_is_counted_once_in_each_state() -> None:
    totals = Totals()
    full = [(1, "a"), (2, "a")]
    assert drive(read(0, totals), ("rows", full), ("count", [(7, "a")])) == (
        [{"id": 1}, {"id": 2}],
        7,
    )
    assert drive(read(0, totals), ("rows", full))[1] == 7
    changed = [(1, "b"), (2, "b")]
    assert drive(read(0, totals), ("rows", changed), ("count", [(8, "b")]))[1] == 8


def test_rows_and_length_of_two_states_are_asked_for_together() -> None:
    totals = Totals()
    asked = (("rows", [(1, "a"), (2, "a")]), ("count", [(1, "b")]))
    assert drive(read(0, totals), *asked, ("together", [(2, "c", 1)])) == ([{"id": 2}], 1)
    assert totals.find("key") == Total("c", 1)
    assert drive(read(0, totals), *asked, ("together", [])) == ([], 1)


def test_a_database_without_marks_is_never_believed_to_be_unchanged() -> None:
    totals = Totals()
    rows = ("rows", [(1, None), (2, None)])
    together = ("together", [(1, None, 9), (2, None, 9)])
    for _ in range(2):
        assert drive(read(0, totals), rows, ("count", [(9, None)]), together)[1] == 9


def test_a_page_past_the_end_is_counted() -> None:
    totals = Totals()
    assert drive(read(6, totals), ("rows", []), ("count", [(3, "a")])) == ([], 3)
    assert drive(read(0, totals), ("rows", [(1, "a"), (2, "a")])) == ([{"id": 1}, {"id": 2}], 3)
