"""Backup: one request for one backup, mirroring POST /backup_and_restore/backups (spec §3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from backup_api.backups import (
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    NAME_PATTERN,
    RECORD_MEMBERS,
    BackupType,
)
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.durations import Between, Duration
from backup_operator.resources.group import FORCE_DELETE_ANNOTATION
from backup_operator.resources.names import derive_name
from backup_operator.resources.parts import (
    Flag,
    Integer,
    ObjectMetadata,
    ResourcePart,
)
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.rules import (
    LIST_TYPE,
    CelRule,
    Matches,
    OneOf,
    broken,
    immutable,
    with_rules,
)

RESOURCE_NAME = Matches(
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    "the name of a BackupEngine: small letters, digits, '-' and '.', beginning and ending with a"
    " letter or digit",
)
HOST_NAME = Matches(
    r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
    "a host name: letters, digits, '-', '_' and '.', with a letter or digit at both ends",
)
BACKUP_NAME = Matches(NAME_PATTERN, "1 to 100 of letters, digits, '_', '-' and '.'")

Id = Annotated[Integer, Field(ge=1)]


class DeletionPolicy(StrEnum):
    """What deleting the object does to the backup."""

    RETAIN = "Retain"
    DELETE = "Delete"


class EngineRef(ResourcePart):
    """Names a BackupEngine."""

    name: Annotated[str, Field(min_length=1, max_length=253), RESOURCE_NAME] = Field(
        description="Name of the BackupEngine."
    )


HOST_TWICE = "either hostId or hostname to name the host, not both"


class BackupSpec(ResourcePart):
    """What is to be backed up, where, and how patiently."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule("!(has(self.hostId) && has(self.hostname))", HOST_TWICE, field="hostname"),
            immutable("backupType"),
            immutable("name"),
            immutable("configurationId"),
            immutable("hostId"),
            immutable("hostname"),
            immutable("fields"),
            immutable("engineRef"),
            immutable("deployStaged"),
            CelRule(
                "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
                "cancel cannot return to false: a backup that was cancelled stays cancelled",
                field="cancel",
            ),
        )
    )

    backup_type: BackupType = Field(
        description=(
            "What is backed up: CONFIG, the configuration of the console (in a cluster: its API"
            " objects), or DATA, the events and flows of a data host (in a cluster: its volumes)."
            " Immutable."
        )
    )
    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), BACKUP_NAME] | None = Field(
        default=None,
        description=(
            "Name of the backup at the engine, unique there: 1 to 100 letters, digits, '_', '-'"
            " and '.'. If absent it is derived from namespace, name and uid. Immutable."
        ),
    )
    configuration_id: Id = Field(
        default=1,
        description=(
            "Id of the deployed backup configuration to use; an appliance has only 1. Immutable."
        ),
    )
    description: Annotated[str, Field(max_length=DESCRIPTION_LENGTH)] | None = Field(
        default=None,
        description=(
            "Free text at the engine, up to 255 characters. May change: the record follows."
        ),
    )
    host_id: Id | None = Field(
        default=None,
        description=(
            "Id of the host to back up. Excludes `hostname`; with neither it is the console."
            " Immutable."
        ),
    )
    hostname: Annotated[str, Field(min_length=1, max_length=253), HOST_NAME] | None = Field(
        default=None,
        description=(
            "Name of the host to back up, looked up at the engine. Excludes `hostId`. Immutable."
        ),
    )
    fields: (
        Annotated[
            tuple[Annotated[str, Field(max_length=32), OneOf(RECORD_MEMBERS)], ...],
            Field(max_length=len(RECORD_MEMBERS)),
        ]
        | None
    ) = Field(
        default=None,
        description=(
            "Members of the engine's answer to reflect in the status, spelled as on the wire;"
            " absent or empty: all. Immutable."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )
    engine_ref: EngineRef | None = Field(
        default=None,
        description=(
            "The engine to ask; absent: the one annotated"
            ' `backup-operator.io/is-default-engine: "true"`. Immutable.'
        ),
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description=(
            "What deleting this object does to the backup: Retain leaves record and archive at the"
            " engine, Delete removes both before the object goes."
        ),
    )
    deploy_staged: Flag = Field(
        default=False,
        description=(
            "Whether to run an incremental deploy when the engine refuses because staged changes"
            " are not deployed (409/1011). If false the Backup waits for somebody to deploy."
            " Immutable."
        ),
    )
    busy_timeout: Annotated[Duration, Between("0s", "720h")] = Field(
        default=timedelta(hours=1),
        description=(
            "How long to wait while another backup or a restore keeps the host busy (409/1015 and"
            " 1016), such as `90s` or `1h30m`; then the Backup fails."
        ),
    )
    timeout: Annotated[Duration, Between("1s", "720h")] = Field(
        default=timedelta(hours=6),
        description=(
            "How long the backup may run, such as `90s` or `1h30m`; then it is cancelled and fails"
            " with reason DeadlineExceeded."
        ),
    )
    cancel: Flag = Field(
        default=False,
        description="True cancels a backup that has not finished. It cannot return to false.",
    )

    @model_validator(mode="after")
    def _names_one_host(self) -> Self:
        if self.host_id is not None and self.hostname is not None:
            raise broken(HOST_TWICE)
        return self


@dataclass(frozen=True, slots=True)
class BackupResource:
    """A Backup as the cluster holds it.

    ``unreadable_status`` lists paths of stored status that broke a rule and count as absent.
    """

    metadata: ObjectMetadata
    spec: BackupSpec
    status: BackupStatus
    unreadable_status: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a raw object; raises InvalidSpecError if metadata or spec break a rule."""
        status, unreadable = read_status(BackupStatus, body)
        return cls(ObjectMetadata.from_body(body), parse_spec(BackupSpec, body), status, unreadable)

    @property
    def requested_name(self) -> str:
        """Return the name to request the backup under (spec §3.2)."""
        return requested_name(self.spec, self.metadata)

    @property
    def is_force_deleted(self) -> bool:
        """Whether the object may go even if its engine cannot be reached (architecture §2.4)."""
        return FORCE_DELETE_ANNOTATION in self.metadata.annotations


def requested_name(spec: BackupSpec, metadata: ObjectMetadata) -> str:
    """Return the name that the spec asks for, or the one derived from the object itself."""
    if spec.name is not None:
        return spec.name
    return derive_name(metadata.namespace or "", metadata.name, metadata.uid)
