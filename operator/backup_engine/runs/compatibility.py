"""Keeps ``is_version_compatible`` true: can this program and this cluster take an archive back?

Judged when an archive is new, and again whenever the cluster's API or this program changed.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backup_api.backups import RecordStatus as Status
from backup_engine.archive.errors import ArchiveError, ArchiveFormatError, StorageError
from backup_engine.archive.manifest import FORMAT_MAJOR, Manifest
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.reading import ArchiveReader
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.discovery import CUSTOM_RESOURCE_DEFINITIONS
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.records.backups import BackupRecords
from backup_engine.records.database import Database
from backup_engine.records.verifications import (
    KindsOfArchive,
    NeededKind,
    VerificationRecords,
    build_kinds,
)
from backup_engine.restore.errors import RestoreError
from backup_engine.restore.identity import split_api_version
from backup_engine.restore.live import LiveCluster
from backup_engine.restore.serving import LISTABLE, ServedKinds
from backup_engine.runs.persistence import persist
from backup_engine.runs.safekeeping import Safekeeping

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
AT_ONCE: Final = 100
_ASK_BRIEFLY: Final = RetryPolicy(attempts=2, busy_attempts=2)


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The verdict; ``conversions`` are kinds that go back in another version than the archive's."""

    incompatibilities: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()

    @property
    def is_compatible(self) -> bool:
        """Whether all of the archive can go back."""
        return not self.incompatibilities


def judge_compatibility(kinds: Sequence[NeededKind], served: ServedKinds) -> Compatibility:
    """Compare what an archive holds with what a cluster serves. Pure.

    A kind that the archive itself defines comes back with its definition.
    """
    lacking, converted = [], []
    for kind in kinds:
        found = served.find(kind.api_version, kind.resource)
        name = f"{kind.resource} ({kind.api_version})"
        if found is None:
            if not kind.is_defined:
                lacking.append(f"{name}: not served by this cluster")
        elif found.kind.api_version != kind.api_version and not kind.is_defined:
            converted.append(f"{name}: restored as {found.kind.api_version}")
    return Compatibility(tuple(lacking), tuple(converted))


def build_basis(served: ServedKinds, product_version: str) -> str:
    """Build a digest of all that a verdict depends on."""
    told = "\n".join([product_version, str(FORMAT_MAJOR), *served.describe()])
    return hashlib.sha256(told.encode()).hexdigest()


class CompatibilityWatch:
    """Level-triggered: judges every archive that was judged on another basis, or never."""

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        cluster: ClusterConnection,
        safekeeping: Safekeeping,
        product_version: str,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._database = database
        self._places = places
        self._live = LiveCluster(cluster, _ASK_BRIEFLY)
        self._safekeeping = safekeeping
        self._product_version = product_version
        self._look_every_s = look_every_s

    async def run(self) -> None:
        """Look until cancelled; a cluster that does not answer changes no verdict."""
        while True:
            try:
                # what a capture could list; what can only be read is no obstacle to a restore
                served = await self._live.fetch_served(LISTABLE)
            except (RestoreError, ClusterError) as trouble:
                logger.info("what the cluster serves cannot be told now: %s", trouble)
            else:
                await self._judge_all(served, build_basis(served, self._product_version))
            await asyncio.sleep(self._look_every_s)

    async def _judge_all(self, served: ServedKinds, basis: str) -> None:
        async def list_outdated() -> list[KindsOfArchive]:
            async with self._database.reading() as connection:
                return await VerificationRecords(connection).list_outdated(basis, AT_ONCE)

        while outdated := await persist(list_outdated, "looking for archives to judge"):
            for one in outdated:
                await self._judge(one, served, basis)
            await asyncio.sleep(0)

    async def _judge(self, one: KindsOfArchive, served: ServedKinds, basis: str) -> None:
        kinds, verdict = one.kinds, Compatibility()
        try:
            if kinds is None:
                kinds = await self._read_kinds(one)
            verdict = judge_compatibility(kinds, served)
        except ArchiveFormatError as trouble:
            verdict = Compatibility((trouble.message,))
        except ArchiveError as trouble:  # no key, damaged, or away: nothing is known of its kinds
            reason = "away" if isinstance(trouble, StorageError) else trouble.reason
            logger.info("backup %d: its kinds cannot be told: %s", one.backup.id, reason)
        changes = {
            "kinds": build_kinds(kinds) if kinds is not None else None,
            "incompatibilities": list(verdict.incompatibilities),
            "conversions": list(verdict.conversions),
            "compatibility_basis": basis,
        }
        was_compatible = one.backup.record.is_version_compatible
        if verdict.is_compatible is not was_compatible:
            said = "; ".join(verdict.incompatibilities) or "all kinds are served again"
            logger.warning("backup %d: version compatibility changed: %s", one.backup.id, said)

        async def write() -> None:
            async with self._database.writing() as connection:
                records = BackupRecords(connection)
                column = {"is_version_compatible": verdict.is_compatible}
                if await records.move(one.backup.id, {Status.SUCCESS}, Status.SUCCESS, column):
                    await VerificationRecords(connection).note(one.backup.id, changes)

        await persist(write, f"backup {one.backup.id}: writing its compatibility")

    async def _read_kinds(self, one: KindsOfArchive) -> tuple[NeededKind, ...]:
        store = self._places.open(one.backup.archive_directory)
        reader = await self._safekeeping.open(store, one.backup.archive_name)
        return await read_kinds(reader)


async def read_kinds(reader: ArchiveReader) -> tuple[NeededKind, ...]:
    """Read from an archive which kinds it holds; raises ArchiveError."""
    defined = set()
    group, resource = CUSTOM_RESOURCE_DEFINITIONS
    async for entry, _ in reader.list_objects(
        lambda entry: (
            split_api_version(entry.api_version)[0] == group and entry.resource == resource
        )
    ):
        defined.add(entry.name)
    return tuple(
        NeededKind(api_version, name, f"{name}.{split_api_version(api_version)[0]}" in defined)
        for api_version, name in list_kinds(reader.manifest)
    )


def list_kinds(manifest: Manifest) -> list[tuple[str, str]]:
    """Return API version and resource of each kind that has objects, in order."""
    return list(dict.fromkeys((part.api_version, part.resource) for part in manifest.parts))
