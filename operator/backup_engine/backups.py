"""What can be done with backups: the use cases behind ``/backup_and_restore/backups`` (spec §3)."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from backup_api.backups import (
    DESCRIPTION_LENGTH,
    LEAVING,
    NAME_LENGTH,
    NAME_PATTERN,
    RUNNING,
    BackupRecord,
    BackupType,
    ChangeBackup,
    CreateBackup,
    RecordStatus,
)
from backup_api.configurations import BackupConfigurationRecord
from backup_api.errors import (
    ChangeBackupErrors,
    CreateBackupErrors,
    DeleteBackupErrors,
    GetBackupErrors,
)
from backup_api.hosts import HostRecord, HostStatus
from backup_api.paging import ItemRange, Page
from backup_engine.errors import RefusalError
from backup_engine.product import CONFIGURATION_ID, CONSOLE_ID, Product
from backup_engine.query.binding import Bound
from backup_engine.query.sort import SortKey
from backup_engine.records.backups import (
    BackupRecords,
    HostBusyError,
    NameTakenError,
    StoredBackup,
)
from backup_engine.records.configurations import ConfigurationRecords, StoredConfiguration
from backup_engine.records.database import Database
from backup_engine.records.exclusion import RestoreRunningError
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.runs.beginning import WantedBackup, build_new_backup
from backup_engine.runs.host_views import build_known

Clock = Callable[[], datetime]

_DELETABLE: Final = frozenset(RecordStatus) - RUNNING - LEAVING
_TOO_LONG: Final = f"description is longer than {DESCRIPTION_LENGTH} characters"


class Backups:
    """The use cases; each is one transaction, and wakes the runner if it left work to do."""

    def __init__(
        self,
        database: Database,
        product: Product,
        clock: Clock,
        wake_runner: Callable[[], None],
    ) -> None:
        self._database = database
        self._product = product
        self._clock = clock
        self._wake_runner = wake_runner

    async def create(
        self, body: CreateBackup, backup_type: BackupType, initiated_by: str
    ) -> BackupRecord:
        """Record a backup as INITIALIZING and have it run (spec §3.2).

        Raises RefusalError with the first row that applies, in the order of spec §14.
        """
        name, configuration_id = check_create_members(body)
        if configuration_id != CONFIGURATION_ID:
            message = f"There is no backup configuration {configuration_id}; there is 1"
            raise RefusalError(CreateBackupErrors.CONFIGURATION_UNKNOWN, message)
        host_id = CONSOLE_ID if body.host_id is None else body.host_id
        wanted = WantedBackup(name, backup_type, initiated_by, body.description)
        stored = await self._add(wanted, host_id)
        self._wake_runner()
        return stored.record

    async def get(self, backup_id: int, members: Collection[str]) -> Mapping[str, Any]:
        """Get one backup as an object of the wire with ``members`` only.

        Raises RefusalError with GetBackupErrors.UNKNOWN_BACKUP.
        """
        element = await self._database.backup_lists.find(backup_id, members)
        if element is None:
            raise RefusalError(GetBackupErrors.UNKNOWN_BACKUP, _not_found(backup_id))
        return element

    async def list_page(
        self,
        condition: Bound | None,
        order: Sequence[SortKey],
        items: ItemRange | None,
        members: Collection[str],
    ) -> Page[Mapping[str, Any]]:
        """Filter, sort and cut the list of all backups; ``items`` None is the whole list.

        Each record is an object of the wire with ``members`` only.
        """
        return await self._database.backup_lists.list_page(condition, order, items, members)

    async def change(self, backup_id: int, body: ChangeBackup) -> BackupRecord:
        """Change the description; absent changes nothing (spec §3.4). Raises RefusalError."""
        async with self._database.writing() as connection:
            records = BackupRecords(connection)
            if await records.find(backup_id) is None:
                raise RefusalError(ChangeBackupErrors.UNKNOWN_BACKUP, _not_found(backup_id))
            if _is_too_long(body.description):
                raise RefusalError(ChangeBackupErrors.DESCRIPTION_TOO_LONG, _TOO_LONG)
            if body.description is not None:
                await records.change_description(backup_id, body.description)
            changed = await records.find(backup_id)
        assert changed is not None  # the transaction holds the write lock
        return changed.record

    async def delete(self, backup_id: int) -> BackupRecord:
        """Mark a backup to be cancelled or deleted (spec §3.5); the runner does it.

        Returns the record with its new status (spec §14 no. 16). Raises RefusalError.
        """
        async with self._database.writing() as connection:
            records = BackupRecords(connection)
            is_moved = await records.move(
                backup_id, RUNNING, RecordStatus.CANCELLING
            ) or await records.move(backup_id, _DELETABLE, RecordStatus.DELETING)
            stored = await records.find(backup_id)
        if stored is None:
            raise RefusalError(DeleteBackupErrors.UNKNOWN_BACKUP, _not_found(backup_id))
        if not is_moved:
            message = f"Backup {backup_id} is {stored.record.status} already"
            raise RefusalError(DeleteBackupErrors.ALREADY_LEAVING, message)
        self._wake_runner()
        return stored.record

    async def _add(self, wanted: WantedBackup, host_id: int) -> StoredBackup:
        """Store a backup that begins now; raises RefusalError."""
        async with self._database.writing() as connection:
            # locked, else a change staged at this moment could slip in behind the check; and so
            # that no restore begins meanwhile (``lock_beginnings``)
            configuration = await ConfigurationRecords(connection).get(
                CONFIGURATION_ID, locked=True
            )
            hosts = await HostRecords(connection).list_all()
            host = self._find_host(hosts, host_id)
            check_host(host, wanted.type)
            if wanted.type is BackupType.DATA:
                check_enabled(host, configuration.deployed)
            # read under the write lock, else a backup could begin before its forerunner ended
            now_ms = int(self._clock().timestamp() * 1000)
            directory = configuration.deployed.backup_directory_path
            new = build_new_backup(wanted, host, self._product, directory, now_ms)
            try:
                stored = await BackupRecords(connection).add(new)
            except NameTakenError as clash:
                message = f'A backup with the name "{new.name}" exists; choose another'
                raise RefusalError(CreateBackupErrors.NAME_TAKEN, message) from clash
            except RestoreRunningError as clash:
                message = "A restore runs; no backup can begin until it is over"
                raise RefusalError(CreateBackupErrors.RESTORE_RUNNING, message) from clash
            except HostBusyError as clash:
                message = f"A backup is already in progress on host {new.host_id}"
                raise RefusalError(CreateBackupErrors.HOST_BUSY, message) from clash
            pending = find_pending(configuration, hosts)
            if pending is not None:  # the last conflict to be told (spec §14)
                message = f"{pending} has not been deployed; deploy it first"
                raise RefusalError(CreateBackupErrors.NOT_DEPLOYED, message)
        return stored

    def _find_host(self, hosts: Sequence[StoredHost], host_id: int) -> HostRecord:
        for host in hosts:
            if host.id == host_id:
                return build_known(host, self._product)
        raise RefusalError(CreateBackupErrors.HOST_UNKNOWN, f"There is no host {host_id}")


def check_create_members(body: CreateBackup) -> tuple[str, int]:
    """Check the members by code number (spec §3.2, §14); returns name and configuration id.

    Lengths count code points (spec §14 no. 14). Raises RefusalError.
    """
    if not body.name:
        raise RefusalError(CreateBackupErrors.NAME_EMPTY, "name is missing or empty")
    if len(body.name) > NAME_LENGTH:
        message = f"name has {len(body.name)} characters; at most {NAME_LENGTH} are allowed"
        raise RefusalError(CreateBackupErrors.NAME_TOO_LONG, message)
    if not re.fullmatch(NAME_PATTERN, body.name):
        message = "name may hold only letters, digits, '_', '-' and '.'"
        raise RefusalError(CreateBackupErrors.NAME_CHARACTERS, message)
    if body.configuration_id is None:
        raise RefusalError(CreateBackupErrors.CONFIGURATION_MISSING, "configuration_id is missing")
    if _is_too_long(body.description):
        raise RefusalError(CreateBackupErrors.DESCRIPTION_TOO_LONG, _TOO_LONG)
    return body.name, body.configuration_id


def find_pending(configuration: StoredConfiguration, hosts: Iterable[StoredHost]) -> str | None:
    """Find what is staged and not deployed, for a message (spec §14 no. 2); None: nothing."""
    if not configuration.is_deployed:
        return "The staged backup configuration"
    names = [f"{host.id} ({host.name})" for host in hosts if host.is_pending]
    return f"What is staged for host {', '.join(names)}" if names else None


def check_host(host: HostRecord, backup_type: BackupType) -> None:
    """Check that ``host`` can make a backup of this type (codes 1010 to 1013)."""
    if host.status is not HostStatus.ACTIVE:
        message = f"Host {host.id} is not Active but {host.status}"
        raise RefusalError(CreateBackupErrors.HOST_NOT_ACTIVE, message)
    if backup_type is BackupType.CONFIG and not host.is_console:
        message = f"Host {host.id} is not the Console, which alone makes CONFIG backups"
        raise RefusalError(CreateBackupErrors.NOT_THE_CONSOLE, message)
    if backup_type is BackupType.DATA and not host.stores_data:
        message = f"Host {host.id} stores no event or flow data"
        raise RefusalError(CreateBackupErrors.NO_DATA_ON_HOST, message)


def check_enabled(host: HostRecord, deployed: BackupConfigurationRecord) -> None:
    """Check that ``host`` is enabled for DATA backups (code 1014, spec §14 no. 18)."""
    entries = deployed.data_backup_host_configuration or ()
    is_enabled = any(
        entry.event_data_backup_enabled or entry.flow_data_backup_enabled
        for entry in entries
        if entry.host_id == host.id
    )
    if not is_enabled:
        message = f"Host {host.id} is not enabled for data backups in the deployed configuration"
        raise RefusalError(CreateBackupErrors.HOST_NOT_ENABLED, message)


def _is_too_long(description: str | None) -> bool:
    return description is not None and len(description) > DESCRIPTION_LENGTH


def _not_found(backup_id: int) -> str:
    return f"Backup {backup_id} was not found"
