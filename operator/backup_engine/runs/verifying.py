"""Judges archives: their bytes, and whether they belong to this engine (spec §3.0)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backup_api.extensions.verification import VerificationDepth
from backup_api.hosts import HostRecord
from backup_engine.archive.criteria import (
    ADDRESS_CLASH,
    CLUSTER_DIFFERS,
    PRODUCT_DIFFERS,
    ROLE_DIFFERS,
)
from backup_engine.archive.envelope import Header
from backup_engine.archive.manifest import PRODUCT_NAME
from backup_engine.archive.pacing import UNPACED, ReadPace
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import VERIFIED_STORED, Verification
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import fetch_identity
from backup_engine.capture.request import CapturedKind
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.records.backups import StoredBackup
from backup_engine.records.verifications import NeededKind
from backup_engine.records.verifications import build_kinds as build_stored_kinds
from backup_engine.runs.safekeeping import Safekeeping

logger = logging.getLogger(__name__)

UNVERIFIED: Final = "Unverified"
"""Reason of an archive that could not be read; it says nothing about the archive."""

_ASK_BRIEFLY: Final = RetryPolicy(attempts=2, busy_attempts=2)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the header of an archive must agree with; None as cluster: not known now."""

    backup: StoredBackup
    console: HostRecord
    cluster_uid: str | None


def judge_origin(header: Header, expected: Expected) -> Verification | None:
    """Find the first of the four reasons why a sound archive is not this engine's; None: it is.

    They are those of the spec, translated to clusters. What an encrypted archive does not tell in
    clear (its host's name) is not judged. Pure.
    """
    record, console, told = expected.backup.record, expected.console, header.backup
    cluster_uid = header.cluster.uid
    if (told.type, told.host.id) != (record.type, record.host_id):
        return _invalid(
            ROLE_DIFFERS,
            f"the archive is a {told.type} backup of host {told.host.id}, the record one of"
            f" {record.type} of host {record.host_id}",
        )
    if header.product.name != PRODUCT_NAME:
        return _invalid(
            PRODUCT_DIFFERS, f"it was written by {header.product.name!r}, not {PRODUCT_NAME!r}"
        )
    if None not in {cluster_uid, expected.cluster_uid} and cluster_uid != expected.cluster_uid:
        return _invalid(
            CLUSTER_DIFFERS,
            f"it is of cluster {cluster_uid}, and this engine serves {expected.cluster_uid};"
            " restore it with `backup_engine archive restore`",
        )
    if told.host.name == console.hostname and told.host.id != console.id:
        return _invalid(
            ADDRESS_CLASH,
            f"host {told.host.id} of the archive has the name {console.hostname} of the console,"
            f" which is host {console.id}",
        )
    return None


class Verifier:
    """Verifies archives as the records know them."""

    def __init__(
        self, safekeeping: Safekeeping, cluster: ClusterConnection, console: HostRecord
    ) -> None:
        self._safekeeping = safekeeping
        self._cluster = cluster
        self._console = console

    async def verify(
        self, store: ArchiveStore, backup: StoredBackup, pace: ReadPace = UNPACED
    ) -> Verification:
        """Check every byte of an archive, then whether it is this engine's.

        Raises StorageError if the store cannot be read, SigningError if the truststore cannot.
        """
        verdict = await self._safekeeping.verify(store, backup.archive_name, pace)
        if not verdict.is_valid or verdict.header is None:
            return verdict
        expected = Expected(backup, self._console, await self._find_cluster())
        return judge_origin(verdict.header, expected) or verdict

    async def _find_cluster(self) -> str | None:
        try:
            return (await fetch_identity(self._cluster, _ASK_BRIEFLY)).uid
        except (CaptureError, ClusterError) as silence:
            logger.info("which cluster this is cannot be told now: %s", silence)
            return None


def describe_verification(verdict: Verification, now_ms: int) -> dict[str, object]:
    """Build the columns that tell a verification which has just ended."""
    is_deep = verdict.reason != VERIFIED_STORED
    depth = VerificationDepth.CONTENTS if is_deep else VerificationDepth.STORED_BYTES
    return {
        "reason": verdict.reason,
        "message": verdict.message,
        "depth": depth.value,
        "time_verified": now_ms,
        "time_requested": None,
    }


def build_kinds(captured: Sequence[CapturedKind]) -> list[list[object]]:
    """Build the column that tells which kinds an archive holds."""
    return build_stored_kinds(
        [NeededKind(kind.api_version, kind.resource, kind.is_defined) for kind in captured]
    )


def _invalid(reason: str, message: str) -> Verification:
    return Verification(is_valid=False, reason=reason, message=message)
