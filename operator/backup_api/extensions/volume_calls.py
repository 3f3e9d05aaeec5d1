"""Calls for the volumes of DATA backups, and for their restores."""

from typing import Final

from pydantic import TypeAdapter

from backup_api.calls.calling import Calls
from backup_api.extensions.volumes import (
    CANCEL_VOLUME_RESTORE,
    CREATE_VOLUME_RESTORE,
    GET_VOLUME_RESTORE,
    LIST_BACKUP_VOLUMES,
    LIST_VOLUME_RESTORES,
    BackupVolume,
    CreateVolumeRestore,
    VolumeRestoreRecord,
)

_VOLUMES: Final = TypeAdapter(tuple[BackupVolume, ...])
_RESTORE: Final = TypeAdapter(VolumeRestoreRecord)
_RESTORE_LIST: Final = TypeAdapter(tuple[VolumeRestoreRecord, ...])


class VolumeCalls(Calls):
    """Ask for the volumes of a DATA backup, and have them restored."""

    async def list_backup_volumes(self, backup_id: int) -> tuple[BackupVolume, ...]:
        """List the volumes by namespace and claim; of a CONFIG backup there are none."""
        return await self._get(LIST_BACKUP_VOLUMES, _VOLUMES, ids={"id": backup_id})

    async def create_volume_restore(self, body: CreateVolumeRestore) -> VolumeRestoreRecord:
        """Begin a restore of volumes; refusals are rows of CreateVolumeRestoreErrors.

        Sent once. Where the answer is lost, a body with a ``key`` may be sent again; without one
        look at list_volume_restores before.
        """
        answer = await self._exchange.send(CREATE_VOLUME_RESTORE, body=body)
        return answer.parsed(_RESTORE)

    async def get_volume_restore(self, restore_id: int) -> VolumeRestoreRecord:
        """Get one restore of volumes, and how far it is."""
        return await self._get(GET_VOLUME_RESTORE, _RESTORE, ids={"id": restore_id})

    async def list_volume_restores(
        self, filter_by: str | None = None
    ) -> tuple[VolumeRestoreRecord, ...]:
        """List the restores of volumes by ascending id, all or those of a filter."""
        return await self._get(LIST_VOLUME_RESTORES, _RESTORE_LIST, filter_by=filter_by)

    async def cancel_volume_restore(self, restore_id: int) -> VolumeRestoreRecord:
        """Stop a restore; what it has written stays."""
        answer = await self._exchange.send(CANCEL_VOLUME_RESTORE, ids={"id": restore_id})
        return answer.parsed(_RESTORE)
