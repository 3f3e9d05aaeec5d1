"""Restore: one restore of a CONFIG or DATA backup, after a plan and its approval (spec §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from backup_api.extensions.restores import ExistingObjects
from backup_api.restores import NEED_DEPLOYMENT, RestoreGroup
from backup_operator.resources.backup import (
    HOST_NAME,
    HOST_TWICE,
    RESOURCE_NAME,
    EngineRef,
    Id,
)
from backup_operator.resources.durations import Between, Duration
from backup_operator.resources.engine_access import Namespace
from backup_operator.resources.parts import Flag, ObjectMetadata, ResourcePart, Timestamp
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.restore_status import RestoreStatus
from backup_operator.resources.restore_volumes import RestoredClaims
from backup_operator.resources.rules import (
    LIST_TYPE,
    CelRule,
    Matches,
    broken,
    immutable,
    with_rules,
)

MOST_RULES = 50
DIGEST = Matches(
    r"^[A-Za-z0-9][A-Za-z0-9:_-]{7,199}$", "the digest of a plan, as status.plan.digest has it"
)
ONE_BACKUP = "exactly one of backupRef and backupId, or with volumes hostname or hostId instead"
ONE_CONTENT = "exactly one of groups, for objects, and volumes"
OBJECTS_ONLY = (
    "namespaceMapping, include, exclude, existing and withStatus are about objects; each of volumes"
    " has its own targetNamespace and targetClaim"
)
VOLUMES_ONLY = "hostname, hostId, pointInTime and cancel only with volumes"
TIME_OF_HOST = "pointInTime only with hostname or hostId: a backup that is named has its time"
OWN_ENGINE = "no engineRef beside backupRef: the Backup says which engine has it"
DEPLOYMENT_NEEDED = "DEPLOYMENT_CONFIG has to accompany INSTALLED_APPS_CONFIG and OFFENSES_DATA"
EMPTY_RULE = "at least one of namespace, kind, name and label"


class RestoreMode(StrEnum):
    """How far to go."""

    PLAN = "Plan"
    APPLY = "Apply"


class BackupRef(ResourcePart):
    """Names a Backup of the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253), RESOURCE_NAME] = Field(
        description="Name of the Backup."
    )


Glob = Annotated[str, Field(min_length=1, max_length=253)]


