"""Restore: one restore of a CONFIG backup, after a plan and its approval (spec §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from backup_api.extensions.restores import ExistingObjects
from backup_api.restores import NEED_DEPLOYMENT, RestoreGroup
from backup_operator.resources.backup import RESOURCE_NAME, EngineRef, Id
from backup_operator.resources.durations import Between, Duration
from backup_operator.resources.engine_access import Namespace
from backup_operator.resources.parts import Flag, ObjectMetadata, ResourcePart
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.restore_status import RestoreStatus
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
ONE_BACKUP = "exactly one of backupRef and backupId"
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
            CelRule("has(self.backupRef) != has(self.backupId)", ONE_BACKUP),
            CelRule("!(has(self.backupRef) && has(self.engineRef))", OWN_ENGINE, field="engineRef"),
            CelRule(
                "!self.groups.exists(g, g in ['INSTALLED_APPS_CONFIG', 'OFFENSES_DATA'])"
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
        )
    )

    engine_ref: EngineRef | None = Field(
        default=None,
        description=(
            "The engine that has the backup of `backupId`; absent: the one annotated"
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
    groups: Annotated[tuple[RestoreGroup, ...], Field(min_length=1, max_length=9)] = Field(
        description=(
            "What is restored, group by group, as the appliance has it; in a cluster the groups"
            " stand for classes of resources. Immutable."
        ),
        json_schema_extra={LIST_TYPE: "set"},
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
            " the Restore fails with reason DeadlineExceeded. The restore itself cannot be stopped."
        ),
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.backup_ref is None) == (self.backup_id is None):
            raise broken(ONE_BACKUP)
        if self.backup_ref is not None and self.engine_ref is not None:
            raise broken(OWN_ENGINE)
        chosen = set(self.groups)
        if chosen & NEED_DEPLOYMENT and RestoreGroup.DEPLOYMENT_CONFIG not in chosen:
            raise broken(DEPLOYMENT_NEEDED)
        return self

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
