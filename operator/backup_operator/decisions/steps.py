"""The steps that a decision about a Backup can name; what each one does is told by its name."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from backup_api.backups import BackupRecord, BackupType, CreateBackup
from backup_operator.decisions.facts import ArchiveFinding
from backup_operator.resources.backup_status import EngineIdentity, Failure, Phase, Submission


class Verdict(Enum):
    """How a Backup ended; the condition Finished is true with each of them."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    MISSING = "Missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a Backup stands, to be told in its status.

    ``phase`` None keeps the phase. ``verdict`` None: not ended. ``record`` None: the members of
    the record stay as they were stored. ``is_busy``: the engine's refusal to start is being waited
    out, which is timed by the condition Busy. ``finding``: why the archive is not valid.
    """

    phase: Phase | None
    reason: str
    message: str
    verdict: Verdict | None = None
    is_stalled: bool = False
    is_busy: bool = False
    failure: Failure | None = None
    record: BackupRecord | None = None
    finding: ArchiveFinding | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do and nothing new to tell, until ``until`` or the next event (None)."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Tell ``standing``; then wait until ``until`` or the next event (None)."""

    standing: Standing
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Keep the object until its backup is deleted."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the object go."""


@dataclass(frozen=True, slots=True)
class CheckName:
    """List the records of this name before the first attempt (spec §9)."""

    name: str


@dataclass(frozen=True, slots=True)
class FindHosts:
    """List the engine's hosts, for the spec names one."""


@dataclass(frozen=True, slots=True)
class WriteAhead:
    """Store that an attempt is about to be made; it is made only once this is confirmed."""

    submission: Submission
    engine: EngineIdentity
    standing: Standing


@dataclass(frozen=True, slots=True)
class Submit:
    """POST the backup, once (spec §3.2)."""

    attempt: int
    body: CreateBackup
    backup_type: BackupType


@dataclass(frozen=True, slots=True)
class LookForLost:
    """List the records of this name, for an attempt whose outcome is unknown may be among them."""

    name: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Store the id of a record that is ours; ``is_found``: its answer was lost, a look found it."""

    record: BackupRecord
    standing: Standing
    is_found: bool


@dataclass(frozen=True, slots=True)
class FetchRecord:
    """GET the record of this id."""

    record_id: int


@dataclass(frozen=True, slots=True)
class FetchVerification:
    """GET why this backup failed, or is not valid, from an engine that can tell."""

    record_id: int


@dataclass(frozen=True, slots=True)
class ChangeDescription:
    """Change the description of the record (spec §3.4)."""

    record_id: int
    description: str


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """DELETE the record: cancels a running backup, deletes any other (spec §3.5).

    ``only_running``: it is meant to cancel, so the record is read once more right before.
    """

    record_id: int
    only_running: bool


@dataclass(frozen=True, slots=True)
class StartDeploy:
    """Run an INCREMENTAL deploy (spec §7.2)."""


@dataclass(frozen=True, slots=True)
class LookAtDeploy:
    """GET the state of the deploy (spec §7.1)."""


Decision = (
    Rest
    | Report
    | AddFinalizer
    | RemoveFinalizer
    | CheckName
    | FindHosts
    | WriteAhead
    | Submit
    | LookForLost
    | Adopt
    | FetchRecord
    | FetchVerification
    | ChangeDescription
    | DeleteRecord
    | StartDeploy
    | LookAtDeploy
)
