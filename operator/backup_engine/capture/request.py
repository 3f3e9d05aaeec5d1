"""What is asked of a capture, how patient it is, and what it tells. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from backup_engine.archive.manifest import (
    PRODUCT_NAME,
    BackupFacts,
    ClusterIdentity,
    Host,
    Origin,
    Product,
    Skipped,
)
from backup_engine.archive.names import build_archive_name
from backup_engine.archive.writing import build_origin
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.listing import PageLimits
from backup_engine.capture.pacing import Pacing
from backup_engine.capture.policy import STRICT, SuccessPolicy
from backup_engine.capture.scope import EVERYTHING, CaptureScope

KINDS_ABREAST: Final = 4


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """What to capture and for which backup, and what may be missing from it."""

    backup_id: int
    name: str
    host_id: int
    hostname: str
    time_initiated_ms: int
    initiated_by: str | None
    product_version: str
    scope: CaptureScope = EVERYTHING
    policy: SuccessPolicy = STRICT

    @property
    def archive_name(self) -> str:
        """The archive's file name; the same request always gives the same (spec §10)."""
        return build_archive_name(self.name, self.hostname, self.host_id, self.time_initiated_ms)

    def build_origin(self, identity: ClusterIdentity) -> Origin:
        """Build the origin that the archive tells."""
        return build_origin(
            BackupFacts(
                id=self.backup_id,
                name=self.name,
                type="CONFIG",
                time_initiated_ms=self.time_initiated_ms,
                initiated_by=self.initiated_by,
                host=Host(id=self.host_id, name=self.hostname),
            ),
            Product(name=PRODUCT_NAME, version=self.product_version),
            identity,
        )


@dataclass(frozen=True, slots=True)
class CapturedKind:
    """A kind with objects in the archive; ``is_defined``: by a definition in the same archive."""

    api_version: str
    resource: str
    is_defined: bool


@dataclass(frozen=True, slots=True)
class CaptureOutcome:
    """A finished archive; ``kinds`` counts those with at least one object."""

    archive_name: str
    size_bytes: int
    objects: int
    kinds: int
    skipped: tuple[Skipped, ...]
    captured: tuple[CapturedKind, ...] = ()


@dataclass(frozen=True, slots=True)
class CaptureProgress:
    """How far a running capture is: kinds listed to their end, of all to be listed."""

    kinds_done: int
    kinds_total: int
    objects: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """Sizes and patience of a capture; the defaults are those the budgets were measured with."""

    page: PageLimits = field(default_factory=PageLimits)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    kinds_abreast: int = KINDS_ABREAST
    pacing: Pacing = field(default_factory=Pacing)


ReportProgress = Callable[[CaptureProgress], None]
