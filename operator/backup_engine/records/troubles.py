"""Telling a database that is away from a statement that is wrong."""

import sqlite3
from typing import Self

from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class DatabaseAwayError(SQLAlchemyError):
    """The database does not answer now, or not in time: ask again later."""

    @classmethod
    def because_of(cls, trouble: BaseException) -> Self:
        """Build the error with what happened, without the statement."""
        cause = trouble.orig if isinstance(trouble, DBAPIError) and trouble.orig else trouble
        said = str(cause).partition("\n")[0]
        return cls(f"the database does not answer: {said or type(cause).__name__}")


def is_wrong_statement(trouble: BaseException | None) -> bool:
    """Tell a statement that SQLite cannot run, say for want of a table, from a troubled file."""
    origin = trouble.orig if isinstance(trouble, DBAPIError) else trouble
    return (
        isinstance(origin, sqlite3.OperationalError)
        and origin.sqlite_errorcode == sqlite3.SQLITE_ERROR
    )
