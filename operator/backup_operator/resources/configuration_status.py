"""What a BackupConfiguration says of itself: what is staged, what is in force, the deploy."""

from typing import Annotated

from pydantic import Field

from backup_operator.resources.backup_status import EngineIdentity
from backup_operator.resources.parts import (
    Conditions,
    Flag,
    Integer,
    ObjectStatus,
    ResourcePart,
    Timestamp,
)
from backup_operator.resources.rules import LIST_TYPE

Names = Annotated[tuple[str, ...], Field(max_length=20)]


class DataHostSettings(ResourcePart):
    """A host that is enabled for DATA backups."""

    host_id: Integer | None = Field(default=None, description="Id of the host.")
    event_data_backup_enabled: Flag | None = Field(
        default=None, description="Whether events are backed up."
    )
    flow_data_backup_enabled: Flag | None = Field(
        default=None, description="Whether flows are backed up."
    )


class ConfigurationSettings(ResourcePart):
    """The configuration as the engine has it, in the words of the spec."""

    backup_directory_path: str | None = Field(
        default=None, description="Directory for archives at the engine."
    )
    backup_retention_period: str | None = Field(
        default=None, description="How long nightly archives are kept."
    )
    data_backup_host_configuration: tuple[DataHostSettings, ...] = Field(
        default=(),
        description="Hosts that are enabled for DATA backups.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    configuration_backup_enabled: Flag | None = Field(
        default=None, description="Whether the nightly run backs up the configuration."
    )
    data_backup_priority: str | None = Field(
        default=None, description="Load that DATA backups may cause on their hosts."
    )
    configuration_backup_priority: str | None = Field(
        default=None, description="Load that CONFIG backups may cause on the console."
    )
    data_backup_time_limit: str | None = Field(
        default=None, description="How long a DATA backup may run."
    )
    configuration_backup_time_limit: str | None = Field(
        default=None, description="How long a CONFIG backup may run."
    )


class DeployHostProgress(ResourcePart):
    """How far a deploy is on one host."""

    ip: str | None = Field(default=None, description="Private address of the host.")
    host_status: str | None = Field(default=None, description="State of the host.")
    status: str | None = Field(default=None, description="State of the deploy on the host.")


class DeployProgress(ResourcePart):
    """The deploy that is running, or the latest one."""

    type: str | None = Field(default=None, description="INCREMENTAL or FULL.")
    status: str | None = Field(default=None, description="State, as the engine says it.")
    percent_complete: Integer | None = Field(default=None, description="How far it is.")
    initiated_by: str | None = Field(default=None, description="Who started it.")
    message: str | None = Field(default=None, description="The engine's words on an error.")
    hosts: Annotated[tuple[DeployHostProgress, ...], Field(max_length=100)] = Field(
        default=(),
        description="How far it is on each host, at most 100, those in trouble first.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )


class Drift(ResourcePart):
    """A change at the engine that somebody else made, and that was undone."""

    time: Timestamp = Field(description="When it was noticed.")
    fields: Names = Field(
        default=(),
        description="Fields of the spec that differed.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )


class BackupConfigurationStatus(ObjectStatus):
    """What is staged, what is in force, and how far a deploy is."""

    engine: EngineIdentity | None = Field(
        default=None, description="The engine that is configured; absent: not known yet."
    )
    staged: ConfigurationSettings | None = Field(
        default=None, description="The configuration that the next deploy puts in force."
    )
    deployed: ConfigurationSettings | None = Field(
        default=None, description="The configuration that is in force."
    )
    not_in_force: Names = Field(
        default=(),
        description="Fields of the spec that are not in force.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    deploy: DeployProgress | None = Field(
        default=None, description="The deploy that is running, or the latest one."
    )
    last_drift: Drift | None = Field(
        default=None, description="The latest change by others that was undone; absent: none."
    )
    conditions: Conditions = Field(
        default=(),
        description=(
            "State of the object, one entry for each type: Staged says whether the engine has"
            " taken the spec, Deployed whether it is in force, Ready both; Reconciling and Stalled"
            " are for tools that follow kstatus."
        ),
    )
