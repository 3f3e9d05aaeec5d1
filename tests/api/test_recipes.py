"""Recipes for the start, the settings, deploys and deletions (spec §9)."""

import pytest

from api.clients import client_of
from api.recipes_stage import Stage
from appliance.faults import Moment
from appliance.hosts import DATA_HOST
from appliance.server import FakeAppliance
from backup_api.client import BackupApiClient
from backup_api.configurations import BackupConfigurationRecord, ChangeConfiguration
from backup_api.deploy import DeployStatus, DeployType
from backup_api.endpoints import START_DEPLOY
from backup_api.exceptions import BackupApiError, LostAnswerError, RefusedError
from backup_api.recipes.configuring import build_change, change_configuration, list_differences
from backup_api.recipes.deleting import delete_backup
from backup_api.recipes.deploying import DeployStep, decide_after_trouble, deploy, find_failure
from backup_api.recipes.exceptions import (
    DeployFailedError,
    NotInForceError,
    NotInTimeError,
)
from backup_api.recipes.start_up import options_from, probe

DAY_MS = 86_400_000
POST_DEPLOY = "POST /deploy_status"

RUNNING = DeployStatus(status="IN_PROGRESS")
DONE = DeployStatus(status="DONE")


async def test_the_probe_chooses_the_version_to_speak(appliance: FakeAppliance) -> None:
    async with client_of(appliance, api_version=None) as first:
        found = await probe(first)

    assert found.about.external_version == "7.5.0"
    assert [seen.path for seen in appliance.requests] == ["/api/system/about", "/api/help/versions"]
    assert options_from(first.options, found).api_version == "26.0"


