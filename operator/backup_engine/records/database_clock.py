"""The database's clock: the one that all engines on it share."""

from typing import Final

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_JULIAN_EPOCH_DAYS: Final = 2440587.5
_MS_PER_DAY: Final = 86_400_000


class DatabaseNowMs(FunctionElement[int]):
    """What time it is, epoch ms; as an expression of SQL."""

    type = BigInteger()
    inherit_cache = True


@compiles(DatabaseNowMs, "sqlite")
def _in_sqlite(_element: DatabaseNowMs, _compiler: object, **_: object) -> str:
    return f"CAST((julianday('now') - {_JULIAN_EPOCH_DAYS}) * {_MS_PER_DAY} AS INTEGER)"


@compiles(DatabaseNowMs, "postgresql")
def _in_postgresql(_element: DatabaseNowMs, _compiler: object, **_: object) -> str:
    # not now(), which stands still while a transaction waits for a lock
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
