"""BackupHost: a named part of the cluster that an in-cluster engine backs up (architecture §2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from backup_api.backups import DESCRIPTION_LENGTH
from backup_operator.resources.backup import EngineRef
from backup_operator.resources.errors import InvalidSpecError, Problem
from backup_operator.resources.host_status import BackupHostStatus
from backup_operator.resources.host_volumes import Hooks, VolumeSelection
from backup_operator.resources.label_selector import LabelSelector
from backup_operator.resources.parts import Flag, ObjectMetadata, ResourcePart, describe
from backup_operator.resources.reading import parse_spec, read_status
from backup_operator.resources.rules import (
    LIST_TYPE,
    CelRule,
    Matches,
    broken,
    immutable,
    with_rules,
)

CONSOLE_NAME: Final = "console"
"""What the engine calls its console host, whatever its BackupHost is called."""

LONGEST_NAME: Final = 63
MOST_PATTERNS: Final = 200
MOST_VOLUMES: Final = 32

NAMESPACE_PATTERN = Matches(
    r"^[a-z0-9*?]([a-z0-9*?-]*[a-z0-9*?])?$",
    "the name of a namespace, in which '*' stands for any characters and '?' for one",
)
KIND_PATTERN = Matches(
    r"^[a-z0-9*?-]+(\.[a-z0-9*?.-]*)?$",
    "a resource in small letters as 'RESOURCE' or 'RESOURCE.GROUP', in which '*' stands for any"
    " characters and '?' for one, such as secrets, *.apps or 'configmaps.'",
)
NamespacePatterns = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=63), NAMESPACE_PATTERN], ...],
    Field(max_length=MOST_PATTERNS),
]
KindPatterns = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=317), KIND_PATTERN], ...],
    Field(max_length=MOST_PATTERNS),
]


class HostType(StrEnum):
    """What a host is made of."""

    CONSOLE = "Console"
    DATA = "Data"


class NamespaceScope(ResourcePart):
    """Namespaces by name and label; one has to pass all that is given."""

    include: NamespacePatterns = Field(
        default=(),
        description=(
            "Namespaces whose objects are captured, such as `shop` or `team-*`; absent or empty:"
            " all."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )
    exclude: NamespacePatterns = Field(
        default=(),
        description="Namespaces left out, even if `include` names them, such as `kube-*`.",
        json_schema_extra={LIST_TYPE: "set"},
    )
    selector: LabelSelector | None = Field(
        default=None,
        description="Labels that a namespace must have as the capture begins; absent: any.",
    )


class KindScope(ResourcePart):
    """Kinds by resource and API group."""

    include: KindPatterns = Field(
        default=(),
        description=(
            "Kinds that are captured, by their resource (`kubectl api-resources` lists them);"
            " absent or empty: all. `deployments.apps` is one resource of one group, `*.apps` all"
            " of a group, `secrets` that resource in every group, `secrets.` in the core group"
            " alone."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )
    exclude: KindPatterns = Field(
        default=(),
        description=("Kinds left out, even if `include` names them, spelled the same way."),
        json_schema_extra={LIST_TYPE: "set"},
    )
    default_excludes: Flag = Field(
        default=True,
        description=(
            "Whether what no restore could use is left out as well: Events, Leases, metrics and"
            " second views of the same objects. A kind that `include` names without '*' or '?' is"
            " captured all the same."
        ),
    )


class HostScope(ResourcePart):
    """Which API objects belong to the console host; what is absent narrows nothing."""

    namespaces: NamespaceScope | None = Field(
        default=None,
        description=(
            "Namespaces whose objects are captured; absent: all. Each is captured with its own"
            " Namespace object."
        ),
    )
    kinds: KindScope | None = Field(
        default=None, description="Kinds that are captured; absent: all."
    )
    label_selector: LabelSelector | None = Field(
        default=None,
        description=(
            "Labels that an object must have; absent: any. The Namespace of a chosen object need"
            " not have them."
        ),
    )
    include_cluster_scoped: Flag | None = Field(
        default=None,
        description=(
            "Whether objects outside of every namespace are captured, such as"
            " CustomResourceDefinitions, ClusterRoles and PersistentVolumes; absent: yes, unless"
            " `namespaces.include` or `namespaces.selector` chooses namespaces."
        ),
    )


class SuccessPolicy(ResourcePart):
    """Which kinds may be missing from a backup that still succeeds; the archive names them."""

    tolerate_forbidden: KindPatterns = Field(
        default=(),
        description=(
            "Kinds that the engine's ServiceAccount need not be allowed to list, spelled as in"
            " `scope.kinds`; any other one that it may not list fails the backup."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )
    tolerate_unavailable: KindPatterns = Field(
        default=(),
        description=(
            "Kinds whose API need not answer, such as `*.metrics.example.com`: a whole group, for"
            " the kinds of an API that is down are not known. Any other one fails the backup."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )
    tolerate_failed: KindPatterns = Field(
        default=(),
        description=(
            "Kinds whose list may be refused in another way, or be unreadable; any other one fails"
            " the backup."
        ),
        json_schema_extra={LIST_TYPE: "set"},
    )


SCOPE_OF_CONSOLE = "scope only with type Console"
POLICY_OF_CONSOLE = "successPolicy only with type Console"
VOLUMES_OF_DATA = "volumes with type Data, and only there"
HOOKS_OF_DATA = "hooks only with type Data"

NAME_RULES: Final = (
    CelRule(
        f"size(self.metadata.name) <= {LONGEST_NAME}",
        f"metadata.name must be at most {LONGEST_NAME} characters long, for archives are named"
        " after their host",
    ),
    CelRule(
        f"self.metadata.name != '{CONSOLE_NAME}' || self.spec.type == 'Console'",
        f"metadata.name {CONSOLE_NAME} is kept for a host of type Console: every engine has one of"
        " that name",
    ),
)


class BackupHostSpec(ResourcePart):
    """Which part of the cluster the host is, and of which engine."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule("self.type == 'Console' || !has(self.scope)", SCOPE_OF_CONSOLE, field="scope"),
            CelRule(
                "self.type == 'Console' || !has(self.successPolicy)",
                POLICY_OF_CONSOLE,
                field="successPolicy",
            ),
            CelRule(
                "(self.type == 'Data') == (has(self.volumes) && size(self.volumes) > 0)",
                VOLUMES_OF_DATA,
                field="volumes",
            ),
            CelRule("self.type == 'Data' || !has(self.hooks)", HOOKS_OF_DATA, field="hooks"),
            immutable("type"),
            immutable("engineRef"),
        )
    )

    type: HostType = Field(
        description=(
            "What the host is made of: Console, API objects of the cluster (backups of type"
            " CONFIG), or Data, volumes (backups of type DATA). An engine has one console host,"
            " `console` with id 1, whether or not a BackupHost describes it; of several BackupHosts"
            " for it the oldest counts. Immutable."
        )
    )
    engine_ref: EngineRef | None = Field(
        default=None,
        description=(
            "The in-cluster engine that the host belongs to; absent: the one annotated"
            ' `backup-operator.io/is-default-engine: "true"`. Immutable.'
        ),
    )
    description: Annotated[str, Field(max_length=DESCRIPTION_LENGTH)] | None = Field(
        default=None, description="Free text for people, up to 255 characters."
    )
    scope: HostScope | None = Field(
        default=None,
        description=(
            "Which API objects are captured, with type Console; absent: every object that a restore"
            " could use."
        ),
    )
    success_policy: SuccessPolicy | None = Field(
        default=None,
        description=(
            "Which kinds may be missing from a backup that still succeeds, with type Console;"
            " absent: none."
        ),
    )
    volumes: Annotated[tuple[VolumeSelection, ...], Field(max_length=MOST_VOLUMES)] = Field(
        default=(),
        description="Volumes of the host, with type Data: claims by name or by label.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    hooks: Hooks | None = Field(
        default=None,
        description=(
            "Commands in the pods of the application before and after its volumes are read, with"
            " type Data; the engine needs the rights of `manifests/hooks` for them."
        ),
    )

    @model_validator(mode="after")
    def _says_what_its_type_needs(self) -> Self:
        is_console = self.type is HostType.CONSOLE
        if self.scope is not None and not is_console:
            raise broken(SCOPE_OF_CONSOLE)
        if self.success_policy is not None and not is_console:
            raise broken(POLICY_OF_CONSOLE)
        if bool(self.volumes) == is_console:
            raise broken(VOLUMES_OF_DATA)
        if self.hooks is not None and is_console:
            raise broken(HOOKS_OF_DATA)
        return self


