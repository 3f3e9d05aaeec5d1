"""Answers as bytes: JSON, and the error body that every refusal has (spec §2.11)."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from backup_api.endpoints import Endpoint
from backup_api.errors import EndpointErrors, ErrorBody, ErrorClass, HttpResponse
from backup_engine.query.shapes import JsonValue
from backup_engine.routes.table import Operation

CATEGORIES: Final[Mapping[int, str]] = {
    400: "Bad syntax of the request",
    401: "Not authenticated",
    403: "Not allowed for this caller",
    404: "Resource not found",
    405: "Method not allowed",
    406: "No acceptable response type",
    408: "Request took too long",
    409: "Conflict with the current state",
    413: "Request body too large",
    414: "Request URI too long",
    415: "Unsupported type of request body",
    416: "Range outside of the content",
    417: "Expectation cannot be met",
    422: "Request is semantically wrong",
    500: "Internal error",
    503: "Service unavailable",
    505: "HTTP version not supported",
}
"""One fixed text per HTTP status (spec §2.11)."""


class ServerErrors(EndpointErrors):
    """Refusals of the engine itself, which belong to no endpoint."""

    BAD_SYNTAX = 400, 0, ErrorClass.FINAL, "The request is no HTTP."
    HEADERS_TOO_LONG = 400, 0, ErrorClass.FINAL, "The headers are too long."
    TARGET_TOO_LONG = 414, 0, ErrorClass.FINAL, "Path and query are too long."
    WRONG_HTTP = 505, 0, ErrorClass.FINAL, "The engine speaks HTTP/1.0 and HTTP/1.1."
    INTERNAL = 500, 0, ErrorClass.TRANSIENT, "The engine failed."
    TOO_SLOW = 408, 0, ErrorClass.TRANSIENT, "The body did not arrive in time."
    UNAVAILABLE = 503, 0, ErrorClass.TRANSIENT, "The engine cannot serve the request now."


def build_answer(
    content: JsonValue, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Build an answer with a JSON body."""
    body = msgspec.json.encode(content)
    return Response(body, status, dict(headers or {}), media_type="application/json")


def build_refusal(
    row: EndpointErrors, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Build the answer that refuses a request with ``row``."""
    body = ErrorBody(
        http_response=HttpResponse(code=row.http_status, message=CATEGORIES[row.http_status]),
        code=row.code,
        description=row.description,
        message=message,
    )
    return build_answer(body.model_dump(mode="json"), row.http_status, headers)


def find_server_error(operation: Operation | None) -> EndpointErrors:
    """The row that a bug answers: the endpoint's own of status 500, where it has one."""
    endpoint = operation.endpoint if operation is not None else None
    return ServerErrors.INTERNAL if endpoint is None else find_own_server_error(endpoint)


def find_own_server_error(endpoint: Endpoint) -> EndpointErrors:
    """The row of ``endpoint`` of status 500; the engine's where it has none."""
    own = (row for row in endpoint.refusals if row.http_status == ServerErrors.INTERNAL.http_status)
    return next(own, ServerErrors.INTERNAL)
