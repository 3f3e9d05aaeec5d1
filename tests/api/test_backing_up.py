"""The recipe for a backup on demand (spec §9)."""

from dataclasses import dataclass

import pytest

from api.recipes_stage import Stage
from appliance.faults import Moment
from appliance.hosts import DATA_HOST
from appliance.server import FakeAppliance
from backup_api.backups import BackupRecord, BackupType, CreateBackup
from backup_api.client import BackupApiClient
from backup_api.configurations import BackupConfigurationRecord, DataBackupHost
from backup_api.endpoints import CREATE_BACKUP
from backup_api.errors import CreateBackupErrors
from backup_api.exceptions import (
    BackupApiError,
    LostAnswerError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)
from backup_api.hosts import HostRecord, HostStatus
from backup_api.recipes.backing_up import (
    CreateStep,
    back_up,
    decide_after_trouble,
    find_data_obstacle,
    find_flaw,
)
from backup_api.recipes.exceptions import (
    BackupFailedError,
    BackupGoneError,
    NameInUseError,
    NotInTimeError,
    NotUsableError,
)

WANTED = CreateBackup(name="pre-upgrade", configuration_id=1)
POST = "POST /backups"


@dataclass
class Backing:
    """Makes one backup, as time goes by on the appliance's clock."""

    client: BackupApiClient
    appliance: FakeAppliance
    stage: Stage

    async def run(self, body: CreateBackup = WANTED, limit_s: float = 600.0) -> BackupRecord:
        return await back_up(self.client, body, BackupType.CONFIG, self.stage.waiting(limit_s))

    @property
    def made(self) -> int:
        return len(self.appliance.find_by_name("pre-upgrade"))


@pytest.fixture
def backing(client: BackupApiClient, appliance: FakeAppliance, stage: Stage) -> Backing:
    appliance.backup_seconds = 60.0
    return Backing(client, appliance, stage)


async def test_a_backup_is_made_and_awaited(backing: Backing) -> None:
    record = await backing.run()

    assert (record.status, record.is_valid, backing.made) == ("SUCCESS", True, 1)
    assert sum(backing.stage.sleeps) >= 60.0


async def test_a_data_backup_is_made_of_a_host_that_is_enabled(backing: Backing) -> None:
    backing.appliance.enable_data_backup(DATA_HOST)
    body = CreateBackup(name="pre-upgrade", configuration_id=1, host_id=DATA_HOST)

    record = await back_up(backing.client, body, BackupType.DATA, backing.stage.waiting())

    assert (record.type, record.host_id, record.status) == ("DATA", DATA_HOST, "SUCCESS")


async def test_a_name_in_use_is_told_before_anything_is_asked_for(backing: Backing) -> None:
    backing.appliance.add_backup(name="pre-upgrade")

    with pytest.raises(NameInUseError, match="pre-upgrade"):
        await backing.run()

    assert backing.appliance.count(POST) == 0


@pytest.mark.parametrize("kind", ["dropped", "truncated", "html", "550", "unread"])
async def test_trouble_with_the_answer_never_costs_a_second_backup(
    backing: Backing, kind: str
) -> None:
    faults = backing.appliance.faults
    match kind:
        case "dropped":
            faults.drop_answer(POST)
        case "truncated":
            faults.truncate(POST)
        case "html":
            faults.html_page(POST, 502, moment=Moment.AFTER_ACTING)
        case "550":
            faults.refuse(POST, 550, 0, times=3)
        case _:
            faults.reset(POST)

    record = await backing.run()

    assert (record.status, backing.made) == ("SUCCESS", 1)


async def test_a_running_backup_is_waited_for(backing: Backing) -> None:
    other = backing.appliance.add_backup(name="other", status="IN_PROGRESS")
    backing.stage.after_sleep = lambda count: (
        backing.appliance.finish(other) if count == 3 else None
    )

    await backing.run()

    assert backing.appliance.count(POST, 409) == 3


async def test_a_running_restore_is_waited_for(backing: Backing) -> None:
    backing.appliance.start_restore()
    backing.stage.after_sleep = lambda count: (
        backing.appliance.end_restore() if count == 2 else None
    )

    await backing.run()

    assert backing.appliance.count(POST, 409) == 2


async def test_staged_changes_are_deployed_once(backing: Backing) -> None:
    backing.appliance.deploy_seconds = 30.0
    backing.appliance.stage_change()

    await backing.run()

    assert backing.appliance.count("POST /deploy_status") == 1
    assert backing.appliance.count(POST) == 2


async def test_a_final_refusal_is_told_at_once(backing: Backing) -> None:
    with pytest.raises(RefusedError) as refused:
        await backing.run(CreateBackup(name="pre-upgrade", configuration_id=7))

    assert refused.value.row is CreateBackupErrors.CONFIGURATION_UNKNOWN
    assert backing.stage.sleeps == []


async def test_a_failed_backup_is_told(backing: Backing) -> None:
    backing.stage.after_sleep = lambda _: backing.appliance.fail(_made_id(backing))

    with pytest.raises(BackupFailedError):
        await backing.run()


