"""One admitted request, as the endpoints see it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import signature
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias, cast
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from backup_api.errors import FrameworkErrors
from backup_engine.api_versions import Number
from backup_engine.auth.callers import Caller
from backup_engine.auth.gate import Credential
from backup_engine.errors import RefusalError

SCOPE_KEY: Final = "backup_engine.call"
MAX_PARAMETERS: Final = 100
QUERIES_REMEMBERED: Final = 256
LONGEST_REMEMBERED: Final = 1000


@dataclass(slots=True)
class Call:
    """What the checks before the endpoint found out; ``subject`` is for the audit line."""

    credential: Credential
    version: Number
    headers: Mapping[str, str]  # names in lower case
    ids: Mapping[str, str]
    query_string: bytes
    body: bytes
    is_head: bool = False  # the answer's body is not sent
    subject: str | None = field(default=None)

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return self.credential.caller

    def query(self) -> Mapping[str, str]:
        """The query parameters, decoded once (spec §2.8); of two alike the last counts.

        Raises RefusalError if they are not UTF-8, or too many.
        """
        try:
            if len(self.query_string) > LONGEST_REMEMBERED:
                return _parse_query(self.query_string)
            return _remember_query(self.query_string)
        except ValueError as trouble:  # UnicodeDecodeError is one
            message = f"Failed to transform user query parameters: {trouble}"
            raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message) from trouble


def _parse_query(text: bytes) -> Mapping[str, str]:
    """Read a query string; raises ValueError."""
    pairs = parse_qsl(
        text.decode("ascii"),
        keep_blank_values=True,
        errors="strict",
        max_num_fields=MAX_PARAMETERS,
    )
    return MappingProxyType(dict(pairs))


@lru_cache(maxsize=QUERIES_REMEMBERED)
def _remember_query(text: bytes) -> Mapping[str, str]:
    """Read a query string; clients that poll send the same few again and again."""
    return _parse_query(text)


async def _current_call(request: Request) -> Call:  # FastAPI would give a plain one a thread
    return cast("Call", request.scope[SCOPE_KEY])


CurrentCall = Annotated[Call, Depends(_current_call)]

Handler: TypeAlias = Callable[[Call], Awaitable[Response]]
"""What answers an admitted request."""


def find_handlers(router: APIRouter, prefix: str) -> dict[tuple[str, str], Handler]:
    """Find the routes that ask for a call and for nothing else, by method and path."""
    return {
        (method, f"{prefix}{route.path}"): route.endpoint
        for route in router.routes
        if isinstance(route, APIRoute) and list(signature(route.endpoint).parameters) == ["call"]
        for method in route.methods or ()
    }
