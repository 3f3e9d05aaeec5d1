"""What is known about one BackupConfiguration, its steps, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backup_api.configurations import BackupConfigurationRecord, ChangeConfiguration
from backup_api.deploy import DeployStatus
from backup_operator.decisions.facts import EngineSeen
from backup_operator.resources.configuration_status import (
    BackupConfigurationStatus,
    Drift,
)
from backup_operator.resources.parts import ObjectMetadata


@dataclass(frozen=True, slots=True)
class ConfigurationView:
    """What the engine said at a moment; ``hosts`` by name, where the spec names some.

    ``staged_hosts`` are the names of those that a deploy leaves there.
    """

    at: datetime
    staged: BackupConfigurationRecord
    deployed: BackupConfigurationRecord
    deploy: DeployStatus
    hosts: Mapping[str, int] = field(default_factory=dict)
    staged_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    """The engine refused to stage the spec of ``generation``."""

    at: datetime
    generation: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ConfigurationMemory:
    """What this process alone knows; where it is missing, the engine is asked again."""

    view: ConfigurationView | None = None
    refused: ChangeRefused | None = None
    deploy_asked_at: datetime | None = None
    deploy_trouble: str | None = None  # why the latest deploy was not started


@dataclass(frozen=True, slots=True)
class ConfigurationSeen:
    """Everything that a decision about one BackupConfiguration rests on.

    ``rival``: name of an older object for the same configuration. ``interval``: how often the
    engine is looked at for changes that others make.
    """

    metadata: ObjectMetadata
    status: BackupConfigurationStatus
    engine: EngineSeen
    memory: ConfigurationMemory
    interval: timedelta
    rival: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationStanding:
    """Where a configuration stands; ``is_staged`` and ``is_deployed`` None: not known."""

    reason: str
    message: str
    is_ready: bool = False
    is_stalled: bool = False
    is_staged: bool | None = None
    is_deployed: bool | None = None
    not_in_force: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestConfiguration:
    """Nothing to do before the next event."""


@dataclass(frozen=True, slots=True)
class LookAtConfiguration:
    """Read both views, the deploy, and the hosts if ``with_hosts``."""

    with_hosts: bool


@dataclass(frozen=True, slots=True)
class StageConfiguration:
    """POST the whole staged object (spec §5.2); ``drift``: others had changed it."""

    body: ChangeConfiguration
    fields: tuple[str, ...]
    drift: Drift | None


@dataclass(frozen=True, slots=True)
class DeployConfiguration:
    """Run an INCREMENTAL deploy (spec §7.2)."""


@dataclass(frozen=True, slots=True)
class ConfigurationReport:
    """Tell ``standing`` and come back at ``until``; None: on the next event."""

    standing: ConfigurationStanding
    until: datetime | None


ConfigurationDecision = (
    RestConfiguration
    | LookAtConfiguration
    | StageConfiguration
    | DeployConfiguration
    | ConfigurationReport
)