class ObjectRule(ResourcePart):
    """One choice of objects: whatever is given has to match."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule(
                "has(self.namespace) || has(self.kind) || has(self.name) || has(self.label)",
                EMPTY_RULE,
            )
        )
    )

    namespace: Glob | None = Field(
        default=None, description="Namespace in the archive; `*` and `?` stand for others."
    )
    kind: Glob | None = Field(
        default=None,
        description="Kind or resource, with or without its group, such as `deployments.apps`.",
    )
    name: Glob | None = Field(
        default=None, description="Name of the object; `*` and `?` stand for others."
    )
    label: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Label selector, such as `app=web,tier!=test`."
    )

    @model_validator(mode="after")
    def _chooses_something(self) -> Self:
        if not any((self.namespace, self.kind, self.name, self.label)):
            raise broken(EMPTY_RULE)
        return self


Rules = Annotated[tuple[ObjectRule, ...], Field(max_length=MOST_RULES)]


class RestoreSpec(ResourcePart):
    """What is restored, from which backup, and whether it may begin."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule(
                "[has(self.backupRef), has(self.backupId), has(self.hostname) || has(self.hostId)]"
                ".filter(given, given).size() == 1",
                ONE_BACKUP,
            ),
            CelRule("!(has(self.hostId) && has(self.hostname))", HOST_TWICE, field="hostname"),
            CelRule("has(self.groups) != has(self.volumes)", ONE_CONTENT, field="groups"),
            CelRule(
                "!has(self.volumes) || !(has(self.namespaceMapping) || has(self.include)"
                " || has(self.exclude) || has(self.withStatus) || self.existing != 'Keep')",
                OBJECTS_ONLY,
                field="volumes",
            ),
            CelRule(
                "has(self.volumes) || !(has(self.hostname) || has(self.hostId)"
                " || has(self.pointInTime) || (has(self.cancel) && self.cancel))",
                VOLUMES_ONLY,
            ),
            CelRule(
                "!has(self.pointInTime) || has(self.hostname) || has(self.hostId)",
                TIME_OF_HOST,
                field="pointInTime",
            ),
            CelRule("!(has(self.backupRef) && has(self.engineRef))", OWN_ENGINE, field="engineRef"),
            CelRule(
                "!has(self.groups)"
                " || !self.groups.exists(g, g in ['INSTALLED_APPS_CONFIG', 'OFFENSES_DATA'])"
                " || 'DEPLOYMENT_CONFIG' in self.groups",
                DEPLOYMENT_NEEDED,
                field="groups",
            ),
            *(
                immutable(field)
                for field in (
                    "engineRef",
                    "backupRef",
                    "backupId",
                    "hostname",
                    "hostId",
                    "pointInTime",
                    "volumes",
                    "groups",
                    "namespaceMapping",
                    "include",
                    "exclude",
                    "existing",
                    "withStatus",
                )
            ),
            CelRule(
                "oldSelf.mode != 'Apply' || self.mode == 'Apply'",
                "mode cannot return to Plan: the restore may have begun; delete the object instead",
                field="mode",
            ),
            CelRule(
                "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
                "cancel cannot return to false: a restore that was cancelled stays cancelled",
                field="cancel",
            ),
        )
    )

    engine_ref: EngineRef | None = Field(
        default=None,
        description=(
            "The engine that has the backup of `backupId`, or the host; absent: the one annotated"
            ' `backup-operator.io/is-default-engine: "true"`. Immutable.'
        ),
    )
    backup_ref: BackupRef | None = Field(
        default=None,
        description="The Backup to restore, of the same namespace. Excludes `backupId`. Immutable.",
    )
    backup_id: Id | None = Field(
        default=None,
        description="Id of the record to restore at the engine. Excludes `backupRef`. Immutable.",
    )
    host_id: Id | None = Field(
        default=None,
        description=(
            "With volumes: restore the newest valid DATA backup of the data host with this id, that"
            " began at or before `pointInTime`. Excludes `hostname` and the two above. Immutable."
        ),
    )
    hostname: Annotated[str, Field(min_length=1, max_length=253), HOST_NAME] | None = Field(
        default=None, description="The same, with the name of the data host. Immutable."
    )
    point_in_time: Timestamp | None = Field(
        default=None,
        description=(
            "With hostname or hostId: the moment to go back to, such as `2026-11-28T03:00:00Z`;"
            " absent: now. Immutable."
        ),
    )
    groups: Annotated[tuple[RestoreGroup, ...], Field(min_length=1, max_length=9)] = Field(
        default=(),
        description=(
            "What is restored of a CONFIG backup, group by group, as the appliance has it; in a"
            " cluster the groups stand for classes of resources. Excludes `volumes`. Immutable."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )
    volumes: Annotated[RestoredClaims, Field(min_length=1)] = Field(
        default=(),
        description=(
            "In a cluster: volumes to restore of a DATA backup. Excludes `groups`. Immutable."
        ),
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    namespace_mapping: Annotated[dict[str, Namespace], Field(max_length=100)] = Field(
        default={},
        description=(
            "In a cluster: namespaces of the archive that are restored under another name."
            " Immutable."
        ),
    )
    include: Rules = Field(
        default=(),
        description="In a cluster: restore only what one of these rules chooses. Immutable.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    exclude: Rules = Field(
        default=(),
        description="In a cluster: leave out what one of these rules chooses. Immutable.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    existing: ExistingObjects = Field(
        default=ExistingObjects.KEEP,
        description=(
            "In a cluster: what becomes of an object that exists and differs: Keep leaves it,"
            " Update changes it, Recreate deletes and creates it. Immutable."
        ),
    )
    with_status: Annotated[tuple[Glob, ...], Field(max_length=MOST_RULES)] = Field(
        default=(),
        description="In a cluster: kinds whose status is restored, too. Immutable.",
        json_schema_extra={LIST_TYPE: "set"},
    )
    mode: RestoreMode = Field(
        default=RestoreMode.PLAN,
        description=(
            "Plan shows what would be done and changes nothing; Apply goes on once the plan is"
            " approved. Apply cannot return to Plan."
        ),
    )
    approved_plan: Annotated[str, Field(min_length=8, max_length=200), DIGEST] | None = Field(
        default=None,
        description=(
            "Digest of the plan that may be carried out (`status.plan.digest`), and of no other."
        ),
    )
    auto_approve: Flag = Field(
        default=False, description="True: with mode Apply any plan may be carried out at once."
    )
    timeout: Annotated[Duration, Between("1s", "720h")] = Field(
        default=timedelta(hours=24),
        description=(
            "How long after its launch the end of the restore is waited for, such as `90m`; then"
            " the Restore fails with reason DeadlineExceeded. One of volumes is stopped then; one"
            " of objects cannot be, and may go on."
        ),
    )
    cancel: Flag = Field(
        default=False,
        description=(
            "With volumes: true stops a restore that has not finished; what it has written stays."
            " It cannot return to false."
        ),
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.host_id is not None and self.hostname is not None:
            raise broken(HOST_TWICE)
        if [self.backup_ref is not None, self.backup_id is not None, self.has_host].count(
            True
        ) != 1:
            raise broken(ONE_BACKUP)
        if bool(self.groups) == bool(self.volumes):
            raise broken(ONE_CONTENT)
        if self.volumes and self.has_cluster_options:
            raise broken(OBJECTS_ONLY)
        if not self.volumes and (self.has_host or self.point_in_time or self.cancel):
            raise broken(VOLUMES_ONLY)
        if self.point_in_time is not None and not self.has_host:
            raise broken(TIME_OF_HOST)
        if self.backup_ref is not None and self.engine_ref is not None:
            raise broken(OWN_ENGINE)
        chosen = set(self.groups)
        if chosen & NEED_DEPLOYMENT and RestoreGroup.DEPLOYMENT_CONFIG not in chosen:
            raise broken(DEPLOYMENT_NEEDED)
        return self

    @property
    def has_host(self) -> bool:
        """Whether the backup is the newest one of a host."""
        return self.host_id is not None or self.hostname is not None

    @property
    def has_cluster_options(self) -> bool:
        """Whether it asks for what only an in-cluster engine has."""
        asked = (self.namespace_mapping, self.include, self.exclude, self.with_status)
        return any(asked) or self.existing is not ExistingObjects.KEEP


@dataclass(frozen=True, slots=True)
class RestoreResource:
    """A Restore as the cluster holds it.

    ``unreadable_status`` lists paths of stored status that broke a rule and count as absent.
    """

    metadata: ObjectMetadata
    spec: RestoreSpec
    status: RestoreStatus
    unreadable_status: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a raw object; raises InvalidSpecError if metadata or spec break a rule."""
        status, unreadable = read_status(RestoreStatus, body)
        return cls(
            ObjectMetadata.from_body(body), parse_spec(RestoreSpec, body), status, unreadable
        )
