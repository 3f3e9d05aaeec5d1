"""Deleting a backup (spec §9 "Delete"): over when GET answers 404."""

from backup_api.backups import LEAVING
from backup_api.client import BackupApiClient
from backup_api.errors import DeleteBackupErrors, GetBackupErrors
from backup_api.exceptions import BackupApiError, RefusedError
from backup_api.recipes.waiting import Waiting, is_passing


async def delete_backup(client: BackupApiClient, backup_id: int, waiting: Waiting) -> None:
    """Cancel or delete a backup and return when its record is gone; being gone is success.

    After a lost answer DELETE is sent again as long as the record shows no sign of leaving.
    Raises NotInTimeError, BackupApiError.
    """
    is_asked = False

    async def look() -> bool | None:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            await _ask(client, backup_id)
        try:
            record = await client.get_backup(backup_id)
        except RefusedError as refusal:
            if refusal.row is GetBackupErrors.UNKNOWN_BACKUP:
                return True
            raise
        is_asked = record.status in LEAVING
        return None

    await waiting.until(f"the deletion of backup {backup_id}", look)


async def _ask(client: BackupApiClient, backup_id: int) -> None:
    try:
        await client.delete_backup(backup_id)
    except RefusedError as refusal:
        is_under_way = refusal.row in {
            DeleteBackupErrors.ALREADY_LEAVING,
            DeleteBackupErrors.UNKNOWN_BACKUP,
        }
        if not is_under_way and not is_passing(refusal):
            raise
    except BackupApiError:
        return  # GET tells what became of it
