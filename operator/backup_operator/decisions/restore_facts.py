"""What is known about one Restore at the moment of a decision, and the steps it can name."""

from dataclasses import dataclass
from datetime import datetime

from backup_api.backups import BackupRecord
from backup_api.extensions.restores import (
    PlanItem,
    RestoreFailure,
    RestoreOptions,
    RestorePlan,
    RestoreProgress,
)
from backup_api.extensions.volume_plans import VolumePlan
from backup_api.extensions.volumes import CreateVolumeRestore, VolumeRestoreRecord
from backup_api.restores import CreateRestore, RestoreRecord
from backup_operator.decisions.facts import EngineSeen, Refusal, Trouble
from backup_operator.resources.backup_status import Failure
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import (
    RestoreLaunch,
    RestorePhase,
    RestoreStatus,
    RestoreSubmission,
    ToldPlan,
)


@dataclass(frozen=True, slots=True)
class RestoreView:
    """What the engine said at a moment; ``record`` None: it has no such restore.

    On an appliance (``is_in_cluster`` False) there are no options, plan and progress; ``backup`` is
    what its plan is made of.
    """

    at: datetime
    record: RestoreRecord | None
    is_in_cluster: bool = False
    options: RestoreOptions | None = None
    plan: RestorePlan | None = None
    items: tuple[PlanItem, ...] = ()
    progress: RestoreProgress | None = None
    failures: tuple[RestoreFailure, ...] = ()
    backup: BackupRecord | None = None


@dataclass(frozen=True, slots=True)
class OpenRestores:
    """The restores that were open at a moment; there can be one (spec §4.0)."""

    at: datetime
    records: tuple[RestoreRecord, ...]


@dataclass(frozen=True, slots=True)
class VolumesPlanned:
    """The plan of a restore of volumes at a moment.

    ``plan`` None: the engine refused it for good (``refusal``), or restores no volumes at all.
    """

    at: datetime
    plan: VolumePlan | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class VolumesView:
    """A restore of volumes as the engine told of it at a moment; ``record`` None: it has none."""

    at: datetime
    record: VolumeRestoreRecord | None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A request that the engine refused at a moment, and may take once people did something."""

    at: datetime
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class RestoreMemory:
    """What this process alone knows about a Restore; a look takes its place after a crash."""

    unsent_attempt: int = 0  # stored ahead by this process and not sent yet; 0: none
    created: RestoreRecord | None = None  # the answer to our POST, whose id is not stored yet
    refusal: Refusal | None = None  # of the latest POST of a restore
    first_look_at: datetime | None = None  # since the latest attempt
    look: OpenRestores | None = None
    view: RestoreView | None = None
    launch_refusal: Refusal | None = None
    options_refusal: Refusal | None = None
    planned: VolumesPlanned | None = None
    restored: VolumeRestoreRecord | None = None  # the answer to our POST of volumes
    lost: VolumesView | None = None  # what a look by key found
    volumes: VolumesView | None = None
    obstacle: Obstacle | None = None  # of the latest step; None: it was taken


@dataclass(frozen=True, slots=True)
class RestoreSeen:
    """Everything that a decision about one Restore rests on.

    ``backup_id`` None: not known yet, and ``backup_trouble`` says why; ``backup_is_lost``: it
    never will be. ``not_allowed``: the namespace may not restore with this engine. ``in_the_way``:
    the Restore that the first open record of the latest look came of; None: not one of ours.
    """

    metadata: ObjectMetadata
    status: RestoreStatus
    engine: EngineSeen
    memory: RestoreMemory
    backup_id: int | None = None
    backup_trouble: Trouble | None = None
    backup_is_lost: bool = False
    not_allowed: Trouble | None = None
    in_the_way: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreStanding:
    """Where a Restore stands; ``phase`` None keeps the phase.

    ``is_over``: finished, however. ``is_good``: as the spec asks, which for mode Plan is a plan.
    """

    phase: RestorePhase | None
    reason: str
    message: str
    is_over: bool = False
    is_good: bool = False
    is_stalled: bool = False
    wants_credentials: bool = False
    is_approved: bool = False
    plan: ToldPlan | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class RestRestore:
    """Nothing to do before the next event."""


@dataclass(frozen=True, slots=True)
class ReportRestore:
    """Tell ``standing`` and come back at ``until``; None: on the next event."""

    standing: RestoreStanding
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeepRestore:
    """Add (``wanted``) or remove the finalizer."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class ListOpenRestores:
    """List the open restores: nothing may be open beforehand, and a lost one is among them."""


