"""Looking into the archives of backups: the use cases behind ``/backup_engine/backups/{id}``."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from backup_api.backups import BackupType, RecordStatus
from backup_api.extensions.archives import ReadArchiveErrors
from backup_api.paging import ItemRange
from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveError,
    ArchiveFormatError,
    ArchiveLockedError,
    ArchiveMissingError,
    ArchiveUntrustedError,
)
from backup_engine.archive.manifest import IndexEntry
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.reading import ArchiveReader, SealedArchive
from backup_engine.archive.store import ArchiveStore
from backup_engine.browse.comparing import Comparison, Difference, Side, compare, detail
from backup_engine.browse.contents import (
    FoundObject,
    KindContents,
    NamespaceContents,
    find_object,
    list_entries,
    list_kinds,
    list_namespaces,
)
from backup_engine.browse.sides import ArchiveSide, LiveSide
from backup_engine.cluster import ClusterConnection
from backup_engine.errors import RefusalError
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.database import Database
from backup_engine.restore.errors import RestoreError
from backup_engine.restore.live import LiveCluster
from backup_engine.restore.request import RestoreLimits
from backup_engine.restore.selection import ObjectRule, Selection
from backup_engine.runs.safekeeping import Safekeeping

CHUNK_BYTES: Final = 1024 * 1024
COMPARED_ABREAST: Final = 2  # a comparison may read two whole archives

_WITH_ARCHIVE: Final = frozenset({RecordStatus.SUCCESS, RecordStatus.MISSING})
_ROWS: Final = (
    (ArchiveMissingError, ReadArchiveErrors.NO_ARCHIVE),
    (ArchiveLockedError, ReadArchiveErrors.LOCKED),
    (ArchiveFormatError, ReadArchiveErrors.NOT_COMPATIBLE),
    (ArchiveDamagedError, ReadArchiveErrors.NOT_VALID),
    (ArchiveUntrustedError, ReadArchiveErrors.NOT_VALID),
    (ArchiveError, ReadArchiveErrors.UNREADABLE),
)


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """The bytes of one archive; ``tag`` changes whenever they do, None: it has no seal."""

    store: ArchiveStore
    name: str
    size_bytes: int
    is_encrypted: bool
    tag: str | None

    async def chunks(self, first: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield ``length`` bytes from ``first`` on, one chunk in memory; raises StorageError."""
        end = first + length
        while first < end:
            chunk = await self.store.read_range(self.name, first, min(CHUNK_BYTES, end - first))
            first += len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """A stretch of the objects that match; ``total`` counts all of them."""

    entries: list[IndexEntry]
    first: int
    total: int


@dataclass(frozen=True, slots=True)
class DifferencePage:
    """A comparison, with the fields of one stretch of it."""

    comparison: Comparison
    differences: list[Difference]
    first: int


