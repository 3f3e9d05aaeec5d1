"""Changing the schedule settings (spec §9): staged, whole, deployed, compared."""

import json

from backup_api.client import BackupApiClient
from backup_api.configurations import BackupConfigurationRecord, ChangeConfiguration
from backup_api.recipes.deploying import deploy
from backup_api.recipes.exceptions import NotInForceError
from backup_api.recipes.waiting import Waiting


def build_change(
    staged: BackupConfigurationRecord, wanted: ChangeConfiguration
) -> ChangeConfiguration:
    """Build the complete object: what is staged, with the members that ``wanted`` has set.

    A server may read an absent member as unchanged or as default (spec §13 no. 10), so none is
    left out that is known.
    """
    whole = staged.model_dump(mode="json", exclude={"configuration_id"}, exclude_none=True)
    changed = wanted.model_dump(mode="json", exclude_none=True)
    return ChangeConfiguration.model_validate_json(json.dumps({**whole, **changed}))


def list_differences(
    deployed: BackupConfigurationRecord, staged: BackupConfigurationRecord
) -> tuple[str, ...]:
    """Name the members in which two views differ."""
    one, other = deployed.model_dump(), staged.model_dump()
    return tuple(name for name in one if one[name] != other[name])


async def change_configuration(
    client: BackupApiClient, wanted: ChangeConfiguration, waiting: Waiting
) -> BackupConfigurationRecord:
    """Change the members that ``wanted`` sets, put them in force, and return what is in force.

    The deploy takes along whatever else is staged. Raises NotInForceError if the server says the
    deploy is over but another configuration is in force; RecipeError; BackupApiError.
    """
    before = await client.get_staged_configuration()
    staged = await client.change_configuration(build_change(before, wanted))
    await deploy(client, waiting)
    deployed = await waiting.until("an answer", client.get_configuration)
    differences = list_differences(deployed, staged)
    if differences:
        raise NotInForceError(f"not as staged after the deploy: {', '.join(differences)}")
    return deployed
