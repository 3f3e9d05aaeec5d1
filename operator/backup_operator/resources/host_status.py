"""What a BackupHost says of itself: what its engine has staged, and what is in force there."""

from pydantic import Field

from backup_operator.resources.backup_status import NamedEngine
from backup_operator.resources.parts import (
    Conditions,
    Count,
    Integer,
    ObjectStatus,
)


class BackupHostStatus(ObjectStatus):
    """What the engine makes of the host, as far as the operator knows."""

    engine: NamedEngine | None = Field(
        default=None, description="The engine that the host belongs to; absent: not known yet."
    )
    host_id: Integer | None = Field(
        default=None,
        description=(
            "Id of the host at the engine: the `hostId` of a Backup. It stays when the spec"
            " changes; absent: the engine has not staged the host, or another host takes its place."
        ),
    )
    hostname: str | None = Field(
        default=None, description="Name of the host at the engine: the `hostname` of a Backup."
    )
    staged_status: str | None = Field(
        default=None,
        description="State of the staged host, as the engine says it: Active, New or Deleting.",
    )
    deployed_status: str | None = Field(
        default=None,
        description=(
            "State of the deployed host, as the engine says it; only Active can be backed up."
            " Absent: the host has never been deployed."
        ),
    )
    staged_generation: Count | None = Field(
        default=None, description="Generation of the spec that the engine has staged."
    )
    deployed_generation: Count | None = Field(
        default=None,
        description="Generation of the spec that is in force; absent: none has been deployed.",
    )
    conditions: Conditions = Field(
        default=(),
        description=(
            "State of the object, one entry for each type: Staged says whether the engine knows"
            " this generation, Deployed whether it is in force (False with reason PendingDeploy:"
            " run a deploy), Ready whether the host can be backed up as the spec says; Reconciling"
            " and Stalled are for tools that follow kstatus."
        ),
    )
