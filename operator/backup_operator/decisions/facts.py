"""What is known about one Backup at the moment of a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backup_api.backups import BackupRecord
from backup_api.errors import EndpointErrors, ErrorClass
from backup_operator.resources.backup_status import BackupStatus, EngineIdentity
from backup_operator.resources.parts import ObjectMetadata


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something cannot be used now; ``needs_people`` if waiting alone mends nothing."""

    reason: str  # a stable CamelCase word
    message: str
    needs_people: bool = False


@dataclass(frozen=True, slots=True)
class EngineSeen:
    """The engine that a Backup names or is bound to.

    ``identity`` None: there is no such engine, and ``trouble`` says what is missing.
    ``is_connecting``: no verdict yet, for the operator has only just met the engine.
    """

    identity: EngineIdentity | None
    trouble: Trouble | None = None
    is_connecting: bool = False
    clock_offset: timedelta | None = None  # how far the engine's clock is ahead of ours
    offers_verification: bool = True  # False: it has answered that it does not

    @property
    def is_usable(self) -> bool:
        """Whether requests may go out."""
        return self.identity is not None and self.trouble is None and not self.is_connecting


@dataclass(frozen=True, slots=True)
class RecordGone:
    """The engine answered that it has no record of this id."""


@dataclass(frozen=True, slots=True)
class Look:
    """The records that bore the requested name at a moment."""

    at: datetime
    records: tuple[BackupRecord, ...]


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request of this attempt never left us: certainly no backup came of it."""

    attempt: int
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine refused this attempt: certainly no backup came of it.

    ``row`` None: a code that the spec does not list for the endpoint.
    """

    attempt: int
    at: datetime
    http_status: int
    code: int
    row: EndpointErrors | None
    error_class: ErrorClass
    message: str


Answer = NotSent | Refusal


@dataclass(frozen=True, slots=True)
class HostsSeen:
    """The hosts of the engine by name, for a spec that names its host so."""

    at: datetime
    ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DeploySeen:
    """The deploy that this Backup waits for."""

    at: datetime
    is_finished: bool
    percent: int | None = None
    error: str | None = None  # None: it has none, or it is still running


@dataclass(frozen=True, slots=True)
class ArchiveFinding:
    """Why an archive is not valid, in the engine's words; ``reason`` None: it does not say."""

    reason: str | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Recollection:
    """What this process alone knows about one Backup; forgotten in a crash without harm.

    Everything here makes a decision quicker or its message better, and where it is missing a
    look at the engine takes its place.
    """

    name_check: Look | None = None  # before the first attempt
    unsent_attempt: int = 0  # stored ahead by this process and not sent yet; 0: none
    created: BackupRecord | None = None  # the answer to our POST, whose id is not stored yet
    answer: Answer | None = None
    certain_through: int = 0  # attempts 1 to this are known to have made no backup
    first_look_at: datetime | None = None  # since the last attempt whose answer was lost
    look: Look | None = None
    hosts: HostsSeen | None = None
    deploy: DeploySeen | None = None
    refused_description: str | None = None
    finding: ArchiveFinding | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about one Backup rests on.

    ``record`` None: not asked for. ``is_held``: too many archives were to be deleted at once.
    ``crowd``: how many Backups wait for the engine to accept them, this one included.
    """

    metadata: ObjectMetadata
    status: BackupStatus
    engine: EngineSeen
    requested_name: str
    record: BackupRecord | RecordGone | None = None
    memory: Recollection = field(default_factory=Recollection)
    is_held: bool = False
    crowd: int = 1
