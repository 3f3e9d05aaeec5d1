"""All that looks after stored archives, put together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from backup_api.hosts import HostRecord
from backup_engine.archive.places import ArchivePlaces
from backup_engine.cluster import ClusterConnection
from backup_engine.records.database import Database
from backup_engine.runs.compatibility import LOOK_EVERY_S, CompatibilityWatch
from backup_engine.runs.safekeeping import Safekeeping
from backup_engine.runs.scanning import DeepScan, ScanRules
from backup_engine.runs.verifying import Verifier
from backup_engine.runs.watch import ArchiveWatch

LIGHT_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class LookoutRules:
    """How often the light scan looks, and what the cluster serves is asked; seconds."""

    light_every_s: float = LIGHT_EVERY_S
    deep: ScanRules = field(default_factory=ScanRules)
    served_every_s: float = LOOK_EVERY_S


@dataclass(frozen=True, slots=True)
class Lookout:
    """The light scan, the deep scan, and the watch over what the cluster serves."""

    watch: ArchiveWatch
    scan: DeepScan
    compatibility: CompatibilityWatch


def build_lookout(  # noqa: PLR0913 - its collaborators
    database: Database,
    places: ArchivePlaces,
    cluster: ClusterConnection,
    *,
    console: HostRecord,
    product_version: str,
    safekeeping: Safekeeping,
    clock: Callable[[], datetime],
    rules: LookoutRules,
) -> Lookout:
    """Put the parts together."""
    verifier = Verifier(safekeeping, cluster, console)
    return Lookout(
        ArchiveWatch(database, places, verifier, clock, rules.light_every_s),
        DeepScan(database, places, verifier, clock, rules.deep),
        CompatibilityWatch(
            database, places, cluster, safekeeping, product_version, rules.served_every_s
        ),
    )
