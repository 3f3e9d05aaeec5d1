"""BackupConfiguration: how an engine backs up by itself, staged and deployed (spec §5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from backup_api.configurations import BackupPriority
from backup_operator.resources.backup import HOST_NAME, HOST_TWICE, EngineRef, Id
from backup_operator.resources.configuration_status import BackupConfigurationStatus
from backup_operator.resources.durations import DURATION_PATTERN, Between, Duration
from backup_operator.resources.parts import Flag, ObjectMetadata, ResourcePart
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.rules import (
    LIST_TYPE,
    CelRule,
    Matches,
    broken,
    cel_string,
    immutable,
    with_rules,
)
from backup_operator.resources.spans import Days

MOST_HOSTS = 500
ABSOLUTE_PATH = Matches(r"^/[^\x00]*$", "an absolute path, such as /store/backup")
MINUTES_WORDS = "whole minutes, such as 90m or 3h: the engine cuts seconds off"
ONE_HOST = "exactly one of hostId and hostname to name the host"


def _whole_minutes(length: timedelta) -> timedelta:
    if length % timedelta(minutes=1):
        raise broken(MINUTES_WORDS)
    return length


TimeLimit = Annotated[
    Duration,
    Between("1m", "24h"),
    AfterValidator(_whole_minutes),
    CelRule(
        f"!self.matches({cel_string(DURATION_PATTERN)}) || duration(self).getSeconds() % 60 == 0",
        f"must be {MINUTES_WORDS}",
    ),
]


class DeployMode(StrEnum):
    """Who puts the staged configuration in force."""

    AUTO = "Auto"
    MANUAL = "Manual"


class DataBackupHost(ResourcePart):
    """A host whose data are backed up."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule("has(self.hostId) != has(self.hostname)", ONE_HOST),
        )
    )

    host_id: Id | None = Field(
        default=None, description="Id of the host. Excludes `hostname`; one of them is needed."
    )
    hostname: Annotated[str, Field(min_length=1, max_length=253), HOST_NAME] | None = Field(
        default=None, description="Name of the host, looked up at the engine. Excludes `hostId`."
    )
    event_data_backup_enabled: Flag = Field(
        default=True, description="Whether events are backed up (in a cluster: volumes)."
    )
    flow_data_backup_enabled: Flag = Field(
        default=True, description="Whether flows are backed up (in a cluster: volumes)."
    )

    @model_validator(mode="after")
    def _names_one_host(self) -> Self:
        if (self.host_id is None) == (self.hostname is None):
            raise broken(ONE_HOST if self.host_id is None else HOST_TWICE)
        return self


class BackupConfigurationSpec(ResourcePart):
    """How an engine is to back up by itself; what is absent here is left as it is there."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(immutable("engineRef"), immutable("configurationId"))
    )

    engine_ref: EngineRef | None = Field(
        default=None,
        description=(
            "The engine to configure; absent: the one annotated"
            ' `backup-operator.io/is-default-engine: "true"`. Immutable.'
        ),
    )
    configuration_id: Id = Field(
        default=1, description="Id of the configuration; an engine has only 1. Immutable."
    )
    deploy: DeployMode = Field(
        default=DeployMode.AUTO,
        description=(
            "Auto: an incremental deploy puts in force what is staged, and with it whatever"
            " others have staged. Manual: it is staged, and waits until somebody deploys."
        ),
    )
    backup_directory_path: (
        Annotated[str, Field(min_length=1, max_length=1024), ABSOLUTE_PATH] | None
    ) = Field(
        default=None,
        description="Directory for archives at the engine; it must exist there beforehand.",
    )
    backup_retention_period: Days | None = Field(
        default=None,
        description=(
            "How long nightly archives are kept, such as `7d`. Backups on demand, those of Backup"
            " objects among them, are kept until they are deleted."
        ),
    )
    data_backup_host_configuration: (
        Annotated[tuple[DataBackupHost, ...], Field(max_length=MOST_HOSTS)] | None
    ) = Field(
        default=None,
        description="All hosts that are enabled for DATA backups; others are disabled.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    configuration_backup_enabled: Flag | None = Field(
        default=None, description="Whether the nightly run backs up the configuration."
    )
    data_backup_priority: BackupPriority | None = Field(
        default=None, description="Load that DATA backups may cause on their hosts."
    )
    configuration_backup_priority: BackupPriority | None = Field(
        default=None, description="Load that CONFIG backups may cause on the console."
    )
    data_backup_time_limit: TimeLimit | None = Field(
        default=None, description="How long a DATA backup may run, such as `17h`."
    )
    configuration_backup_time_limit: TimeLimit | None = Field(
        default=None, description="How long a CONFIG backup may run, such as `180m`."
    )


@dataclass(frozen=True, slots=True)
class BackupConfigurationResource:
    """A BackupConfiguration as the cluster holds it.

    ``unreadable_status`` lists paths of stored status that broke a rule and count as absent.
    """

    metadata: ObjectMetadata
    spec: BackupConfigurationSpec
    status: BackupConfigurationStatus
    unreadable_status: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a raw object; raises InvalidSpecError if metadata or spec break a rule."""
        status, unreadable = read_status(BackupConfigurationStatus, body)
        spec = parse_spec(BackupConfigurationSpec, body)
        return cls(ObjectMetadata.from_body(body), spec, status, unreadable)
