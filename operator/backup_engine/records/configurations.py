"""The one backup configuration, as staged and as deployed."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backup_api.configurations import BackupConfigurationRecord
from backup_engine.records.tables import CONFIGURATIONS


@dataclass(frozen=True, slots=True)
class StoredConfiguration:
    """Both views; ``backup_directory_path`` None is where the settings say.

    ``nightly_since_ms`` is when nightly runs were last switched on: none is due from before.
    """

    staged: BackupConfigurationRecord
    deployed: BackupConfigurationRecord
    nightly_since_ms: int

    @property
    def is_deployed(self) -> bool:
        """Whether what is staged is in force."""
        return self.staged == self.deployed


_ONE: Final = select(CONFIGURATIONS).where(CONFIGURATIONS.c.id == bindparam("wanted"))
_ONE_LOCKED: Final = _ONE.with_for_update()  # SQLite knows no such clause, and has one lock for all


class ConfigurationRecords:
    """Works inside the caller's transaction and never commits it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ensure(self, default: BackupConfigurationRecord, now_ms: int) -> None:
        """Store ``default`` as staged and deployed, unless there is a configuration."""
        document = default.model_dump(mode="json")
        if await self._exists(default.configuration_id):
            return
        row = insert(CONFIGURATIONS).values(
            id=default.configuration_id, staged=document, deployed=document, nightly_since=now_ms
        )
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(row)
        except IntegrityError:  # another engine that starts was quicker; any other cause is raised
            if not await self._exists(default.configuration_id):
                raise

    async def get(self, configuration_id: int, *, locked: bool = False) -> StoredConfiguration:
        """Get both views; ``locked`` keeps others from changing them until the transaction ends."""
        query = _ONE_LOCKED if locked else _ONE
        found = await self._connection.execute(query, {"wanted": configuration_id})
        row = found.mappings().one()
        return StoredConfiguration(
            BackupConfigurationRecord.model_validate(row["staged"]),
            BackupConfigurationRecord.model_validate(row["deployed"]),
            row["nightly_since"],
        )

    async def stage(self, changed: BackupConfigurationRecord) -> None:
        """Write the staged view."""
        await self._write(changed.configuration_id, staged=changed.model_dump(mode="json"))

    async def deploy(self, configuration: BackupConfigurationRecord, now_ms: int) -> None:
        """Put ``configuration`` in force; what is staged stays as it is."""
        before = await self.get(configuration.configuration_id, locked=True)
        document = configuration.model_dump(mode="json")
        await self._write(configuration.configuration_id, deployed=document)
        was_enabled = before.deployed.configuration_backup_enabled
        if configuration.configuration_backup_enabled and not was_enabled:
            # else switching on at noon would start last midnight's run at once
            await self._write(configuration.configuration_id, nightly_since=now_ms)

    async def _exists(self, configuration_id: int) -> bool:
        found = await self._connection.execute(
            select(CONFIGURATIONS.c.id).where(CONFIGURATIONS.c.id == configuration_id)
        )
        return found.first() is not None

    async def _write(self, configuration_id: int, **values: object) -> None:
        await self._connection.execute(
            update(CONFIGURATIONS).where(CONFIGURATIONS.c.id == configuration_id).values(**values)
        )
