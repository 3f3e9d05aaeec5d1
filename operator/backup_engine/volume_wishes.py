"""What a restore of volumes is asked to do: which backup is meant, and whether it can be done."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.backups import BackupType, RecordStatus
from backup_api.extensions.volumes import (
    BackupVolume,
    CreateVolumeRestore,
    CreateVolumeRestoreErrors,
    VolumeWish,
)
from backup_engine.errors import RefusalError
from backup_engine.records.backups import BackupRecords, StoredBackup
from backup_engine.records.hosts import HostRecords, StoredHost
from backup_engine.records.volume_restores import WantedVolume
from backup_engine.records.volumes import BackupVolumeRecords
from backup_engine.volumes.volume import Volume, check_path, parse_volume

MOST_TARGETS: Final = 100
MOST_PATHS: Final = 100
MOST_NAMED: Final = 10

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Refused: Final = CreateVolumeRestoreErrors


@dataclass(frozen=True, slots=True)
class Source:
    """The backup that is restored, with what it has of each volume."""

    backup: StoredBackup
    hostname: str | None
    kept: Mapping[Volume, BackupVolume]


def check_source(body: CreateVolumeRestore) -> None:
    """Raise RefusalError unless ``body`` names one backup, in one way."""
    named = (body.backup_id, body.host_id, body.hostname)
    if sum(each is not None for each in named) != 1:
        message = (
            "Give one of backup_id, host_id and hostname, a host with or without point_in_time"
        )
        raise RefusalError(_Refused.NO_BACKUP_NAMED, message)


async def find_source(connection: AsyncConnection, body: CreateVolumeRestore) -> Source:
    """Find the backup that a request means, and its volumes; raises RefusalError."""
    hosts = HostRecords(connection)
    backup = await _find_backup(connection, await _find_host(hosts, body), body)
    record = backup.record
    if record.type is not BackupType.DATA or record.status is not RecordStatus.SUCCESS:
        message = f"Backup {backup.id} is a {record.type} backup in state {record.status}"
        raise RefusalError(_Refused.NOT_RESTORABLE, message)
    if not record.is_valid:
        message = f"Backup {backup.id} is not valid; ask for its verification to see why"
        raise RefusalError(_Refused.NOT_RESTORABLE, message)
    host = await hosts.find(record.host_id or 0)
    kept = {
        Volume(each.namespace, each.claim): each
        for each in await BackupVolumeRecords(connection).list_all(backup.id)
        if each.snapshot_id is not None
    }
    return Source(backup, host.name if host is not None else None, kept)


async def _find_host(hosts: HostRecords, body: CreateVolumeRestore) -> int | None:
    """Return the id of the host that is named; of former ones of that name the newest counts."""
    if body.hostname is None:
        return body.host_id
    namesakes: list[StoredHost] = [
        each for each in await hosts.list_all() if each.name == body.hostname
    ]
    if not namesakes:
        message = f"There is no host {body.hostname}"
        raise RefusalError(_Refused.UNKNOWN_BACKUP, message)
    return namesakes[-1].id


async def _find_backup(
    connection: AsyncConnection, host_id: int | None, body: CreateVolumeRestore
) -> StoredBackup:
    records = BackupRecords(connection)
    if body.backup_id is not None:
        backup = await records.find(body.backup_id)
        if backup is None:
            message = f"There is no backup {body.backup_id}"
            raise RefusalError(_Refused.UNKNOWN_BACKUP, message)
        return backup
    backup = await records.find_newest_good(host_id or 0, BackupType.DATA, body.point_in_time)
    if backup is None:
        first = await records.find_first_time(host_id or 0, BackupType.DATA)
        message = explain_none(body.hostname or host_id, body.point_in_time, first)
        raise RefusalError(_Refused.UNKNOWN_BACKUP, message)
    return backup


def explain_none(host: str | int | None, at_ms: int | None, first_ms: int | None) -> str:
    """Say why a host has no backup of a time, in epoch ms; ``first_ms`` None: it has none."""
    if at_ms is None or first_ms is None:
        return f"Host {host} has no valid DATA backup"
    return (
        f"Host {host} has no valid DATA backup that began by {_tell_time(at_ms)}; its oldest began"
        f" at {_tell_time(first_ms)}"
    )


def _tell_time(epoch_ms: int) -> str:
    try:
        moment = _EPOCH + timedelta(milliseconds=epoch_ms)
    except OverflowError:
        return f"{epoch_ms} ms since 1970"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest_request(body: CreateVolumeRestore) -> str:
    """Build the digest of what is asked for, by which two requests of a key are told apart."""
    asked = body.model_dump(mode="json", exclude={"key", "approved_plan"})
    text = json.dumps(asked, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def check_wishes(
    wishes: Iterable[VolumeWish], kept: Mapping[Volume, BackupVolume]
) -> tuple[WantedVolume, ...]:
    """Check what is asked for against the snapshots that are kept. Pure; raises RefusalError."""
    checked: list[WantedVolume] = []
    targets: set[tuple[str | None, str | None]] = set()
    for wish in wishes:
        source = _parse(wish.namespace, wish.claim, _Refused.UNKNOWN_VOLUME)
        found = kept.get(source)
        if found is None or found.snapshot_id is None:
            raise RefusalError(_Refused.UNKNOWN_VOLUME, _explain_unknown(source, kept))
        target = _parse(
            wish.target_namespace or source.namespace,
            wish.target_claim or source.claim,
            _Refused.WRONG_TARGET,
        )
        full = wish.model_copy(
            update={
                "target_namespace": target.namespace,
                "target_claim": target.claim,
                "paths": tuple(_check_path(each) for each in wish.paths),
            }
        )
        if len(full.paths) > MOST_PATHS:
            message = f"{len(full.paths)} paths of one volume; at most {MOST_PATHS}"
            raise RefusalError(_Refused.WRONG_PATH, message)
        if wish.size is not None and wish.size <= 0:
            raise RefusalError(_Refused.WRONG_TARGET, f"{target}: size is no number of bytes")
        key = (full.target_namespace, full.target_claim)
        if key in targets:
            message = f"{target} is the target of two volumes"
            raise RefusalError(_Refused.WRONG_TARGET, message)
        targets.add(key)
        whole = not full.paths
        size, files = (found.size, found.files) if whole else (None, None)
        checked.append(WantedVolume(full, found.snapshot_id, size, files))
    if not checked:
        raise RefusalError(_Refused.NO_VOLUMES, "volumes is missing or empty")
    if len(checked) > MOST_TARGETS:
        message = f"{len(checked)} volumes in one restore; at most {MOST_TARGETS}"
        raise RefusalError(_Refused.NO_VOLUMES, message)
    return tuple(checked)


def _explain_unknown(source: Volume, kept: Mapping[Volume, BackupVolume]) -> str:
    """Name what there is in the namespace, and nothing of others: it may be somebody else's."""
    namespace = source.namespace
    there = sorted(each.claim for each in kept if each.namespace == namespace)
    some = ", ".join(there[:MOST_NAMED]) + (", …" if len(there) > MOST_NAMED else "")
    what = f"it has {some}" if some else "it has none"
    return f"The backup has no volume {source}; of namespace {namespace} {what}"


def _parse(namespace: str | None, claim: str | None, row: CreateVolumeRestoreErrors) -> Volume:
    try:
        return parse_volume(namespace or "", claim or "")
    except ValueError as trouble:
        raise RefusalError(row, str(trouble)) from trouble


def _check_path(text: str) -> str:
    try:
        return check_path(text)
    except ValueError as trouble:
        raise RefusalError(_Refused.WRONG_PATH, str(trouble)) from trouble
