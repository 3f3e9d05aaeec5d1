"""Calls of the backup configurations, and the deploy that puts them in force (spec §5, §7)."""

from typing import Final

from pydantic import TypeAdapter

from backup_api import endpoints
from backup_api.calls.calling import Calls
from backup_api.configurations import (
    CONFIGURATION_ID,
    BackupConfigurationRecord,
    ChangeConfiguration,
)
from backup_api.deploy import DeployStatus, DeployType, StartDeploy

_CONFIGURATION: Final = TypeAdapter(BackupConfigurationRecord)
_CONFIGURATIONS: Final = TypeAdapter(tuple[BackupConfigurationRecord, ...])
_DEPLOY: Final = TypeAdapter(DeployStatus)


class ConfigurationCalls(Calls):
    """Read both views of the configuration, change the staged one, deploy."""

    async def list_configurations(self) -> tuple[BackupConfigurationRecord, ...]:
        """List the configurations in force (spec §5.1)."""
        return await self._get(endpoints.LIST_CONFIGURATIONS, _CONFIGURATIONS)

    async def get_configuration(
        self, configuration_id: int = CONFIGURATION_ID
    ) -> BackupConfigurationRecord:
        """Get a configuration as it is in force (spec §5.1)."""
        ids = {"id": configuration_id}
        return await self._get(endpoints.GET_CONFIGURATION, _CONFIGURATION, ids=ids)

    async def list_staged_configurations(self) -> tuple[BackupConfigurationRecord, ...]:
        """List the configurations as the next deploy makes them (spec §5.1)."""
        return await self._get(endpoints.LIST_STAGED_CONFIGURATIONS, _CONFIGURATIONS)

    async def get_staged_configuration(
        self, configuration_id: int = CONFIGURATION_ID
    ) -> BackupConfigurationRecord:
        """Get a configuration as the next deploy makes it (spec §5.1)."""
        ids = {"id": configuration_id}
        return await self._get(endpoints.GET_STAGED_CONFIGURATION, _CONFIGURATION, ids=ids)

    async def change_configuration(
        self, body: ChangeConfiguration, configuration_id: int = CONFIGURATION_ID
    ) -> BackupConfigurationRecord:
        """Change the staged configuration and return it (spec §5.2); in force after a deploy.

        Sent once, harmless to repeat. Absent members stay as they are, but sending the whole
        object is safest (spec §13 no. 10). The server cuts retention to days, limits to minutes.
        """
        ids = {"id": configuration_id}
        return await self._post(endpoints.CHANGE_CONFIGURATION, _CONFIGURATION, body, ids=ids)

    async def deploy_status(self) -> DeployStatus:
        """Get the running or the last deploy (spec §7.1)."""
        return await self._get(endpoints.GET_DEPLOY, _DEPLOY)

    async def start_deploy(self, deploy_type: DeployType = DeployType.INCREMENTAL) -> DeployStatus:
        """Put the staged configuration in force (spec §7.2).

        409/1002 and 409/1004: one is running or there is nothing to do; deploy_status tells which.
        """
        return await self._post(endpoints.START_DEPLOY, _DEPLOY, StartDeploy(type=deploy_type))
