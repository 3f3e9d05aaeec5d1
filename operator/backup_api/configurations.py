"""Backup configurations on the wire, staged and deployed (spec §5)."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.wire import JsonDict, WireRecord, WireRequest, known_word, requiring

CONFIGURATION_ID: Final = 1
"""There is one configuration (spec §5)."""

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000

# a null member is refused (spec §14 no. 19), so in a change no type allows it
_LONG: Final[JsonDict] = {"type": "integer"}
_FLAG: Final[JsonDict] = {"type": "boolean"}
_TEXT: Final[JsonDict] = {"type": "string"}
_LIMIT: Final[JsonDict] = {"type": "integer", "minimum": MINUTE_MS}
_LIMIT_TEXT: Final = "ms, at least a minute; cut to whole minutes; both limits fit into a day"
_PRIORITY: Final[JsonDict] = {"type": "string", "enum": ["LOW", "MEDIUM", "HIGH"]}


class BackupPriority(StrEnum):
    """How much load a backup may put on its host; higher is more (spec §5.0, §10)."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class DataBackupHost(WireRecord):
    """A host enabled for DATA backups: by at least one true flag (spec §14 no. 18)."""

    host_id: int | None = None
    event_data_backup_enabled: bool | None = Field(None, description="back up events")
    flow_data_backup_enabled: bool | None = Field(None, description="back up flows")


class BackupConfigurationRecord(WireRecord):
    """The one configuration of a server, id 1 (spec §5.0)."""

    configuration_id: int = Field(description="always 1")
    backup_directory_path: str | None = Field(None, description="where archives go, absolute")
    backup_retention_period: int | None = Field(
        None, description="how long scheduled archives are kept, ms, whole days"
    )
    data_backup_host_configuration: tuple[DataBackupHost, ...] | None = Field(
        None, description="hosts enabled for DATA backups"
    )
    configuration_backup_enabled: bool | None = Field(
        None, description="the nightly run makes a CONFIG backup"
    )
    data_backup_priority: Annotated[BackupPriority | None, known_word(BackupPriority)] = Field(
        None, description="load that a DATA backup may cause"
    )
    configuration_backup_priority: Annotated[BackupPriority | None, known_word(BackupPriority)] = (
        Field(None, description="load that a CONFIG backup may cause")
    )
    data_backup_time_limit: int | None = Field(None, description="ms, whole minutes")
    configuration_backup_time_limit: int | None = Field(None, description="ms, whole minutes")


class ChangeDataBackupHost(WireRequest):
    """A member of ``data_backup_host_configuration`` in a change."""

    model_config = requiring("host_id")

    host_id: int | None = Field(None, json_schema_extra=_LONG)
    event_data_backup_enabled: bool | None = Field(
        None, description="absent: false", json_schema_extra=_FLAG
    )
    flow_data_backup_enabled: bool | None = Field(
        None, description="absent: false", json_schema_extra=_FLAG
    )


class ChangeConfiguration(WireRequest):
    """Body of POST …/scheduled_backup_configurations/{id} (spec §5.2).

    An absent member stays as it is, an array replaces the whole array (spec §13 no. 10). A null
    member is 422/1002 (spec §14 no. 19), which ``model_fields_set`` tells from an absent one.
    Priorities are plain text: an unknown one is 422/1002.
    """

    backup_directory_path: str | None = Field(
        None, description="absolute, an existing directory", json_schema_extra=_TEXT
    )
    backup_retention_period: int | None = Field(
        None,
        description="ms, at least a day; cut to whole days",
        json_schema_extra={"type": "integer", "minimum": DAY_MS},
    )
    data_backup_host_configuration: tuple[ChangeDataBackupHost, ...] | None = Field(
        None, description="replaces the whole list", json_schema_extra={"type": "array"}
    )
    configuration_backup_enabled: bool | None = Field(None, json_schema_extra=_FLAG)
    data_backup_priority: str | None = Field(None, json_schema_extra=_PRIORITY)
    configuration_backup_priority: str | None = Field(None, json_schema_extra=_PRIORITY)
    data_backup_time_limit: int | None = Field(
        None, description=_LIMIT_TEXT, json_schema_extra=_LIMIT
    )
    configuration_backup_time_limit: int | None = Field(
        None, description=_LIMIT_TEXT, json_schema_extra=_LIMIT
    )


class ListConfigurationsErrors(EndpointErrors):
    """Refusals of both lists of configurations (spec §5.1)."""

    UNREADABLE = 500, 1000, TRANSIENT, "The configurations could not be read."


class GetConfigurationErrors(EndpointErrors):
    """Refusals of both reads of one configuration (spec §5.1)."""

    UNKNOWN_CONFIGURATION = 404, 1001, FINAL, "There is no configuration with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The configuration could not be read."


class ChangeConfigurationErrors(EndpointErrors):
    """Refusals of the change of the staged configuration (spec §5.2)."""

    UNKNOWN_CONFIGURATION = 404, 1001, FINAL, "There is no configuration with this id."
    INVALID = 422, 1002, FINAL, "A member is invalid."
    DIRECTORY_MISSING = 422, 1003, FINAL, "The backup directory does not exist."
    DIRECTORY_NOT_ABSOLUTE = 422, 1004, FINAL, "The backup directory is not an absolute path."
    NOT_A_DIRECTORY = 422, 1005, FINAL, "The backup directory is not a directory."
    RETENTION_INVALID = 422, 1006, FINAL, "The retention period is invalid."
    TIME_LIMIT_INVALID = 422, 1007, FINAL, "A time limit is invalid."
    TIME_LIMITS_TOO_LONG = 422, 1008, FINAL, "The time limits together exceed the maximum."
    HOST_NOT_ACTIVE = 422, 1009, FINAL, "A listed host is not active."
    HOST_WITHOUT_DATA = 422, 1010, FINAL, "A listed host has no data component."
    NOT_UPDATED = 500, 1000, TRANSIENT, "The configuration could not be updated."
