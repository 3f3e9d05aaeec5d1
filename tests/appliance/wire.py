"""What goes in and comes out of the fake: requests, answers, refusals (spec §2.11)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from multidict import CIMultiDictProxy, MultiMapping

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Record = dict[str, Json]

CATEGORIES: Mapping[int, str] = {
    400: "The request has a bad syntax",
    401: "You are not logged in",
    403: "You are not allowed to do this",
    404: "Resource not found",
    405: "Method not allowed here",
    406: "None of the accepted types is offered",
    409: "Conflict with the current state",
    413: "Request body is too large",
    417: "The expectation cannot be met",
    415: "Request body has an unsupported type",
    422: "Request is well-formed but semantically wrong",
    500: "Internal error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
    550: "Services failed to initialise",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body read. ``body`` None: beyond the size limit, so never kept."""

    method: str
    path: str
    query: MultiMapping[str]
    headers: CIMultiDictProxy[str]
    cookies: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and JSON of one answer."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818 - an answer of the server rather than an error of the fake
    """The server says no: HTTP status, unique code, concrete message, text of the code."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        description: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status}/{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.description = description
        self.headers = dict(headers or {})


def error_body(status: int, code: int, message: str, description: str = "") -> Json:
    """Build the error body (spec §2.11)."""
    category = CATEGORIES.get(status, "Request failed")
    return {
        "http_response": {"code": status, "message": category},
        "code": code,
        "description": description,
        "details": {},
        "message": message,
    }


def refused(refusal: Refusal) -> Answer:
    """Turn a refusal into its answer."""
    body = error_body(refusal.status, refusal.code, refusal.message, refusal.description)
    return Answer(refusal.status, body, refusal.headers)
