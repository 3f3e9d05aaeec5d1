"""What a Restore says of itself: the plan, how far it is, and how it ended."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from backup_operator.resources.backup_status import EngineIdentity, Failure
from backup_operator.resources.parts import (
    Conditions,
    Count,
    Flag,
    Integer,
    ObjectStatus,
    ResourcePart,
    Timestamp,
)
from backup_operator.resources.restore_volumes import ToldVolumes, VolumeSource
from backup_operator.resources.rules import LIST_TYPE


class RestorePhase(StrEnum):
    """Summary of a Restore for people; programs read the conditions."""

    PENDING = "Pending"
    PLANNING = "Planning"
    AWAITING_APPROVAL = "AwaitingApproval"
    REQUESTING = "Requesting"
    INITIALIZING = "Initializing"
    IN_PROGRESS = "InProgress"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class RestoreSubmission(ResourcePart):
    """What was written ahead of the request, so that a crash never costs a second restore."""

    backup_id: Integer = Field(description="Id of the backup that the restore was requested of.")
    submitted_at: Timestamp = Field(
        description="When the request was about to be sent, by the operator's clock."
    )
    engine_time: Timestamp | None = Field(
        default=None, description="The same moment by the engine's clock; absent: unknown."
    )
    attempts: Count = Field(default=1, description="How many times it was about to be sent.")


class RestoreLaunch(ResourcePart):
    """What was written ahead of the launch."""

    requested_at: Timestamp = Field(description="When the launch was about to be sent.")
    digest: str = Field(description="Digest of the plan that was approved.")


class ObjectCounts(ResourcePart):
    """Numbers of objects by what becomes of them."""

    create: Count = Field(default=0, description="Objects that are created.")
    update: Count = Field(default=0, description="Objects that are changed.")
    recreate: Count = Field(default=0, description="Objects that are deleted and created.")
    unchanged: Count = Field(default=0, description="Objects that are as in the archive.")
    conflict: Count = Field(
        default=0, description="Objects that differ and are left alone, for `existing` says so."
    )
    unsupported: Count = Field(
        default=0, description="Objects of kinds that the cluster does not serve."
    )
    skipped: Count = Field(default=0, description="Objects that are not restored on purpose.")


class ToldObject(ResourcePart):
    """One object worth telling of."""

    action: str | None = Field(default=None, description="What becomes of it.")
    kind: str = Field(description="Kind of the object.")
    namespace: str | None = Field(default=None, description="Its namespace; absent: it has none.")
    name: str = Field(description="Its name.")
    reason: str | None = Field(default=None, description="A stable CamelCase word for the cause.")
    message: str | None = Field(default=None, description="The cause in a sentence.")


ToldObjects = Annotated[tuple[ToldObject, ...], Field(max_length=20)]


class ToldPlan(ResourcePart):
    """What the restore would do."""

    digest: str = Field(description="What `spec.approvedPlan` has to be to approve this plan.")
    time_computed: Timestamp | None = Field(default=None, description="When it was computed.")
    summary: str = Field(default="", description="The plan in a sentence, for people.")
    counts: ObjectCounts | None = Field(
        default=None,
        description="Objects by what becomes of them; absent: an appliance does not tell.",
    )
    warnings: Annotated[tuple[str, ...], Field(max_length=20)] = Field(
        default=(),
        description="What to know before approving, at most 20.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    items: ToldObjects = Field(
        default=(),
        description="The objects to look at first, at most 20; the engine has all of them.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    source: VolumeSource | None = Field(
        default=None, description="Of volumes: the backup that is restored."
    )
    volumes: ToldVolumes = Field(
        default=(),
        description="Every volume, where it goes, and what is in the way if anything is.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )


class ToldProgress(ResourcePart):
    """How far the restore is."""

    summary: str = Field(default="", description="The same for people, such as `120 of 400`.")
    settled: Count = Field(default=0, description="Objects or volumes that are done with.")
    total: Count = Field(default=0, description="Objects or volumes that there are.")
    failed: Count = Field(default=0, description="Objects or volumes that are not as wanted.")
    remaining: Count = Field(default=0, description="Objects or volumes still to do.")
    counts: ObjectCounts | None = Field(
        default=None, description="Objects by what became of them; absent: volumes are restored."
    )


class RestoreStatus(ObjectStatus):
    """The plan, how far the restore is, and how it ended."""

    phase: RestorePhase | None = Field(
        default=None, description="Summary for people; programs read the conditions."
    )
    id: Integer | None = Field(default=None, description="Id of the restore at the engine.")
    status: str | None = Field(
        default=None, description="State of the restore, as the engine says it."
    )
    host_id: Integer | None = Field(default=None, description="Id of the host that is restored.")
    initiated_by: str | None = Field(
        default=None, description="User or authorized service that started the restore."
    )
    is_cross_deployment_restore: Flag | None = Field(
        default=None, description="Whether the archive comes from another deployment."
    )
    backup_id: Integer | None = Field(
        default=None, description="Id of the backup; kept, though the engine forgets it at the end."
    )
    backup_name: str | None = Field(default=None, description="Name of the backup.")
    backup_version: str | None = Field(
        default=None, description="Product version that the archive belongs to."
    )
    backup_filename: str | None = Field(default=None, description="File name of the archive.")
    time_initiated: Timestamp | None = Field(
        default=None, description="When the restore began, by the engine's clock."
    )
    time_completed: Timestamp | None = Field(
        default=None, description="When the restore ended, by the engine's clock."
    )
    duration: str | None = Field(
        default=None, description="How long the restore took, for people, such as `6m52s`."
    )
    submission: RestoreSubmission | None = Field(
        default=None, description="What was requested, stored before the request was sent."
    )
    launch: RestoreLaunch | None = Field(
        default=None, description="What was approved, stored before the launch was sent."
    )
    plan: ToldPlan | None = Field(default=None, description="What the restore would do.")
    progress: ToldProgress | None = Field(
        default=None, description="How far it is; absent: not begun, or an appliance."
    )
    failures: ToldObjects = Field(
        default=(),
        description="Objects that are not as wanted, at most 20; the engine has all of them.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    volumes: ToldVolumes = Field(
        default=(),
        description="Every volume of a restore that was launched, and how far it is.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    failure: Failure | None = Field(
        default=None, description="Why the Restore failed; absent: it did not."
    )
    engine: EngineIdentity | None = Field(
        default=None, description="The engine that was asked, as it was then."
    )
    conditions: Conditions = Field(
        default=(),
        description=(
            "State of the object, one entry for each type: Planned and Approved on the way;"
            " Complete, Failed and Finished (either, or cancelled) for the outcome;"
            " CredentialsWanted while the engine no longer takes the operator's credentials, as a"
            " restore of users may cause; Ready, Reconciling and Stalled for tools that follow"
            " kstatus."
        ),
    )
