"""What is done about a BackupConfiguration: one rule after the other, and never an exception."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backup_api.configurations import BackupConfigurationRecord
from backup_api.deploy import DeployStatus
from backup_operator.decisions.configuration import decide_configuration, find_deploy_trouble
from backup_operator.decisions.configuration_facts import (
    ChangeRefused,
    ConfigurationMemory,
    ConfigurationReport,
    ConfigurationSeen,
    ConfigurationView,
    DeployConfiguration,
    LookAtConfiguration,
    RestConfiguration,
    StageConfiguration,
)
from backup_operator.decisions.configuration_status import build_configuration_status
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.resources.configuration import BackupConfigurationSpec
from backup_operator.resources.configuration_status import BackupConfigurationStatus
from fixtures.facts import ENGINE, NOON, SECOND, some_metadata

INTERVAL = timedelta(minutes=5)
MINUTE = 60_000
OVER = DeployStatus(type="INCREMENTAL", status="COMPLETE", percent_complete=100)
RUNNING = DeployStatus(type="INCREMENTAL", status="IN_PROGRESS", percent_complete=40)


def a_record(**members: Any) -> BackupConfigurationRecord:  # noqa: ANN401
    return BackupConfigurationRecord.model_validate(
        {
            "configuration_id": 1,
            "backup_directory_path": "/store/backup",
            "data_backup_time_limit": 90 * MINUTE,
            "data_backup_priority": "LOW",
            "data_backup_host_configuration": [],
            **members,
        }
    )


def a_view(**changes: Any) -> ConfigurationView:  # noqa: ANN401
    view = ConfigurationView(at=NOON, staged=a_record(), deployed=a_record(), deploy=OVER)
    return replace(view, **changes)


def seen(view: ConfigurationView | None = None, **more: Any) -> ConfigurationSeen:  # noqa: ANN401
    memory = more.pop("memory", ConfigurationMemory(view=view))
    return ConfigurationSeen(
        metadata=some_metadata(),
        status=more.pop("status", BackupConfigurationStatus()),
        engine=more.pop("engine", EngineSeen(ENGINE)),
        memory=memory,
        interval=INTERVAL,
        **more,
    )


def spec(**members: Any) -> BackupConfigurationSpec:  # noqa: ANN401
    return BackupConfigurationSpec.model_validate(members)


def reason_of(decision: object) -> str:
    assert isinstance(decision, ConfigurationReport)
    return decision.standing.reason


def test_nothing_is_decided_before_the_engine_was_looked_at() -> None:
    assert decide_configuration(spec(), seen(), NOON) == LookAtConfiguration(with_hosts=False)
    named = spec(dataBackupHostConfiguration=[{"hostname": "ep2"}])
    assert decide_configuration(named, seen(), NOON) == LookAtConfiguration(with_hosts=True)


def test_what_is_in_force_is_looked_at_again_after_the_interval() -> None:
    wanted = spec(dataBackupTimeLimit="90m")
    decision = decide_configuration(wanted, seen(a_view()), NOON)
    assert reason_of(decision) == "InForce"
    assert isinstance(decision, ConfigurationReport)
    assert decision.until == NOON + INTERVAL
    later = decide_configuration(wanted, seen(a_view()), NOON + INTERVAL)
    assert isinstance(later, LookAtConfiguration)


def test_only_a_fresh_view_is_staged_and_it_is_sent_whole() -> None:
    wanted = spec(dataBackupTimeLimit="3h")
    step = decide_configuration(wanted, seen(a_view()), NOON + SECOND)
    assert isinstance(step, StageConfiguration)
    assert step.fields == ("dataBackupTimeLimit",)
    assert step.drift is None
    assert step.body.data_backup_time_limit == 180 * MINUTE
    assert step.body.backup_directory_path == "/store/backup"
    stale = decide_configuration(wanted, seen(a_view()), NOON + 20 * SECOND)
    assert isinstance(stale, LookAtConfiguration), "others may have staged something meanwhile"


def test_what_others_change_after_it_was_staged_is_drift() -> None:
    wanted = spec(dataBackupPriority="LOW")
    told = decide_configuration(wanted, seen(a_view()), NOON)
    assert isinstance(told, ConfigurationReport)
    status = build_configuration_status(seen(a_view()), told.standing, NOON)
    changed = a_view(staged=a_record(data_backup_priority="HIGH"))
    step = decide_configuration(wanted, seen(changed, status=status), NOON)
    assert isinstance(step, StageConfiguration)
    assert step.drift is not None
    assert step.drift.fields == ("dataBackupPriority",)


def test_a_deploy_is_started_followed_and_tried_again() -> None:
    wanted = spec(dataBackupTimeLimit="3h")
    staged = a_record(data_backup_time_limit=180 * MINUTE)
    view = a_view(staged=staged)
    assert decide_configuration(wanted, seen(view), NOON) == DeployConfiguration()

    asked = ConfigurationMemory(view=replace(view, deploy=RUNNING), deploy_asked_at=NOON)
    running = decide_configuration(wanted, seen(memory=asked), NOON + SECOND)
    assert reason_of(running) == "Deploying"
    assert isinstance(running, ConfigurationReport)
    assert "40 % done" in running.standing.message
    troubled = OVER.model_validate(
        {"status": "COMPLETE", "hosts": [{"ip": "192.0.2.20", "status": "ERROR"}]}
    )
    failed = replace(asked, view=replace(view, deploy=troubled))
    decision = decide_configuration(wanted, seen(memory=failed), NOON + SECOND)
    assert reason_of(decision) == "DeployFailed"
    assert isinstance(decision, ConfigurationReport)
    assert "192.0.2.20" in decision.standing.message
    fresh = replace(failed, view=replace(view, at=NOON + 70 * SECOND, deploy=troubled))
    again = decide_configuration(wanted, seen(memory=fresh), NOON + 71 * SECOND)
    assert again == DeployConfiguration()


def test_manual_waits() -> None:
    wanted = spec(deploy="Manual", dataBackupTimeLimit="3h")
    view = a_view(staged=a_record(data_backup_time_limit=180 * MINUTE))
    assert reason_of(decide_configuration(wanted, seen(view), NOON)) == "AwaitingDeploy"


def test_a_refusal_stands_until_spec_or_time_change() -> None:
    refused = ChangeRefused(NOON, 1, "DirectoryMissing", "no such directory")
    memory = ConfigurationMemory(view=a_view(), refused=refused)
    wanted = spec(backupDirectoryPath="/nowhere")
    assert reason_of(decide_configuration(wanted, seen(memory=memory), NOON)) == "DirectoryMissing"
    other = replace(memory, refused=replace(refused, generation=0))
    assert isinstance(decide_configuration(wanted, seen(memory=other), NOON), StageConfiguration)


def test_rivals_troubles_and_a_leaving_object() -> None:
    assert reason_of(decide_configuration(spec(), seen(rival="first"), NOON)) == "OlderExists"
    down = EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    assert reason_of(decide_configuration(spec(), seen(engine=down), NOON)) == "EngineUnreachable"
    connecting = EngineSeen(ENGINE, is_connecting=True)
    decision = decide_configuration(spec(), seen(engine=connecting), NOON)
    assert decision == RestConfiguration()


def test_a_deploy_without_details_of_hosts_is_judged_by_its_flags() -> None:
    assert find_deploy_trouble(OVER) is None
    assert find_deploy_trouble(DeployStatus(status="DONE", has_errors=True)) is not None


numbers = st.none() | st.integers(-(2**62), 2**62)
records = st.builds(
    BackupConfigurationRecord,
    configuration_id=st.just(1),
    backup_retention_period=numbers,
    data_backup_time_limit=numbers,
    configuration_backup_enabled=st.none() | st.booleans(),
)
specs = st.sampled_from(
    (
        spec(),
        spec(dataBackupTimeLimit="3h", backupRetentionPeriod="7d", deploy="Manual"),
        spec(dataBackupHostConfiguration=[{"hostname": "a"}, {"hostId": 3}]),
        spec(dataBackupHostConfiguration=[]),
    )
)


@given(
    specs,
    records,
    records,
    st.sampled_from((OVER, RUNNING, DeployStatus())),
    st.integers(0, 400),
    st.none() | st.integers(0, 400),
)
def test_every_decision_can_be_told(
    wanted: BackupConfigurationSpec,
    staged: BackupConfigurationRecord,
    deployed: BackupConfigurationRecord,
    deploy: DeployStatus,
    passed: int,
    asked: int | None,
) -> None:
    view = ConfigurationView(NOON, staged, deployed, deploy, {"a": 1})
    asked_at = None if asked is None else NOON + asked * SECOND
    facts = seen(memory=ConfigurationMemory(view=view, deploy_asked_at=asked_at))
    now = NOON + passed * SECOND
    decision = decide_configuration(wanted, facts, now)
    if isinstance(decision, ConfigurationReport):
        status = build_configuration_status(facts, decision.standing, now)
        assert BackupConfigurationStatus.model_validate(status.to_body()) == status
        assert decision.until is None or decision.until > now - INTERVAL


def test_a_host_that_is_only_staged_is_deployed_before_it_is_configured() -> None:
    named = spec(dataBackupHostConfiguration=[{"hostname": "shop"}])
    staged = a_view(hosts={"console": 1}, staged_hosts=frozenset({"console", "shop"}))

    assert decide_configuration(named, seen(staged), NOON) == DeployConfiguration()
    asked = ConfigurationMemory(view=replace(staged, deploy=RUNNING), deploy_asked_at=NOON)
    assert reason_of(decide_configuration(named, seen(memory=asked), NOON)) == "Deploying"
    manual = spec(deploy="Manual", dataBackupHostConfiguration=[{"hostname": "shop"}])
    assert reason_of(decide_configuration(manual, seen(staged), NOON)) == "AwaitingDeploy"
    unknown = replace(staged, staged_hosts=frozenset({"console"}))
    assert reason_of(decide_configuration(named, seen(unknown), NOON)) == "HostUnknown"
