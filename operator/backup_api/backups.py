"""Backups on the wire: the record, the request bodies, their enumerations (spec §3)."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AliasChoices, Field

from backup_api.wire import WireRecord, WireRequest, known_word, requiring

NAME_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,100}$"
"""What a backup may be called (spec §3.2); the limits are also codes 1002 to 1004."""

NAME_LENGTH: Final = 100
DESCRIPTION_LENGTH: Final = 255

NIGHTLY_NAME: Final = "nightly"
"""The name of every scheduled run, which alone may stand more than once (spec §12 no. 17)."""

INITIATED_BY: Final = AliasChoices("intiated_by", "initiated_by")
"""The wire misspells the member; the prose does not (spec §12 no. 1)."""


class BackupType(StrEnum):
    """What is backed up; travels in the header ``backup_type`` (spec §2.5)."""

    CONFIG = "CONFIG"
    DATA = "DATA"


class RecordStatus(StrEnum):
    """Where a backup stands (spec §3.0, table of states)."""

    INITIALIZING = "INITIALIZING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    DELETING = "DELETING"
    MISSING = "MISSING"


RUNNING: Final = frozenset({RecordStatus.INITIALIZING, RecordStatus.IN_PROGRESS})
"""States in which a host is busy with the backup and a DELETE means cancel (spec §3.5)."""

LEAVING: Final = frozenset({RecordStatus.CANCELLING, RecordStatus.DELETING})
"""States that end with the record gone; a DELETE answers 422/1017 (spec §3.5)."""


class AppDeploymentLocation(StrEnum):
    """Where applications ran when the backup was made; NA for DATA (spec §3.0)."""

    CONSOLE = "CONSOLE"
    APPHOST = "APPHOST"
    NA = "NA"


class BackupRecord(WireRecord):
    """One backup as the server reports it (spec §3.0); None means not known yet."""

    id: int = Field(description="unique and ever growing")
    configuration_id: int | None = Field(None, description="always 1")
    host_id: int | None = Field(None, description="host that is backed up")
    name: str | None = Field(None, description="unique but for scheduled runs")
    description: str | None = Field(None, description="free text")
    type: Annotated[BackupType | None, known_word(BackupType)] = Field(
        None, description="what is backed up"
    )
    version: str | None = Field(None, description="product version that made the archive")
    build_version: str | None = Field(None, description="build that made the archive")
    time_initiated: int | None = Field(None, description="start, epoch ms")
    time_completed: int | None = Field(None, description="end, epoch ms; null until then")
    intiated_by: str | None = Field(
        None, validation_alias=INITIATED_BY, description="who started it; the spelling is the API's"
    )
    status: Annotated[RecordStatus | None, known_word(RecordStatus)] = Field(
        None, description="where it stands"
    )
    size_on_disk: int | None = Field(None, description="size of the archive, bytes")
    content_file_path: str | None = Field(None, description="path of the archive")
    is_valid: bool | None = Field(None, description="archive and manifest are usable")
    is_version_compatible: bool | None = Field(None, description="can be restored by this version")
    app_deployment_location: Annotated[
        AppDeploymentLocation | None, known_word(AppDeploymentLocation)
    ] = Field(None, description="in the list only, since version 26.0")


RECORD_MEMBERS: Final = tuple(BackupRecord.model_fields)
"""The 17 members of a backup in the order of spec §3.0, as the wire spells them."""

SORTABLE: Final = frozenset(
    {
        "id",
        "host_id",
        "name",
        "description",
        "type",
        "version",
        "time_initiated",
        "time_completed",
        "initiated_by",
        "intiated_by",
        "status",
        "size_on_disk",
        "content_file_path",
    }
)
"""Names that ``sort`` takes on the list of backups (spec §3.1, §14 no. 7); others are 422/1018."""


class CreateBackup(WireRequest):
    """Body of POST /backups (spec §3.2). Explicit null counts as absent (spec §14 no. 14)."""

    model_config = requiring("name", "configuration_id")

    name: str | None = Field(
        None, description="unique", json_schema_extra={"type": "string", "pattern": NAME_PATTERN}
    )
    configuration_id: int | None = Field(
        None,
        description="a deployed configuration; there is one, 1",
        json_schema_extra={"type": "integer", "enum": [1]},
    )
    description: str | None = Field(
        None, description="free text", json_schema_extra={"maxLength": DESCRIPTION_LENGTH}
    )
    host_id: int | None = Field(None, description="absent: the Console")


class ChangeBackup(WireRequest):
    """Body of POST /backups/{id}: the description is all that can change (spec §3.4)."""

    description: str | None = Field(
        None, description="absent: unchanged", json_schema_extra={"maxLength": DESCRIPTION_LENGTH}
    )
