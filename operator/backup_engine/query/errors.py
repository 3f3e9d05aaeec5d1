"""What can be wrong with a query.

QueryError
├── FilterError
├── FieldsError
└── SortError
"""


class QueryError(Exception):
    """A query parameter that cannot be understood; the text says where and why."""


class FilterError(QueryError):
    """``filter`` is malformed, names an unknown member or compares it with nonsense."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"{message} (at character {position + 1} of the filter)")
        self.position = position  # from zero


class FieldsError(QueryError):
    """``fields`` names a member that the endpoint does not have."""

    def __init__(self, name: str, problem: str = "") -> None:
        super().__init__(f'Specified field "{name}" is not recognized{problem}')
        self.name = name


class SortError(QueryError):
    """``sort`` names something that cannot be sorted by."""