@pytest.mark.parametrize("how", ["deleted", "cancelling"])
async def test_what_others_do_to_it_is_told(backing: Backing, how: str) -> None:
    backing.appliance.deletion_seconds = None if how == "cancelling" else 0.0

    async def interfere() -> None:
        await backing.client.delete_backup(_made_id(backing))

    wait = backing.stage.waiting()
    slept = wait.sleep

    async def sleep(seconds: float) -> None:
        await slept(seconds)
        await interfere()

    object.__setattr__(wait, "sleep", sleep)
    with pytest.raises(BackupGoneError):
        await back_up(backing.client, WANTED, BackupType.CONFIG, wait)


async def test_an_archive_that_vanishes_is_told(backing: Backing) -> None:
    backing.stage.after_sleep = lambda _: backing.appliance.lose_archive(_made_id(backing))

    with pytest.raises(BackupGoneError, match="MISSING"):
        await backing.run()


async def test_an_archive_that_is_not_valid_is_told(backing: Backing) -> None:
    def spoil(_: int) -> None:
        made = _made_id(backing)
        backing.appliance.finish(made)
        backing.appliance.invalidate(made)

    backing.stage.after_sleep = spoil
    with pytest.raises(NotUsableError, match="not valid"):
        await backing.run()


async def test_a_backup_without_end_is_told(backing: Backing) -> None:
    backing.appliance.backup_seconds = None

    with pytest.raises(NotInTimeError, match="the end of backup"):
        await backing.run(limit_s=120)


@pytest.mark.parametrize(
    ("flaw", "change"),
    [
        (None, {}),
        ("not valid", {"is_valid": False}),
        ("not valid", {"is_valid": None}),
        ("cannot be restored", {"is_version_compatible": False}),
        ("empty", {"size_on_disk": 0}),
        ("empty", {"size_on_disk": None}),
    ],
)
def test_what_makes_a_backup_unfit(flaw: str | None, change: dict[str, object]) -> None:
    good = BackupRecord(id=1, is_valid=True, is_version_compatible=True, size_on_disk=5)
    found = find_flaw(good.model_copy(update=change))
    assert (found is None) if flaw is None else (found is not None and flaw in found)


def refusal(status: int, code: int) -> RefusedError:
    return RefusedError(CREATE_BACKUP, status, code, "no")


@pytest.mark.parametrize(
    ("trouble", "was_deployed", "may_be_ours", "step"),
    [
        (NotSentError(CREATE_BACKUP, ""), False, False, CreateStep.ASK_AGAIN),
        (LostAnswerError(CREATE_BACKUP, ""), False, False, CreateStep.LOOK),
        (MalformedAnswerError(CREATE_BACKUP, 201, ""), False, False, CreateStep.LOOK),
        (refusal(503, 0), False, False, CreateStep.LOOK),
        (refusal(500, 1000), False, False, CreateStep.LOOK),
        (refusal(409, 1015), False, False, CreateStep.ASK_AGAIN),
        (refusal(409, 1016), False, False, CreateStep.ASK_AGAIN),
        (refusal(409, 1011), False, False, CreateStep.DEPLOY),
        (refusal(409, 1011), True, False, CreateStep.GIVE_UP),
        (refusal(409, 1005), False, False, CreateStep.GIVE_UP),
        (refusal(409, 1005), False, True, CreateStep.LOOK),
        (refusal(401, 18), False, True, CreateStep.GIVE_UP),
        (refusal(422, 1009), False, False, CreateStep.GIVE_UP),
    ],
    ids=str,
)
def test_what_follows_a_post_that_brought_no_record(
    trouble: BackupApiError, was_deployed: bool, may_be_ours: bool, step: CreateStep
) -> None:
    assert decide_after_trouble(trouble, was_deployed=was_deployed, may_be_ours=may_be_ours) is step


@pytest.mark.parametrize(
    ("status", "components", "events", "row"),
    [
        (HostStatus.ACTIVE, ("eventprocessor",), True, None),
        (HostStatus.ADDING, ("eventprocessor",), True, CreateBackupErrors.HOST_NOT_ACTIVE),
        (HostStatus.ACTIVE, ("qflow",), True, CreateBackupErrors.NO_DATA_ON_HOST),
        (HostStatus.ACTIVE, ("dataNode",), False, CreateBackupErrors.HOST_NOT_ENABLED),
    ],
)
def test_why_a_host_can_make_no_data_backup(
    status: HostStatus, components: tuple[str, ...], events: bool, row: CreateBackupErrors | None
) -> None:
    host = HostRecord.model_validate({"id": 103, "status": status, "components": components})
    entry = DataBackupHost(
        host_id=103, event_data_backup_enabled=events, flow_data_backup_enabled=False
    )
    deployed = BackupConfigurationRecord(
        configuration_id=1, data_backup_host_configuration=(entry,)
    )
    assert find_data_obstacle(host, deployed) is row


def _made_id(backing: Backing) -> int:
    (record,) = backing.appliance.find_by_name("pre-upgrade")
    identifier = record["id"]
    assert isinstance(identifier, int)
    return identifier
