"""How a server describes its own API on the wire: /help (spec §8)."""

from enum import StrEnum
from typing import Annotated

from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.wire import WireRecord, known_word


class ParameterPlace(StrEnum):
    """Where a parameter travels (spec §8)."""

    QUERY = "QUERY"
    HEADER = "HEADER"
    PATH = "PATH"
    BODY = "BODY"


class ParameterMimeType(WireRecord):
    """A form that a parameter takes."""

    mime_type: str | None = None
    data_type: str | None = None
    sample: str | None = None


class ParameterDescription(WireRecord):
    """One parameter of an endpoint."""

    parameter_name: str
    type: Annotated[ParameterPlace | None, known_word(ParameterPlace)] = None
    default_value: str | None = None
    description: str | None = None
    mime_types: tuple[ParameterMimeType, ...] = ()


class ResponseMimeType(WireRecord):
    """A form that an answer takes."""

    mime_type: str | None = None
    media_type: str | None = None
    sample: str | None = None


class SuccessDescription(WireRecord):
    """An answer below 400."""

    response_code: int
    response_code_description: str | None = None
    description: str | None = None


class RefusalDescription(WireRecord):
    """A refusal: HTTP status and unique code."""

    response_code: int
    response_code_description: str | None = None
    unique_code: int | None = None
    description: str | None = None


class EndpointDescription(WireRecord):
    """One endpoint in one version; ``id`` changes when the server restarts (spec §8).

    ``caller_has_access`` tells whether the credentials of this request may call it.
    """

    id: int
    version: str | None = None
    last_modified_version: str | None = None
    path: str | None = None
    http_method: str | None = None
    summary: str | None = None
    description: str | None = None
    deprecated: bool | None = None
    caller_has_access: bool | None = None
    resource_id: int | None = None
    response_description: str | None = None
    parameters: tuple[ParameterDescription, ...] = ()
    response_mime_types: tuple[ResponseMimeType, ...] = ()
    success_responses: tuple[SuccessDescription, ...] = ()
    error_responses: tuple[RefusalDescription, ...] = ()


class ResourceDescription(WireRecord):
    """One resource of the tree of paths (spec §8)."""

    id: int
    version: str | None = None
    resource: str | None = None
    path: str | None = None
    parent_resource_id: int | None = None
    child_resource_ids: tuple[int, ...] = ()
    endpoint_ids: tuple[int, ...] = ()


class ListDescriptionsErrors(EndpointErrors):
    """Refusals of the lists below /help (spec §8)."""

    UNREADABLE = 500, 1020, TRANSIENT, "The description could not be read."


class GetDescriptionErrors(EndpointErrors):
    """Refusals of the single reads below /help (spec §8)."""

    UNKNOWN_ID = 404, 1002, FINAL, "There is nothing described under this id."
    UNREADABLE = 500, 1020, TRANSIENT, "The description could not be read."
