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

_VERSION_PROBLEM: Final = "Invalid HTTP version"  # as the parser says it
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
    hosts = sum(name == b"host" for name, _ in scope["headers"])
    if hosts > 1 or (not hosts and scope["http_version"] == "1.1"):  # RFC 9112 §3.2
        message = f"Expected one Host header, found {hosts}"
        raise RefusalError(ServerErrors.BAD_SYNTAX, message)


def judge_unreadable(target_bytes: int, head_bytes: int, problem: str = "") -> RefusalError:
    """Tell why a head could not be read: it has no end and is too long, or it is no HTTP.

    ``target_bytes`` and ``head_bytes`` are what was read of them; ``problem`` is the parser's word.
    """
    if target_bytes > MAX_TARGET_BYTES:
        return RefusalError(ServerErrors.TARGET_TOO_LONG, _TARGET)
    if head_bytes > MAX_UNREAD_BYTES:
        return RefusalError(ServerErrors.HEADERS_TOO_LONG, _HEADERS)
    if _VERSION_PROBLEM in problem:
        return RefusalError(ServerErrors.WRONG_HTTP, "HTTP/1.1 is spoken here")
    said = f": {problem}" if problem.isascii() and problem.isprintable() else ""
    return RefusalError(ServerErrors.BAD_SYNTAX, f"Invalid HTTP request received{said}")
