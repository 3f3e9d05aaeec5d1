"""What can be done with the backup configuration, staged and deployed (spec §5)."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from backup_api.configurations import (
    DAY_MS,
    MINUTE_MS,
    BackupConfigurationRecord,
    BackupPriority,
    ChangeConfiguration,
    ChangeConfigurationErrors,
    ChangeDataBackupHost,
    DataBackupHost,
    GetConfigurationErrors,
)
from backup_api.hosts import HostRecord, HostStatus
from backup_engine.archive.places import ArchivePlaces
from backup_engine.errors import RefusalError
from backup_engine.product import CONFIGURATION_ID, Product
from backup_engine.records.configurations import ConfigurationRecords, StoredConfiguration
from backup_engine.records.database import Database
from backup_engine.records.hosts import HostRecords
from backup_engine.runs.host_views import build_known

LONGEST_LIMITS_MS: Final = 1440 * MINUTE_MS
"""What both time limits together may be (spec §13 no. 8)."""

DEFAULT: Final = BackupConfigurationRecord(
    configuration_id=CONFIGURATION_ID,
    backup_directory_path=None,
    backup_retention_period=7 * DAY_MS,
    data_backup_host_configuration=(),
    configuration_backup_enabled=True,
    data_backup_priority=BackupPriority.LOW,
    configuration_backup_priority=BackupPriority.HIGH,
    data_backup_time_limit=1020 * MINUTE_MS,
    configuration_backup_time_limit=180 * MINUTE_MS,
)
"""In force until another one is deployed (spec §5.0, §13 no. 9); the path is the archive URL's."""


class Configurations:
    """The use cases; the one configuration has the id 1."""

    def __init__(self, database: Database, product: Product, places: ArchivePlaces) -> None:
        self._database = database
        self._product = product
        self._places = places

    async def get_deployed(self, configuration_id: int) -> BackupConfigurationRecord:
        """Get what is in force; raises RefusalError with a row of GetConfigurationErrors."""
        return self._shown((await self._get(configuration_id)).deployed)

    async def get_staged(self, configuration_id: int) -> BackupConfigurationRecord:
        """Get what will be in force; raises RefusalError with a row of GetConfigurationErrors."""
        return self._shown((await self._get(configuration_id)).staged)

    async def change(
        self, configuration_id: int, body: ChangeConfiguration
    ) -> BackupConfigurationRecord:
        """Change the staged configuration and return it (spec §5.2).

        It has no effect before the next deploy; one that runs already took what was staged as it
        began (spec §14 no. 5). Raises RefusalError with a row of ChangeConfigurationErrors.
        """
        if configuration_id != CONFIGURATION_ID:
            message = _not_found(configuration_id)
            raise RefusalError(ChangeConfigurationErrors.UNKNOWN_CONFIGURATION, message)
        hosts = await self._list_hosts()
        check_general(body, hosts)
        directory = await self._check_directory(body.backup_directory_path)
        check_periods(body)
        async with self._database.writing() as connection:
            records = ConfigurationRecords(connection)
            staged = (await records.get(configuration_id, locked=True)).staged
            changed = build_changed(staged, body)
            if body.backup_directory_path is not None:
                changed = changed.model_copy(update={"backup_directory_path": directory})
            check_sum(changed)
            check_data_hosts(body.data_backup_host_configuration or (), hosts)
            await records.stage(changed)
        return self._shown(changed)

    async def _get(self, configuration_id: int) -> StoredConfiguration:
        if configuration_id != CONFIGURATION_ID:
            message = _not_found(configuration_id)
            raise RefusalError(GetConfigurationErrors.UNKNOWN_CONFIGURATION, message)
        async with self._database.reading() as connection:
            return await ConfigurationRecords(connection).get(configuration_id)

    async def _list_hosts(self) -> dict[int, HostRecord]:
        async with self._database.reading() as connection:
            hosts = await HostRecords(connection).list_all()
        return {host.id: build_known(host, self._product) for host in hosts}

    async def _check_directory(self, path: str | None) -> str | None:
        """Check the directory: absolute, existing, a directory (spec §14 no. 19).

        Returns the form to be stored: None is the archive URL's own. A prefix in a bucket exists
        as soon as something lies below it, so there absolute is all that is asked.
        """
        if path is None:
            return None
        if not _is_absolute(path):
            shown = repr(path[:200])
            message = f"backup_directory_path {shown} is not absolute, or holds '..'"
            raise RefusalError(ChangeConfigurationErrors.DIRECTORY_NOT_ABSOLUTE, message)
        stored = self._places.normalize(path)
        directory = self._places.find_directory(path)
        if stored is None or directory is None:
            return stored
        refusal = await asyncio.to_thread(_find_directory_problem, directory)
        if refusal is ChangeConfigurationErrors.DIRECTORY_MISSING:
            raise RefusalError(refusal, f"backup_directory_path {path[:200]!r} does not exist")
        if refusal is not None:
            raise RefusalError(refusal, f"backup_directory_path {path[:200]!r} is no directory")
        return stored

    def _shown(self, stored: BackupConfigurationRecord) -> BackupConfigurationRecord:
        if stored.backup_directory_path is not None:
            return stored
        return stored.model_copy(update={"backup_directory_path": self._places.own_path})


