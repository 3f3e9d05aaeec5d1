"""The recipe for a restore (spec §9), and what goes wrong on the way."""

import pytest

from api.clients import client_of
from api.recipes_stage import Stage
from appliance.faults import Moment
from appliance.restores import Outage
from appliance.server import FakeAppliance
from backup_api.backups import BackupRecord
from backup_api.client import BackupApiClient
from backup_api.credentials import SecToken
from backup_api.endpoints import GET_RESTORE
from backup_api.exceptions import (
    BackupApiError,
    LostAnswerError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)
from backup_api.recipes.exceptions import (
    CredentialsWantedError,
    NotInTimeError,
    NotRestorableError,
    RestoreGoneError,
    RestoreInTheWayError,
)
from backup_api.recipes.restoring import (
    Look,
    RestoreWish,
    Way,
    decide_way,
    find_latest,
    find_obstacle,
    follow,
    judge,
    launch,
    prepare,
    restore,
)
from backup_api.restores import RestoreGroup, RestoreRecord, RestoreStatus

RULES = (RestoreGroup.CUSTOM_RULES_CONFIG,)
USERS = (RestoreGroup.USERS_CONFIG,)
CREATE = "POST /restores"
LAUNCH = "POST /restores/{id}"
HOURS = 4 * 3600.0


async def forget(_: RestoreRecord) -> None:
    """Remember nothing."""


def wish_for(appliance: FakeAppliance, groups: tuple[RestoreGroup, ...] = RULES) -> RestoreWish:
    return RestoreWish(appliance.add_backup("good"), groups)


@pytest.mark.parametrize("outage", Outage)
async def test_a_restore_is_followed_through_the_time_without_an_api(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage, outage: Outage
) -> None:
    appliance.restores.restore_seconds = 1800.0
    appliance.restores.outage = outage
    remembered: list[RestoreRecord] = []

    async def remember(record: RestoreRecord) -> None:
        assert appliance.restore(record.id)["status"] == "PENDING"
        remembered.append(record)

    done = await restore(client, wish_for(appliance), stage.waiting(HOURS), remember)

    assert done.status is RestoreStatus.SUCCESS
    assert done.backup_id is None
    [pending] = remembered
    assert (pending.id, pending.backup_filename) == (done.id, done.backup_filename)
    assert appliance.count(LAUNCH) == 1
    assert sum(stage.sleeps) >= 1800.0


