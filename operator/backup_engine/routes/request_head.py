"""How long the head of a request may be, and of which HTTP: checked before who sends it."""

from typing import Final

from starlette.types import Scope

from backup_engine.errors import RefusalError
from backup_engine.routes.answers import ServerErrors

MAX_TARGET_BYTES: Final = 32 * 1024  # path and query, as sent; a filter may be long
MAX_HEADER_BYTES: Final = 32 * 1024  # names and values together
MAX_UNREAD_BYTES: Final = 128 * 1024
"""Of a head that has not come to its end: more than one within both limits can have."""

HTTP_VERSIONS: Final = frozenset({"1.0", "1.1"})

_TARGET: Final = f"Path and query are longer than {MAX_TARGET_BYTES} bytes"
_HEADERS: Final = f"The headers are longer than {MAX_HEADER_BYTES} bytes"


def check_head(scope: Scope) -> None:
    """Check a head that was read to its end; raises RefusalError."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise RefusalError(ServerErrors.TARGET_TOO_LONG, _TARGET)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise RefusalError(ServerErrors.HEADERS_TOO_LONG, _HEADERS)
    if scope["http_version"] not in HTTP_VERSIONS:
        message = f"HTTP/{scope['http_version']} is not spoken here; HTTP/1.1 is"
        raise RefusalError(ServerErrors.WRONG_HTTP, message)


def judge_unreadable(unread: bytes) -> RefusalError:
    """Tell why a head could not be read: it has no end yet and is too long, or it is no HTTP."""
    if len(unread) <= MAX_UNREAD_BYTES:
        return RefusalError(ServerErrors.BAD_SYNTAX, "Invalid HTTP request received.")
    if b"\n" in unread[:MAX_TARGET_BYTES]:
        return RefusalError(ServerErrors.HEADERS_TOO_LONG, _HEADERS)
    return RefusalError(ServerErrors.TARGET_TOO_LONG, _TARGET)