def check_general(body: ChangeConfiguration, hosts: Mapping[int, HostRecord]) -> None:
    """Check what code 1002 covers: nulls, priorities, unknown and repeated hosts.

    Raises RefusalError (spec §14 no. 1, 19).
    """
    invalid = ChangeConfigurationErrors.INVALID
    null = _find_null(body)
    if null is not None:
        raise RefusalError(invalid, f"{null} is null; leave a member out to keep its value")
    for name in ("data_backup_priority", "configuration_backup_priority"):
        priority = getattr(body, name)
        if priority is not None and priority not in set(BackupPriority):
            raise RefusalError(invalid, f"{name} {priority[:40]!r} is not LOW, MEDIUM or HIGH")
    seen: set[int] = set()
    for entry in body.data_backup_host_configuration or ():
        if entry.host_id is None:
            raise RefusalError(invalid, "data_backup_host_configuration: host_id is missing")
        if entry.host_id not in hosts:
            message = f"data_backup_host_configuration: there is no host {entry.host_id}"
            raise RefusalError(invalid, message)
        if entry.host_id in seen:
            message = f"data_backup_host_configuration: host {entry.host_id} stands there twice"
            raise RefusalError(invalid, message)
        seen.add(entry.host_id)


def check_periods(body: ChangeConfiguration) -> None:
    """Check retention (1006) and time limits (1007), each once cut; raises RefusalError."""
    retention = body.backup_retention_period
    if retention is not None and retention < DAY_MS:
        message = f"backup_retention_period {retention} ms is less than a day, {DAY_MS} ms"
        raise RefusalError(ChangeConfigurationErrors.RETENTION_INVALID, message)
    for name in ("data_backup_time_limit", "configuration_backup_time_limit"):
        limit = getattr(body, name)
        if limit is not None and limit < MINUTE_MS:
            message = f"{name} {limit} ms is less than a minute, {MINUTE_MS} ms"
            raise RefusalError(ChangeConfigurationErrors.TIME_LIMIT_INVALID, message)


def check_sum(changed: BackupConfigurationRecord) -> None:
    """Check both time limits together, changed or not (1008); raises RefusalError."""
    limits = (changed.data_backup_time_limit or 0) + (changed.configuration_backup_time_limit or 0)
    if limits > LONGEST_LIMITS_MS:
        message = f"both time limits are {limits} ms together; at most {LONGEST_LIMITS_MS} ms fit"
        raise RefusalError(ChangeConfigurationErrors.TIME_LIMITS_TOO_LONG, message)


def check_data_hosts(
    entries: Iterable[ChangeDataBackupHost], hosts: Mapping[int, HostRecord]
) -> None:
    """Check that the listed hosts, all known, can make DATA backups (1009, then 1010)."""
    listed = [hosts[entry.host_id] for entry in entries if entry.host_id is not None]
    for host in listed:
        if host.status is not HostStatus.ACTIVE:
            message = f"host {host.id} is not Active but {host.status}"
            raise RefusalError(ChangeConfigurationErrors.HOST_NOT_ACTIVE, message)
    for host in listed:
        if not host.stores_data:
            message = f"host {host.id} stores no event or flow data"
            raise RefusalError(ChangeConfigurationErrors.HOST_WITHOUT_DATA, message)


def build_changed(
    staged: BackupConfigurationRecord, body: ChangeConfiguration
) -> BackupConfigurationRecord:
    """Build the configuration after the change, the directory aside.

    Absent members stay, an array replaces the whole array (spec §13 no. 10), retention is cut to
    whole days and limits to whole minutes (spec §14 no. 19). A flag left out is false.
    """
    members = body.model_fields_set - {"backup_directory_path"}
    changes: dict[str, Any] = {name: getattr(body, name) for name in members}
    for name, unit in _UNITS.items():
        if name in changes:
            changes[name] -= changes[name] % unit
    for name in ("data_backup_priority", "configuration_backup_priority"):
        if name in changes:
            changes[name] = BackupPriority(changes[name])
    if "data_backup_host_configuration" in changes:
        changes["data_backup_host_configuration"] = tuple(
            DataBackupHost(
                host_id=entry.host_id,
                event_data_backup_enabled=entry.event_data_backup_enabled or False,
                flow_data_backup_enabled=entry.flow_data_backup_enabled or False,
            )
            for entry in changes["data_backup_host_configuration"]
        )
    return staged.model_copy(update=changes)


_UNITS: Final = {
    "backup_retention_period": DAY_MS,
    "data_backup_time_limit": MINUTE_MS,
    "configuration_backup_time_limit": MINUTE_MS,
}


def _find_null(body: ChangeConfiguration) -> str | None:
    """The first member that was given as null, in the list of hosts, too; None: there is none."""
    for name in ChangeConfiguration.model_fields:
        if name in body.model_fields_set and getattr(body, name) is None:
            return name
    for entry in body.data_backup_host_configuration or ():
        for name in ChangeDataBackupHost.model_fields:
            if name in entry.model_fields_set and getattr(entry, name) is None:
                return f"data_backup_host_configuration: {name}"
    return None


def _is_absolute(path: str) -> bool:
    # ".." is refused with the rest: where it leads depends on links that may change
    return PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _find_directory_problem(directory: Path) -> ChangeConfigurationErrors | None:
    try:
        if not directory.exists():
            return ChangeConfigurationErrors.DIRECTORY_MISSING
        return None if directory.is_dir() else ChangeConfigurationErrors.NOT_A_DIRECTORY
    except OSError:  # a name too long, or a folder on the way that may not be read
        return ChangeConfigurationErrors.DIRECTORY_MISSING


def _not_found(configuration_id: int) -> str:
    return f"Configuration {configuration_id} was not found; there is {CONFIGURATION_ID}"
