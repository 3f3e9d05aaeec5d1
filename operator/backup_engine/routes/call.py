"""One admitted request, as the endpoints see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, cast
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from backup_api.errors import FrameworkErrors
from backup_engine.api_versions import Number
from backup_engine.auth.callers import Caller
from backup_engine.auth.gate import Credential
from backup_engine.errors import RefusalError

SCOPE_KEY: Final = "backup_engine.call"
MAX_PARAMETERS: Final = 100


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

    def query(self) -> dict[str, str]:
        """The query parameters, decoded once (spec §2.8); of two alike the last counts.

        Raises RefusalError if they are not UTF-8, or too many.
        """
        try:
            pairs = parse_qsl(
                self.query_string.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )
        except ValueError as trouble:  # UnicodeDecodeError is one
            message = f"Failed to transform user query parameters: {trouble}"
            raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message) from trouble
        return dict(pairs)


async def _current_call(request: Request) -> Call:  # FastAPI would give a plain one a thread
    return cast("Call", request.scope[SCOPE_KEY])


CurrentCall = Annotated[Call, Depends(_current_call)]