class Archives:
    """The use cases; each opens the archive anew, for nothing about it is kept in memory."""

    def __init__(
        self,
        database: Database,
        places: ArchivePlaces,
        safekeeping: Safekeeping,
        cluster: ClusterConnection,
    ) -> None:
        self._database = database
        self._places = places
        self._safekeeping = safekeeping
        self._cluster = cluster
        self._comparing = asyncio.Semaphore(COMPARED_ABREAST)

    async def find_stored(self, backup_id: int) -> StoredArchive:
        """Find the bytes of an archive, also of one that is not valid; raises RefusalError."""
        backup = await self._find(backup_id)
        store, name = self._places.open(backup.archive_directory), backup.archive_name
        try:
            size = await store.reader(name).get_size()
            try:
                sealed = await SealedArchive.open(store.reader(name))
            except (ArchiveDamagedError, ArchiveFormatError):
                return StoredArchive(store, name, size, is_encrypted=False, tag=None)
        except ArchiveError as trouble:
            raise explain(trouble) from trouble
        tag = hashlib.sha256(sealed.seal_block).hexdigest()[:32]
        return StoredArchive(store, name, size, sealed.is_encrypted, tag)

    async def list_kinds(self, backup_id: int) -> list[KindContents]:
        """List the kinds in the order of restore; raises RefusalError."""
        return list_kinds((await self._open(backup_id)).manifest)

    async def list_namespaces(self, backup_id: int) -> list[NamespaceContents]:
        """List the namespaces by name; raises RefusalError."""
        archive = await self._open(backup_id)
        try:
            return await list_namespaces(archive)
        except ArchiveError as trouble:
            raise explain(trouble) from trouble

    async def list_objects(self, backup_id: int, rule: ObjectRule, items: ItemRange) -> ObjectPage:
        """List one stretch of what matches, in the archive's order; raises RefusalError."""
        archive = await self._open(backup_id)
        entries: list[IndexEntry] = []
        total = 0
        try:
            async for entry in list_entries(archive, rule):
                if items.first <= total <= items.last:
                    entries.append(entry)
                total += 1
        except ArchiveError as trouble:
            raise explain(trouble) from trouble
        return ObjectPage(entries, items.first, total)

    async def get_object(
        self, backup_id: int, kind: str, namespace: str | None, name: str
    ) -> FoundObject:
        """Get one object; raises RefusalError, also UNKNOWN_OBJECT."""
        archive = await self._open(backup_id)
        try:
            found = await find_object(archive, kind, namespace, name)
        except ArchiveError as trouble:
            raise explain(trouble) from trouble
        if found is None:
            place = f"{namespace}/{name}" if namespace is not None else name
            message = f"The archive of backup {backup_id} has no {kind} {place}"
            raise RefusalError(ReadArchiveErrors.UNKNOWN_OBJECT, message)
        return found

    async def compare(
        self, backup_id: int, other_id: int | None, rule: ObjectRule | None, items: ItemRange
    ) -> DifferencePage:
        """Compare an archive with a newer state: another archive, or with None the cluster.

        Raises RefusalError.
        """
        selection = Selection(include=(rule,) if rule is not None else ())
        old = ArchiveSide(await self._open(backup_id), selection)
        new: Side
        if other_id is None:
            live = LiveCluster(self._cluster, RestoreLimits().retries)
            new = LiveSide(live, selection, old.scope)
        else:
            new = ArchiveSide(await self._open(other_id), selection)
        async with self._comparing:
            try:
                comparison = await compare(old, new)
                page = comparison.entries[items.first : items.last + 1]
                return DifferencePage(comparison, await detail(page, old, new), items.first)
            except ArchiveError as trouble:
                raise explain(trouble) from trouble
            except RestoreError as trouble:
                message = f"{trouble.reason}: {trouble.message}"
                raise RefusalError(ReadArchiveErrors.CLUSTER_SILENT, message) from trouble

    async def _open(self, backup_id: int) -> ArchiveReader:
        backup = await self._find(backup_id)
        store = self._places.open(backup.archive_directory)
        try:
            return await self._safekeeping.open(store, backup.archive_name)
        except ArchiveError as trouble:
            raise explain(trouble) from trouble

    async def _find(self, backup_id: int) -> StoredBackup:
        async with self._database.reading() as connection:
            backup = await BackupRecords(connection).find(backup_id)
        if backup is None:
            message = f"Backup {backup_id} was not found"
            raise RefusalError(ReadArchiveErrors.UNKNOWN_BACKUP, message)
        record = backup.record
        if record.type is not BackupType.CONFIG or record.status not in _WITH_ARCHIVE:
            message = f"Backup {backup_id} is a {record.type} backup in state {record.status}"
            raise RefusalError(ReadArchiveErrors.NO_ARCHIVE, message)
        return backup


def explain(trouble: ArchiveError) -> RefusalError:
    """Build the refusal that stands for trouble with an archive."""
    row = next(row for kind, row in _ROWS if isinstance(trouble, kind))
    return RefusalError(row, f"{trouble.reason}: {trouble.message}")
