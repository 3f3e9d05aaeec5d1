"""What every kind is made of: the model base, times, metadata, conditions."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from backup_operator.resources.errors import InvalidSpecError, build_problem
from backup_operator.resources.rules import LIST_MAP_KEYS, LIST_TYPE


class ResourcePart(BaseModel):
    """A frozen part of a resource: snake case here, camel case in the cluster.

    Members that a newer version may have stored are ignored.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    def to_body(self) -> dict[str, Any]:
        """Return the JSON object of the cluster; what is None is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def format_timestamp(moment: datetime) -> str:
    """Write RFC 3339 in UTC, with milliseconds only where there are some."""
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"  # noqa: PLR2004 - µs
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(format_timestamp, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An aware datetime in Python, RFC 3339 in the cluster."""

Integer = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
"""A whole number of 64 bits, the wire's Long (spec §2.6)."""

Flag = Annotated[bool, Field(strict=True)]


class ObjectMetadata(ResourcePart):
    """The part of a Kubernetes object's metadata that decisions rest on."""

    name: str
    namespace: str | None = None  # None: a cluster-scoped kind
    uid: str
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None  # None: nobody asked to delete the object

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Read the metadata alone, which works for an object whose spec is broken as well."""
        try:
            return cls.model_validate(plain(body.get("metadata")))
        except ValidationError as findings:
            problems = [build_problem(error, "metadata") for error in findings.errors()]
            raise InvalidSpecError(describe(body), problems) from None

    @property
    def is_deleting(self) -> bool:
        """Whether the object only waits for its finalizers."""
        return self.deletion_timestamp is not None


class ConditionType(StrEnum):
    """What a condition is about; the last three are those that kstatus reads.

    Busy is present only while the engine refuses to start the backup; its time is when that began.
    Staged and Deployed are about the generation of a BackupHost that the engine knows, and uses.
    """

    COMPLETE = "Complete"
    FAILED = "Failed"
    FINISHED = "Finished"
    VALID = "Valid"
    COMPATIBLE = "Compatible"
    BUSY = "Busy"
    PLANNED = "Planned"
    APPROVED = "Approved"
    CREDENTIALS_WANTED = "CredentialsWanted"
    STAGED = "Staged"
    DEPLOYED = "Deployed"
    LAST_BACKUP_SUCCEEDED = "LastBackupSucceeded"
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ResourcePart):
    """One aspect of the object's state, as in the Kubernetes API conventions."""

    type: str = Field(
        min_length=1, max_length=316, description="What the condition is about, in CamelCase."
    )
    status: ConditionStatus = Field(description="Whether the condition holds.")
    observed_generation: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="Generation of the spec that this condition was judged by."
    )
    last_transition_time: Timestamp = Field(description="When `status` last changed.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="A stable CamelCase word for the cause, for programs.",
    )
    message: str = Field(max_length=32768, description="The cause in a sentence, for people.")


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        description="State of the object, one entry for each type.",
        json_schema_extra={LIST_TYPE: "map", LIST_MAP_KEYS: ["type"]},
    ),
]


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """Find the condition of that type; None means it was never judged."""
    return next((condition for condition in conditions if condition.type == type_), None)


Count = Annotated[Integer, Field(ge=0)]


class ObjectStatus(ResourcePart):
    """What the status of every kind has in common."""

    observed_generation: Count | None = Field(
        default=None, description="Generation of the spec that this status is about."
    )
    if TYPE_CHECKING:  # a field of each kind, for what its conditions mean is theirs to document
        conditions: Conditions

    def find_condition(self, type_: str) -> Condition | None:
        """Find the condition of that type; None means it was never judged."""
        return find_condition(self.conditions, type_)


def describe(body: Mapping[str, Any]) -> str:
    """Name an object for a message: ``Backup ops/pre-upgrade``."""
    metadata = body.get("metadata") or {}
    names = (metadata.get("namespace"), metadata.get("name"))
    return f"{body.get('kind') or 'resource'} {'/'.join(str(name) for name in names if name)}"


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Copy views of any Mapping type to plain dicts, the only ones that pydantic reads."""
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
