"""Backups on the wire: the record, the request bodies, their enumerations (spec §3)."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AliasChoices, Field

from backup_api.wire import WireRecord, WireRequest, known_word

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

    id: int
    configuration_id: int | None = None
    host_id: int | None = None
    name: str | None = None
    description: str | None = None
    type: Annotated[BackupType | None, known_word(BackupType)] = None
    version: str | None = None
    build_version: str | None = None
    time_initiated: int | None = None  # epoch ms
    time_completed: int | None = None  # epoch ms
    intiated_by: str | None = Field(default=None, validation_alias=INITIATED_BY)
    status: Annotated[RecordStatus | None, known_word(RecordStatus)] = None
    size_on_disk: int | None = None  # bytes
    content_file_path: str | None = None
    is_valid: bool | None = None
    is_version_compatible: bool | None = None
    app_deployment_location: Annotated[
        AppDeploymentLocation | None, known_word(AppDeploymentLocation)
    ] = None


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

    name: str | None = None
    configuration_id: int | None = None
    description: str | None = None
    host_id: int | None = None  # None: the Console


class ChangeBackup(WireRequest):
    """Body of POST /backups/{id}: the description is all that can change (spec §3.4)."""

    description: str | None = None
