"""Refusals on the wire: the error body and the codes of every endpoint, as data (spec §2.11).

A code has its meaning on one endpoint only: 1011 is "deploy first" on one and "another restore is
open" on the next (spec §12 no. 14). So each endpoint has its own enumeration, and nothing here
looks a bare code up.
"""

from enum import Enum, StrEnum, unique

from pydantic import Field

from backup_api.wire import WireRecord


@unique
class ErrorClass(StrEnum):
    """What a client can do about a refusal (spec §2.11, §3.2 column "Class")."""

    FINAL = "final"  # the request itself is wrong: repeating it changes nothing
    BUSY = "busy"  # a running job stands in the way: wait, then ask again
    DEPLOY = "deploy"  # staged changes stand in the way: deploy, then ask again
    TRANSIENT = "transient"  # the server is unwell: ask again with back-off


FINAL = ErrorClass.FINAL
BUSY = ErrorClass.BUSY
DEPLOY = ErrorClass.DEPLOY
TRANSIENT = ErrorClass.TRANSIENT


class HttpResponse(WireRecord):
    """The HTTP status once more, inside the body."""

    code: int = Field(description="the HTTP status once more")
    message: str = Field("", description="generic text of the status")


class ErrorBody(WireRecord):
    """Body of every answer of 400 and above (spec §2.11)."""

    http_response: HttpResponse
    code: int = Field(description="unique code; has its meaning on this endpoint only")
    description: str = Field("", description="text of the code; empty where it has none")
    details: dict[str, object] = Field(default_factory=dict, description="extra data, mostly none")
    message: str = Field("", description="what is wrong with this request")


class EndpointErrors(Enum):
    """Base of the code tables: each member is HTTP status, unique code, class, description."""

    def __init__(
        self, http_status: int, code: int, error_class: ErrorClass, description: str = ""
    ) -> None:
        self.http_status = http_status
        self.code = code
        self.error_class = error_class
        self.description = description


class FrameworkErrors(EndpointErrors):
    """Refusals that come before an endpoint runs, the same everywhere (spec §2.11, §14)."""

    NO_CREDENTIALS = 401, 18, FINAL
    NOT_CAPABLE = 403, 26, FINAL
    UNKNOWN_PATH = 404, 1, FINAL
    WRONG_METHOD = 405, 2, FINAL
    NOT_ACCEPTABLE = 406, 3, FINAL
    BODY_TOO_LARGE = 413, 4, FINAL
    WRONG_CONTENT_TYPE = 415, 5, FINAL
    WRONG_VERSION = 422, 7, FINAL
    MISSING_PARAMETER = 422, 8, FINAL
    MISSING_BODY = 422, 10, FINAL
    NOT_CONVERTIBLE = 422, 11, FINAL
    UNKNOWN_FIELD = 422, 30, FINAL
    WRONG_RANGE = 422, 36, FINAL
    UNAVAILABLE = 550, 0, TRANSIENT


class ListBackupsErrors(EndpointErrors):
    """Refusals of GET /backups (spec §3.1)."""

    WRONG_SORT = 422, 1018, FINAL, "A name in sort is not sortable."
    UNREADABLE = 500, 1000, TRANSIENT, "The backups could not be read."
    UNREADABLE_LOCATION = 500, 1021, TRANSIENT, "The backups could not be read."