async def test_a_restore_that_fails_is_returned_as_failed(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.restores.restore_seconds = 60.0
    appliance.restores.outcome = "FAILED"

    done = await restore(client, wish_for(appliance), stage.waiting(HOURS), forget)

    assert done.status is RestoreStatus.FAILED


async def test_replaced_users_want_new_credentials_and_the_restore_goes_on(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.restores.restore_seconds = 600.0
    appliance.restores.outage = Outage.REFUSED
    waiting = stage.waiting(HOURS)

    with pytest.raises(CredentialsWantedError):
        await restore(client, wish_for(appliance, USERS), waiting, forget)

    async with client_of(appliance, credentials=SecToken(appliance.token)) as renewed:
        done = await follow(renewed, 1, waiting)
    assert done.status is RestoreStatus.SUCCESS


async def test_a_passing_401_is_waited_out(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.restores.restore_seconds = 60.0
    appliance.faults.refuse("GET /restores/{id}", 401, 18, times=5)

    done = await restore(client, wish_for(appliance), stage.waiting(HOURS), forget)

    assert done.status is RestoreStatus.SUCCESS


async def test_a_restore_without_end_is_told_in_the_end(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.restores.outage = Outage.NOT_INITIALISED

    with pytest.raises(NotInTimeError, match="the end of restore 1"):
        await restore(client, wish_for(appliance), stage.waiting(HOURS), forget)


async def test_a_deleted_record_is_told(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    stage.after_sleep = lambda _: appliance.restores.records.clear()

    with pytest.raises(RestoreGoneError):
        await restore(client, wish_for(appliance), stage.waiting(HOURS), forget)


async def test_the_launch_waits_for_a_running_backup(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.restores.restore_seconds = 60.0
    wish = wish_for(appliance)
    appliance.add_backup("running", status="IN_PROGRESS")
    appliance.backup_seconds = 300.0

    done = await restore(client, wish, stage.waiting(HOURS), forget)

    assert done.status is RestoreStatus.SUCCESS
    assert appliance.count(LAUNCH, 409) >= 1
    assert appliance.count(LAUNCH, 200) == 1


@pytest.mark.parametrize("moment", Moment)
async def test_a_lost_answer_never_costs_a_second_restore(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage, moment: Moment
) -> None:
    appliance.restores.restore_seconds = 60.0
    cut = appliance.faults.reset
    if moment is Moment.AFTER_ACTING:
        cut = appliance.faults.drop_answer
        cut(CREATE)
    cut(LAUNCH)

    done = await restore(client, wish_for(appliance), stage.waiting(HOURS), forget)

    assert done.status is RestoreStatus.SUCCESS
    assert len(appliance.restores.records) == 1


async def test_a_launch_whose_answer_is_lost_for_the_length_of_the_restore(
    client: BackupApiClient, appliance: FakeAppliance, stage: Stage
) -> None:
    appliance.restores.restore_seconds = 600.0
    appliance.restores.outage = Outage.REFUSED
    appliance.faults.drop_answer(LAUNCH)
    waiting = stage.waiting(HOURS)
    pending = await prepare(client, wish_for(appliance, USERS))

    await launch(client, pending.id, waiting)

    assert appliance.restore(pending.id)["status"] == "SUCCESS"
    with pytest.raises(CredentialsWantedError):
        await follow(client, pending.id, waiting)


async def test_a_create_that_never_arrived_is_told(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    appliance.faults.reset(CREATE)

    with pytest.raises(LostAnswerError):
        await prepare(client, wish_for(appliance))


async def test_a_stale_restore_is_dropped_only_by_permission(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    stale = appliance.add_restore()
    wish = wish_for(appliance)

    with pytest.raises(RestoreInTheWayError, match=f"restore {stale} of old.tgz is PENDING"):
        await prepare(client, wish)
    record = await prepare(client, RestoreWish(wish.backup_id, RULES, may_drop_pending=True))

    assert list(appliance.restores.records) == [record.id]


async def test_a_running_restore_is_never_dropped(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    appliance.add_restore(status="IN_PROGRESS")

    with pytest.raises(RestoreInTheWayError):
        await prepare(client, RestoreWish(appliance.add_backup("b"), RULES, may_drop_pending=True))

    assert appliance.count("DELETE /restores/*") == 0


async def test_an_unfit_backup_is_refused_before_anything_is_created(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    backup_id = appliance.add_backup("spoiled", is_valid=False)

    with pytest.raises(NotRestorableError, match="its archive is not valid"):
        await prepare(client, RestoreWish(backup_id, RULES))

    assert appliance.count(CREATE) == 0


GOOD = BackupRecord.model_validate(
    {
        "id": 1,
        "type": "CONFIG",
        "status": "SUCCESS",
        "is_valid": True,
        "is_version_compatible": True,
        "time_initiated": 10,
    }
)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "DATA"},
        {"type": None},
        {"status": "MISSING"},
        {"is_valid": False},
        {"is_valid": None},
        {"is_version_compatible": False},
    ],
)
def test_only_good_configuration_archives_are_chosen(change: dict[str, object]) -> None:
    bad = BackupRecord.model_validate({**GOOD.model_dump(), **change, "time_initiated": 99})

    assert find_obstacle(GOOD) is None
    assert find_obstacle(bad)
    later = GOOD.model_copy(update={"id": 2, "time_initiated": 11})
    assert find_latest([later, bad, GOOD]) == later
    assert find_latest([bad]) is None


OURS = RestoreRecord(id=1, status=RestoreStatus.PENDING, backup_id=1, groups=("USERS_CONFIG",))


@pytest.mark.parametrize(
    ("existing", "may_drop", "was_asked", "way"),
    [
        (None, False, True, Way.CLEAR),
        (OURS, False, True, Way.OURS),
        (OURS, False, False, Way.BLOCKED),
        (OURS, True, False, Way.STALE),
        (OURS.model_copy(update={"backup_id": 2}), False, True, Way.BLOCKED),
        (OURS.model_copy(update={"groups": ("ASSETS_DATA",)}), False, True, Way.BLOCKED),
        (OURS.model_copy(update={"status": RestoreStatus.REQUESTING}), True, True, Way.BLOCKED),
        (OURS.model_copy(update={"status": None}), True, True, Way.BLOCKED),
    ],
)
def test_what_an_open_restore_means(
    existing: RestoreRecord | None, may_drop: bool, was_asked: bool, way: Way
) -> None:
    wish = RestoreWish(1, USERS, may_drop)

    assert decide_way(existing, wish, was_asked=was_asked) is way


def refused(status: int, code: int) -> RefusedError:
    return RefusedError(GET_RESTORE, status, code, "no")


@pytest.mark.parametrize(
    ("trouble", "look"),
    [
        (NotSentError(GET_RESTORE, "refused"), Look.GO_ON),
        (LostAnswerError(GET_RESTORE, "silence"), Look.GO_ON),
        (MalformedAnswerError(GET_RESTORE, 404, "a page"), Look.GO_ON),
        (refused(503, 0), Look.GO_ON),
        (refused(550, 0), Look.GO_ON),
        (refused(500, 1000), Look.GO_ON),
        (refused(401, 18), Look.LOCKED_OUT),
        (refused(404, 1001), Look.GONE),
        (refused(404, 1), None),
        (refused(403, 26), None),
    ],
)
def test_what_a_poll_without_a_record_means(trouble: BackupApiError, look: Look | None) -> None:
    assert judge(trouble) is look
