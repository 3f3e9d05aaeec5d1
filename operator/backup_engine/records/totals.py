"""Lengths of lists that were counted before, each true for one state of the database.

Counting is most of what a page of a long list costs, and between two requests of somebody who
polls, mostly nothing has changed. So each statement brings along a *mark* of the state that it saw,
and the list is counted only if the mark is another one than it was counted under. Where marks are
equal, so is all that can be seen:

- SQLite: ``data_version`` changes on a connection whenever another one has committed anything.
  Marks of two connections say nothing of each other, so each has totals of its own.
- PostgreSQL: the snapshot is the set of transactions that a statement sees. As long as nobody
  commits, on whichever engine, it is the same one. The server's start time is part of the mark,
  for a server that took over may have lost a transaction, and gives its number to another. A
  standby tells not all of its snapshot, so there is no mark on one.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Dialect, Text, literal_column

TOTALS: Final = 256
NO_MARK: Final = ""

_SQLITE: Final = "(SELECT CAST(data_version AS TEXT) FROM pragma_data_version)"
_POSTGRESQL: Final = (
    "(SELECT CASE WHEN NOT pg_is_in_recovery()"
    " THEN pg_postmaster_start_time()::text || ' ' || pg_current_snapshot()::text END)"
)


@dataclass(frozen=True, slots=True)
class Total:
    """The length of a list in the state that ``mark`` stands for."""

    mark: str
    length: int


_UNKNOWN: Final = Total(NO_MARK, 0)


class Totals:
    """Remembers the lists asked for last."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Total] = OrderedDict()

    def find(self, key: Hashable) -> Total:
        """Find what was counted last for a list; with NO_MARK, which no state has, if nothing."""
        return self._known.get(key, _UNKNOWN)

    def note(self, key: Hashable, total: Total) -> None:
        """Remember what was counted."""
        self._known[key] = total
        self._known.move_to_end(key)
        while len(self._known) > TOTALS:
            self._known.popitem(last=False)


def build_mark(dialect: Dialect) -> ColumnElement[str]:
    """Build the mark of the state that a statement sees, as a text; null: it has none."""
    written = _SQLITE if dialect.name == "sqlite" else _POSTGRESQL
    return literal_column(written, Text())