class CreateBackupErrors(EndpointErrors):
    """Refusals of POST /backups (spec §3.2)."""

    NAME_EMPTY = 422, 1002, FINAL, "The name is missing or empty."
    NAME_TOO_LONG = 422, 1003, FINAL, "The name is longer than 100 characters."
    NAME_CHARACTERS = 422, 1004, FINAL, "The name has characters that are not allowed."
    NAME_TAKEN = 409, 1005, FINAL, "The name is already used by another backup."
    CONFIGURATION_MISSING = 422, 1006, FINAL, "The configuration id is missing."
    CONFIGURATION_UNKNOWN = 422, 1007, FINAL, "There is no such backup configuration."
    DESCRIPTION_TOO_LONG = 422, 1008, FINAL, "The description is longer than 255 characters."
    HOST_UNKNOWN = 422, 1009, FINAL, "There is no such host."
    HOST_NOT_ACTIVE = 422, 1010, FINAL, "The host is not active."
    NOT_DEPLOYED = 409, 1011, DEPLOY, "The staged configuration has not been deployed."
    NOT_THE_CONSOLE = 422, 1012, FINAL, "Only the Console can make a CONFIG backup."
    NO_DATA_ON_HOST = 422, 1013, FINAL, "The host stores no data to back up."
    HOST_NOT_ENABLED = 422, 1014, FINAL, "The host is not enabled for data backups."
    HOST_BUSY = 409, 1015, BUSY, "A backup already runs on the host."
    RESTORE_RUNNING = 409, 1016, BUSY, "A restore runs; no backup can be started."
    NOT_CREATED = 500, 1000, TRANSIENT, "The backup could not be created."


class GetBackupErrors(EndpointErrors):
    """Refusals of GET /backups/{id} (spec §3.3)."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The backup could not be read."


class ChangeBackupErrors(EndpointErrors):
    """Refusals of POST /backups/{id} (spec §3.4)."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    DESCRIPTION_TOO_LONG = 422, 1008, FINAL, "The description is longer than 255 characters."
    NOT_UPDATED = 500, 1000, TRANSIENT, "The backup could not be updated."


class DeleteBackupErrors(EndpointErrors):
    """Refusals of DELETE /backups/{id} (spec §3.5)."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    ALREADY_LEAVING = 422, 1017, FINAL, "The backup is already being cancelled or deleted."
    NOT_DELETED = 500, 1000, TRANSIENT, "The backup could not be deleted."


class ListHostsErrors(EndpointErrors):
    """Refusals of GET /config/deployment/hosts (spec §6.1)."""

    UNREADABLE = 500, 1001, TRANSIENT, "The hosts could not be read."


class GetHostErrors(EndpointErrors):
    """Refusals of GET /config/deployment/hosts/{id} (spec §6.1)."""

    UNKNOWN_HOST = 404, 1002, FINAL, "There is no host with this id."
    WRONG_ID = 422, 1003, FINAL, "The host id is zero or negative."
    UNREADABLE = 500, 1004, TRANSIENT, "The host could not be read."


class GetDeployErrors(EndpointErrors):
    """Refusals of GET /staged_config/deploy_status (spec §7.1)."""

    UNREADABLE = 500, 1020, TRANSIENT, "The state of the deploy could not be read."


class StartDeployErrors(EndpointErrors):
    """Refusals of POST /staged_config/deploy_status (spec §7.2).

    1002 means busy or nothing to do, and only GET tells which (spec §12 no. 6, §14 no. 4).
    """

    BUSY_OR_NOTHING = 409, 1002, BUSY, "A deploy is running, or there is nothing to deploy."
    REFUSED = 409, 1003, BUSY, "The deploy was refused."
    NOTHING_TO_DEPLOY = 409, 1004, BUSY, "There is nothing to deploy."
    WRONG_TYPE = 422, 1005, FINAL, "The type of deploy is not known."
    NOT_STARTED = 500, 1020, TRANSIENT, "The deploy could not be run."


class AboutErrors(EndpointErrors):
    """Refusals of GET /system/about (spec §8)."""

    UNREADABLE = 500, 1020, TRANSIENT, "The product version could not be read."


class ListVersionsErrors(EndpointErrors):
    """Refusals of GET /help/versions (spec §8)."""

    UNREADABLE = 500, 1020, TRANSIENT, "The versions could not be read."


class GetVersionErrors(EndpointErrors):
    """Refusals of GET /help/versions/{id} (spec §8)."""

    UNKNOWN_VERSION = 404, 1002, FINAL, "There is no version with this id."
    UNREADABLE = 500, 1020, TRANSIENT, "The version could not be read."


TRANSIENT_STATUSES = frozenset({502, 503, 504, 550})
"""Statuses after which a GET may be repeated (spec §2.11)."""
