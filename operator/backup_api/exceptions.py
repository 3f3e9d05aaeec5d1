"""What can go wrong between a client and a server of the backup API.

BackupApiError
├── NotSentError
├── LostAnswerError
├── MalformedAnswerError
└── RefusedError
"""

from backup_api.endpoints import Endpoint
from backup_api.errors import EndpointErrors, ErrorClass


class BackupApiError(Exception):
    """Base of everything the client raises; ``error_class`` says what can be done about it."""

    error_class: ErrorClass = ErrorClass.TRANSIENT

    def __init__(self, endpoint: Endpoint, message: str) -> None:
        super().__init__(f"{endpoint}: {message}")
        self.endpoint = endpoint
        self.message = message


class NotSentError(BackupApiError):
    """No connection came about, so the server has not seen the request: it may be repeated."""


class LostAnswerError(BackupApiError):
    """The request went out and no answer came back: the server may have acted on it.

    After a POST look at the server's state before asking again (spec §2.11).
    """


class MalformedAnswerError(BackupApiError):
    """The answer is not what the API promises: an HTML page, cut JSON, another shape.

    After a POST the server may have acted on the request.
    """

    def __init__(self, endpoint: Endpoint, http_status: int, message: str) -> None:
        super().__init__(endpoint, f"HTTP {http_status}: {message}")
        self.http_status = http_status


class RefusedError(BackupApiError):
    """The server said no, in the API's error body (spec §2.11).

    Branch on ``row`` (None: a code that the spec does not list for this endpoint) or on
    ``error_class``; never on texts.
    """

    def __init__(
        self, endpoint: Endpoint, http_status: int, code: int, message: str, description: str = ""
    ) -> None:
        super().__init__(endpoint, f"HTTP {http_status}, code {code}: {message or description}")
        self.http_status = http_status
        self.code = code
        self.wire_message = message or description
        self.row: EndpointErrors | None = endpoint.find_refusal(http_status, code)
        self.error_class = endpoint.error_class(http_status, code)