async def test_settings_are_changed_whole_deployed_and_compared(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.deploy_seconds = 60.0
    wanted = ChangeConfiguration(backup_retention_period=30 * DAY_MS + 5)

    in_force = await change_configuration(client, wanted, stage.waiting())

    assert in_force.backup_retention_period == 30 * DAY_MS
    assert in_force == await client.get_configuration() == await client.get_staged_configuration()
    [sent] = [
        seen for seen in appliance.requests if seen.names[0].startswith("POST /staged_config/b")
    ]
    assert sent.body is not None
    assert set(ChangeConfiguration.model_fields) == set(
        ChangeConfiguration.model_validate_json(sent.body).model_fields_set
    )
    assert sum(stage.sleeps) >= 60.0


async def test_a_refused_change_is_not_deployed(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    with pytest.raises(RefusedError, match="1004"):
        await change_configuration(
            client, ChangeConfiguration(backup_directory_path="here"), stage.waiting()
        )

    assert appliance.count(POST_DEPLOY) == 0


async def test_settings_that_do_not_come_into_force_are_told(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.faults.refuse(POST_DEPLOY, 409, 1004)  # though there is a change

    with pytest.raises(NotInForceError, match="backup_retention_period"):
        await change_configuration(
            client, ChangeConfiguration(backup_retention_period=DAY_MS), stage.waiting()
        )


def test_a_change_is_the_whole_object_and_the_wish_wins() -> None:
    staged = BackupConfigurationRecord.model_validate(
        {
            "configuration_id": 1,
            "backup_retention_period": DAY_MS,
            "data_backup_priority": "LOW",
            "backup_directory_path": None,
            "data_backup_host_configuration": [{"host_id": 5, "event_data_backup_enabled": True}],
        }
    )

    change = build_change(staged, ChangeConfiguration(data_backup_priority="HIGH"))

    assert change.model_dump(exclude_none=True) == {
        "backup_retention_period": DAY_MS,
        "data_backup_priority": "HIGH",
        "data_backup_host_configuration": ({"host_id": 5, "event_data_backup_enabled": True},),
    }
    other = staged.model_copy(update={"backup_retention_period": 2 * DAY_MS})
    assert list_differences(other, staged) == ("backup_retention_period",)
    assert list_differences(staged, staged) == ()


async def test_a_deploy_is_awaited(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.stage_change()
    appliance.deploy_seconds = 100.0

    status = await deploy(client, stage.waiting())

    assert status.is_finished
    assert appliance.state.is_deployed
    assert stage.sleeps == sorted(stage.sleeps)  # ever less often


async def test_nothing_to_deploy_is_success(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    assert (await deploy(client, stage.waiting())).is_finished
    assert appliance.count(POST_DEPLOY) == 1
    assert stage.sleeps == []


async def test_the_deploy_of_another_is_awaited_and_ours_follows(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.deploy_seconds = 30.0
    appliance.stage_change()
    waiting = stage.waiting()
    await client.start_deploy()
    appliance.stage_change()

    await deploy(client, waiting)

    assert appliance.state.is_deployed
    assert appliance.count(POST_DEPLOY, 200) == 2


async def test_a_lost_answer_to_a_deploy_is_looked_into(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.deploy_seconds = 30.0
    appliance.stage_change()
    appliance.faults.drop_answer(POST_DEPLOY)

    await deploy(client, stage.waiting())

    assert appliance.state.is_deployed


async def test_a_host_that_fails_makes_the_deploy_fail(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.stage_change()
    appliance.state.hosts_that_fail_to_deploy = {DATA_HOST}

    with pytest.raises(DeployFailedError, match=r"192\.0\.2\.20 ERROR"):
        await deploy(client, stage.waiting())


async def test_a_deploy_without_end_is_told(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.stage_change()
    appliance.deploy_seconds = None

    with pytest.raises(NotInTimeError, match="the end of the deploy"):
        await deploy(client, stage.waiting(limit_s=300.0))

    assert sum(stage.sleeps) == 300.0


def refused(status: int, code: int) -> BackupApiError:
    return RefusedError(START_DEPLOY, status, code, "no")


LOST = LostAnswerError(START_DEPLOY, "no answer")


@pytest.mark.parametrize(
    ("trouble", "status", "deploy_type", "was_asked_again", "step"),
    [
        (refused(409, 1002), RUNNING, "INCREMENTAL", False, DeployStep.WAIT),
        (refused(409, 1004), RUNNING, "INCREMENTAL", False, DeployStep.WAIT),
        (refused(409, 1004), DONE, "INCREMENTAL", False, DeployStep.NOTHING_TO_DEPLOY),
        (refused(409, 1002), DONE, "INCREMENTAL", False, DeployStep.ASK_AGAIN),
        (refused(409, 1002), DONE, "INCREMENTAL", True, DeployStep.NOTHING_TO_DEPLOY),
        (refused(409, 1003), DONE, "FULL", False, DeployStep.ASK_AGAIN),
        (refused(409, 1003), DONE, "INCREMENTAL", True, DeployStep.GIVE_UP),
        (refused(422, 1005), DONE, "INCREMENTAL", False, DeployStep.GIVE_UP),
        (refused(403, 26), RUNNING, "INCREMENTAL", False, DeployStep.GIVE_UP),
        (LOST, RUNNING, "FULL", False, DeployStep.WAIT),
        (LOST, DONE, "INCREMENTAL", False, DeployStep.ASK_AGAIN),
        (LOST, DONE, "FULL", False, DeployStep.GIVE_UP),
    ],
)
def test_what_follows_a_deploy_that_did_not_start(
    trouble: BackupApiError,
    status: DeployStatus,
    deploy_type: str,
    was_asked_again: bool,
    step: DeployStep,
) -> None:
    decided = decide_after_trouble(
        trouble, status, DeployType(deploy_type), was_asked_again=was_asked_again
    )

    assert decided is step


def test_trouble_of_a_deploy_is_found_in_either_form() -> None:
    assert find_failure(DeployStatus(status="COMPLETE")) is None
    assert find_failure(DeployStatus(status="DONE", has_errors=True))
    assert find_failure(DeployStatus(status="DONE", error_message="disk full")) == "disk full"


async def test_a_deletion_is_over_when_the_record_is_gone(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.deletion_seconds = 40.0
    backup_id = appliance.add_backup("old")

    await delete_backup(client, backup_id, stage.waiting())

    assert appliance.backups == []
    assert appliance.count("DELETE /backups/*") == 1
    await delete_backup(client, backup_id, stage.waiting())  # gone is gone


async def test_a_deletion_under_way_is_joined(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.deletion_seconds = 40.0
    backup_id = appliance.add_backup("old")
    waiting = stage.waiting()
    await client.delete_backup(backup_id)

    await delete_backup(client, backup_id, waiting)

    assert appliance.backups == []
    assert appliance.count("DELETE /backups/*", 422) == 1


@pytest.mark.parametrize("moment", Moment)
async def test_a_lost_answer_to_a_delete_is_looked_into(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage, moment: Moment
) -> None:
    appliance.deletion_seconds = 40.0
    backup_id = appliance.add_backup("old")
    if moment is Moment.AFTER_ACTING:
        appliance.faults.drop_answer("DELETE /backups/*")
    else:
        appliance.faults.reset("DELETE /backups/*")

    await delete_backup(client, backup_id, stage.waiting())

    assert appliance.backups == []


async def test_a_deletion_that_is_refused_is_told(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    backup_id = appliance.add_backup("old")
    appliance.faults.refuse("DELETE /backups/*", 403, 26)

    with pytest.raises(RefusedError, match="code 26"):
        await delete_backup(client, backup_id, stage.waiting())