@dataclass(frozen=True, slots=True)
class WriteRestoreAhead:
    """Store that an attempt is about to be made; it is made only once this is confirmed."""

    submission: RestoreSubmission


@dataclass(frozen=True, slots=True)
class CreateRestoreRecord:
    """POST the restore, once (spec §4.2)."""

    attempt: int
    body: CreateRestore


@dataclass(frozen=True, slots=True)
class AdoptRestore:
    """Store the id of a record that is ours; ``is_found``: a look found it."""

    record: RestoreRecord
    is_found: bool


@dataclass(frozen=True, slots=True)
class LookAtRestore:
    """Read the record, and of an in-cluster engine options, plan, progress and failures."""

    restore_id: int


@dataclass(frozen=True, slots=True)
class SetOptions:
    """PUT the options, which a restore must have before its plan is computed."""

    restore_id: int
    options: RestoreOptions


@dataclass(frozen=True, slots=True)
class ComputePlan:
    """Have the plan computed."""

    restore_id: int


@dataclass(frozen=True, slots=True)
class WriteLaunchAhead:
    """Store that an approved restore is about to be launched."""

    launch: RestoreLaunch
    standing: RestoreStanding


@dataclass(frozen=True, slots=True)
class LaunchRestoreRecord:
    """POST the launch (spec §4.4); a second one is refused by the server."""

    restore_id: int


@dataclass(frozen=True, slots=True)
class DropRestore:
    """DELETE the record of a restore that was never launched, so that others can begin."""

    restore_id: int


@dataclass(frozen=True, slots=True)
class DropLostRestore:
    """The same for the record of an attempt whose answer was lost, if it made one."""

    wanted: RestoreSpec
    submission: RestoreSubmission


@dataclass(frozen=True, slots=True)
class PlanVolumes:
    """Ask what a restore of volumes would do; nothing is stored at the engine."""

    body: CreateVolumeRestore


@dataclass(frozen=True, slots=True)
class WriteVolumesAhead:
    """Store that an approved restore of volumes is about to be requested."""

    submission: RestoreSubmission
    launch: RestoreLaunch
    standing: RestoreStanding


@dataclass(frozen=True, slots=True)
class CreateVolumes:
    """POST the restore; its key makes a second one harmless."""

    body: CreateVolumeRestore


@dataclass(frozen=True, slots=True)
class FindVolumes:
    """Look whether a request whose answer is not known made a restore."""

    key: str


@dataclass(frozen=True, slots=True)
class AdoptVolumes:
    """Store the id of a restore of volumes that is ours; ``is_found``: a look found it."""

    record: VolumeRestoreRecord
    is_found: bool


@dataclass(frozen=True, slots=True)
class LookAtVolumes:
    """Read how far a restore of volumes is."""

    restore_id: int


@dataclass(frozen=True, slots=True)
class CancelVolumes:
    """Have a restore of volumes stopped."""

    restore_id: int


VolumeRestoreStep = PlanVolumes | CreateVolumes | FindVolumes | LookAtVolumes | CancelVolumes
EngineRestoreStep = (
    ListOpenRestores
    | CreateRestoreRecord
    | LookAtRestore
    | SetOptions
    | ComputePlan
    | LaunchRestoreRecord
    | DropRestore
    | DropLostRestore
)
RestoreDecision = (
    RestRestore
    | ReportRestore
    | KeepRestore
    | WriteRestoreAhead
    | AdoptRestore
    | WriteLaunchAhead
    | EngineRestoreStep
    | WriteVolumesAhead
    | AdoptVolumes
    | VolumeRestoreStep
)
