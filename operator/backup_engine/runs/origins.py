"""Whether an archive is from this cluster (``is_cross_deployment_restore``, spec §4.0)."""

import asyncio
import logging
from typing import Final

from backup_engine.archive.envelope import HEADER_PATH, Header
from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.manifest import parse_document
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.reading import SealedArchive
from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.introduction import fetch_identity
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.records.backups import StoredBackup

logger = logging.getLogger(__name__)

WITHIN_S: Final = 5.0
RETRIES: Final = RetryPolicy(attempts=2)


class Origins:
    """Compares the cluster that an archive names with the one at hand."""

    def __init__(self, places: ArchivePlaces, cluster: ClusterConnection) -> None:
        self._places = places
        self._cluster = cluster

    async def is_elsewhere(self, backup: StoredBackup) -> bool:
        """Tell whether the archive is from another cluster; what cannot be told counts as no."""
        try:
            async with asyncio.timeout(WITHIN_S):
                archived = await self._read_uid(backup)
                here = (await fetch_identity(self._cluster, RETRIES)).uid
        except (ArchiveError, CaptureError, ClusterError, TimeoutError) as trouble:
            logger.warning(
                "backup %d: whether it is from this cluster is not known: %s",
                backup.id,
                str(trouble) or "it took too long",
            )
            return False
        return archived is not None and here is not None and archived != here

    async def _read_uid(self, backup: StoredBackup) -> str | None:
        """Read it from the header, which is clear in an encrypted archive, too."""
        store = self._places.open(backup.archive_directory)
        sealed = await SealedArchive.open(store.reader(backup.archive_name))
        table = await sealed.read_table(None)
        content = await sealed.read_member(table.members[0])
        return parse_document(content, Header, HEADER_PATH).cluster.uid
