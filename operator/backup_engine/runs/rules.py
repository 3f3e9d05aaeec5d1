"""What the deployed configuration allows a capture: time and load (spec §5.0, §10)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from backup_api.configurations import BackupConfigurationRecord, BackupPriority
from backup_engine.capture.listing import PAGE_OBJECTS, PageLimits
from backup_engine.capture.pacing import Pacing
from backup_engine.capture.policy import STRICT, SuccessPolicy
from backup_engine.capture.run import CaptureLimits
from backup_engine.capture.scope import EVERYTHING, CaptureScope
from backup_engine.host_definition import DEFAULT_CONSOLE, HostDefinition, HostPolicy, HostScope
from backup_engine.product import CONFIGURATION_ID
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords
from backup_engine.selectors import build_label_selector

_LOAD: Final = {
    BackupPriority.LOW: CaptureLimits(
        PageLimits(PAGE_OBJECTS // 10), kinds_abreast=1, pacing=Pacing(rest_ratio=3)
    ),
    BackupPriority.MEDIUM: CaptureLimits(
        PageLimits(PAGE_OBJECTS // 2), kinds_abreast=2, pacing=Pacing(rest_ratio=1)
    ),
    BackupPriority.HIGH: CaptureLimits(),
}
"""What a priority governs: objects that the API server must put together for one answer, answers
asked for at once, and how long it is left alone behind each."""

_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """How long a CONFIG capture may take, how much it may ask for at once, and what it is about."""

    time_limit_s: float
    limits: CaptureLimits
    scope: CaptureScope = EVERYTHING
    policy: SuccessPolicy = STRICT


ReadRules = Callable[[int], Awaitable[CaptureRules]]
"""Tells the rules for a capture that begins now, by the id of its host."""


def build_rules(deployed: BackupConfigurationRecord, host: HostDefinition) -> CaptureRules:
    """Build the rules for a CONFIG capture of ``host`` under ``deployed``, which is complete."""
    assert deployed.configuration_backup_time_limit is not None
    assert deployed.configuration_backup_priority is not None
    return CaptureRules(
        deployed.configuration_backup_time_limit / _MS_PER_S,
        _LOAD[deployed.configuration_backup_priority],
        build_scope(host.scope),
        build_policy(host.success_policy),
    )


def build_policy(policy: HostPolicy) -> SuccessPolicy:
    """Build which gaps a capture may have from what a BackupHost says."""
    return SuccessPolicy(
        policy.tolerate_forbidden, policy.tolerate_unavailable, policy.tolerate_failed
    )


def build_scope(scope: HostScope) -> CaptureScope:
    """Build what a capture takes from what a BackupHost says."""
    return CaptureScope(
        include_namespaces=scope.namespaces.include,
        exclude_namespaces=scope.namespaces.exclude,
        namespace_selector=build_label_selector(scope.namespaces.selector),
        include_kinds=scope.kinds.include,
        exclude_kinds=scope.kinds.exclude,
        object_selector=build_label_selector(scope.label_selector),
        has_cluster_scoped=scope.include_cluster_scoped,
        has_default_excludes=scope.kinds.default_excludes,
    )


class DeployedRules:
    """Reads the rules off what is deployed; raises SQLAlchemyError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, host_id: int) -> CaptureRules:
        """Read them anew: a deploy governs the next capture, not the one that runs."""
        async with self._database.reading() as connection:
            stored = await ConfigurationRecords(connection).get(CONFIGURATION_ID)
            host = await HostRecords(connection).find(host_id)
        version = host.deployed if host is not None else None
        return build_rules(stored.deployed, (version or DEFAULT_CONSOLE).definition)