@dataclass(frozen=True, slots=True)
class BackupHostResource:
    """A BackupHost as the cluster holds it.

    ``unreadable_status`` lists paths of stored status that broke a rule and count as absent.
    """

    metadata: ObjectMetadata
    spec: BackupHostSpec
    status: BackupHostStatus
    unreadable_status: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read a raw object; raises InvalidSpecError if metadata or spec break a rule."""
        metadata = ObjectMetadata.from_body(body)
        spec = parse_spec(BackupHostSpec, body)
        problem = _find_name_problem(metadata.name, spec)
        if problem is not None:
            raise InvalidSpecError(describe(body), [problem])
        status, unreadable = read_status(BackupHostStatus, body)
        return cls(metadata, spec, status, unreadable)

    @property
    def hostname(self) -> str:
        """Return what the engine calls the host."""
        return CONSOLE_NAME if self.spec.type is HostType.CONSOLE else self.metadata.name


def _find_name_problem(name: str, spec: BackupHostSpec) -> Problem | None:
    if len(name) > LONGEST_NAME:
        return Problem("metadata.name", f"at most {LONGEST_NAME} characters", f"{len(name)}")
    if name == CONSOLE_NAME and spec.type is not HostType.CONSOLE:
        return Problem("metadata.name", f"another name than {CONSOLE_NAME}", repr(name))
    return None
