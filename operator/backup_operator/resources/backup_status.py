"""What a Backup says of itself: the engine's answer and how the operator came by it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from backup_api.backups import AppDeploymentLocation, BackupType, RecordStatus
from backup_operator.resources.parts import (
    Conditions,
    Flag,
    Integer,
    ObjectStatus,
    ResourcePart,
    Timestamp,
)


class Phase(StrEnum):
    """Summary of a Backup for people; programs read the conditions."""

    PENDING = "Pending"
    INITIALIZING = "Initializing"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    MISSING = "Missing"
    DELETING = "Deleting"


class Submission(ResourcePart):
    """What was written ahead of the request, so that a crash never costs a second backup."""

    requested_name: str = Field(description="Name that the backup was requested under.")
    submitted_at: Timestamp = Field(
        description="When the request was about to be sent, by the operator's clock."
    )
    engine_time: Timestamp | None = Field(
        default=None,
        description=(
            "The same moment by the engine's clock (Date header of an answer); absent: unknown."
        ),
    )
    attempts: Annotated[Integer, Field(ge=0)] = Field(
        default=1, description="How many times the request was sent or about to be sent."
    )


class Failure(ResourcePart):
    """Why the Backup failed."""

    http_status: Integer | None = Field(
        default=None, description="HTTP status of the engine's refusal; absent: no refusal."
    )
    code: Integer | None = Field(
        default=None, description="Error code of the engine's refusal, as in its API reference."
    )
    reason: str = Field(description="A stable CamelCase word for the cause, for programs.")
    message: str = Field(default="", description="The cause in a sentence, for people.")


class NamedEngine(ResourcePart):
    """The engine that an object belongs to."""

    name: str = Field(description="Name of the BackupEngine.")
    uid: str | None = Field(default=None, description="Uid of the BackupEngine.")


class EngineIdentity(NamedEngine):
    """The engine that was asked; kept here so that edits of the BackupEngine do not matter."""

    url: str | None = Field(default=None, description="URL of the engine at that time.")
    api_version: str | None = Field(
        default=None, description="Version of the API that was spoken, such as `26.0`."
    )


class BackupStatus(ObjectStatus):
    """What became of the request; the members of the engine's answer are among these."""

    phase: Phase | None = Field(
        default=None, description="Summary for people; programs read the conditions."
    )
    id: Integer | None = Field(default=None, description="Id of the record at the engine.")
    configuration_id: Integer | None = Field(
        default=None, description="Id of the backup configuration that was used."
    )
    host_id: Integer | None = Field(default=None, description="Id of the host that is backed up.")
    name: str | None = Field(default=None, description="Name of the backup at the engine.")
    description: str | None = Field(
        default=None, description="Description of the backup at the engine."
    )
    type: BackupType | None = Field(default=None, description="Type of the backup: CONFIG or DATA.")
    version: str | None = Field(
        default=None, description="Product version that the archive belongs to."
    )
    build_version: str | None = Field(
        default=None, description="Build of the product that the archive belongs to."
    )
    time_initiated: Timestamp | None = Field(
        default=None, description="When the backup began, by the engine's clock."
    )
    time_completed: Timestamp | None = Field(
        default=None, description="When the backup ended, by the engine's clock."
    )
    initiated_by: str | None = Field(
        default=None, description="User or authorized service that started the backup."
    )
    status: RecordStatus | None = Field(
        default=None, description="State of the record, as the engine says it."
    )
    size_on_disk: Integer | None = Field(default=None, description="Size of the archive in bytes.")
    content_file_path: str | None = Field(
        default=None, description="Path or URL of the archive at the engine."
    )
    is_valid: Flag | None = Field(
        default=None, description="Whether archive, manifest and its properties are usable."
    )
    is_version_compatible: Flag | None = Field(
        default=None, description="Whether the engine's present version can restore the archive."
    )
    app_deployment_location: AppDeploymentLocation | None = Field(
        default=None, description="Where applications ran at the time of the backup; NA for DATA."
    )
    size: str | None = Field(
        default=None, description="Size of the archive for people, such as `734 MiB`."
    )
    duration: str | None = Field(
        default=None, description="How long the backup took, for people, such as `6m52s`."
    )
    started_at: Timestamp | None = Field(
        default=None,
        description=(
            "When the backup began, whatever `spec.fields` asks for; absent: it has not begun."
        ),
    )
    terminated_at: Timestamp | None = Field(
        default=None,
        description=("When the Backup ended, however; absent: it has not. It never changes again."),
    )
    submission: Submission | None = Field(
        default=None,
        description=(
            "What was requested, stored before the request was sent; absent: nothing was ever sent."
        ),
    )
    failure: Failure | None = Field(
        default=None, description="Why the Backup failed; absent: it did not."
    )
    engine: EngineIdentity | None = Field(
        default=None, description="The engine that was asked, as it was then."
    )
    conditions: Conditions = Field(
        default=(),
        description=(
            "State of the object, one entry for each type: Complete, Failed and Finished (either of"
            " them, or cancelled) for the outcome, Valid and Compatible for the archive, Ready,"
            " Reconciling and Stalled for tools that follow kstatus."
        ),
    )
