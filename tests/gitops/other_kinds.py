"""An object of each of the other kinds in each standing, told by the operator's own rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from backup_api.about import SystemAbout
from backup_api.configurations import BackupConfigurationRecord
from backup_api.deploy import DeployStatus
from backup_api.extensions.hosts import EngineHostRecord
from backup_api.restores import RestoreRecord
from backup_api.restores import RestoreStatus as WireStatus
from backup_operator.decisions.configuration import decide_configuration
from backup_operator.decisions.configuration_facts import (
    ChangeRefused,
    ConfigurationMemory,
    ConfigurationReport,
    ConfigurationSeen,
    ConfigurationView,
)
from backup_operator.decisions.configuration_status import build_configuration_status
from backup_operator.decisions.engine_status import (
    EngineFacts,
    build_engine_status,
    invalid_engine,
)
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.decisions.host import HostSeen, build_host_status, judge_host
from backup_operator.decisions.restore import decide_restore
from backup_operator.decisions.restore_facts import (
    ReportRestore,
    RestoreMemory,
    RestoreSeen,
    RestoreStanding,
    RestoreView,
    WriteLaunchAhead,
)
from backup_operator.decisions.restore_standings import pending
from backup_operator.decisions.restore_status import build_restore_status
from backup_operator.decisions.schedule import decide_schedule
from backup_operator.decisions.schedule_facts import ScheduledBackup, Standing
from backup_operator.decisions.schedule_status import build_schedule_status, invalid_schedule
from backup_operator.decisions.schedule_steps import ScheduleReport
from backup_operator.resources.configuration import BackupConfigurationSpec
from backup_operator.resources.configuration_status import BackupConfigurationStatus
from backup_operator.resources.engine import BackupEngineStatus, Circuit
from backup_operator.resources.host import BackupHostSpec
from backup_operator.resources.host_status import BackupHostStatus
from backup_operator.resources.parts import ResourcePart
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestorePhase, RestoreStatus
from backup_operator.resources.schedule_status import BackupScheduleStatus
from fixtures.facts import ENGINE, NOON, SECOND, some_metadata, wire_ms
from gitops.kstatus import CURRENT, FAILED, IN_PROGRESS
from gitops.sample import Sample
from schedules.facts import HOUR, MINUTE, a_backup, a_schedule, schedule_seen

AWAY = Trouble("EngineUnreachable", "it is away")
LOCKED = Trouble("Unauthorized", "the token is not accepted", needs_people=True)


def a_body(kind: str, spec: dict[str, Any], status: ResourcePart) -> dict[str, Any]:
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": {"name": "one", "generation": 1},
        "spec": spec,
        "status": status.to_body(),
    }


def build_engines() -> list[Sample]:
    well = EngineFacts(about=SystemAbout.model_validate({"external_version": "7.5.0"}))
    facts = [
        ("connecting", EngineFacts(is_connecting=True), IN_PROGRESS),
        ("connected", well, CURRENT),
        ("away", EngineFacts(trouble=AWAY, circuit=Circuit.OPEN), IN_PROGRESS),
        ("locked", EngineFacts(trouble=LOCKED), FAILED),
        ("invalid", invalid_engine("spec.url: no"), FAILED),
    ]
    return [
        Sample(
            f"engine {name}",
            a_body("BackupEngine", {}, build_engine_status(1, BackupEngineStatus(), told, NOON)),
            expected,
        )
        for name, told, expected in facts
    ]


def build_schedules() -> list[Sample]:
    running = a_backup("nightly-1", NOON - HOUR, Standing.ACTIVE)
    failed = a_backup("nightly-1", NOON - HOUR, Standing.FAILED, phase="Failed")
    facts: list[tuple[str, dict[str, Any], list[ScheduledBackup], str | None, str]] = [
        ("scheduled", {}, [], None, CURRENT),
        ("after a bad night", {}, [failed], None, CURRENT),
        ("suspended", {"suspend": True}, [], None, CURRENT),
        ("waiting for a backup", {}, [running], None, CURRENT),
        ("whose Backup is refused", {}, [], "a quota is full", FAILED),
    ]
    samples = []
    for name, members, backups, refusal, expected in facts:
        wanted = a_schedule("* * * * *", **members)
        seen = schedule_seen(backups, created=NOON - 2 * HOUR, refusal=refusal)
        decision = decide_schedule(wanted, seen, NOON + MINUTE)
        if not isinstance(decision, ScheduleReport):  # one is created, and then it is told
            taken = schedule_seen(backups, created=NOON + MINUTE, refusal=refusal)
            decision = decide_schedule(wanted, taken, NOON + MINUTE)
        assert isinstance(decision, ScheduleReport)
        status = build_schedule_status(
            1, BackupScheduleStatus(), backups, decision.standing, NOON + MINUTE
        )
        spec = {"suspend": wanted.suspend}
        samples.append(Sample(f"schedule {name}", a_body("BackupSchedule", spec, status), expected))
    broken = invalid_schedule(1, BackupScheduleStatus(), "spec.timeZone: no", NOON)
    return [
        *samples,
        Sample("schedule that is invalid", a_body("BackupSchedule", {}, broken), FAILED),
    ]


def build_configurations() -> list[Sample]:
    there, staged = (
        BackupConfigurationRecord.model_validate(
            {"configuration_id": 1, "data_backup_priority": priority}
        )
        for priority in ("LOW", "HIGH")
    )
    over = DeployStatus(type="INCREMENTAL", status="COMPLETE", percent_complete=100)
    runs = DeployStatus(type="INCREMENTAL", status="IN_PROGRESS", percent_complete=40)
    waits = ConfigurationView(at=NOON, staged=staged, deployed=there, deploy=over)
    asked = ConfigurationMemory(waits, deploy_asked_at=NOON)
    refused = ChangeRefused(NOON, 1, "DirectoryMissing", "HTTP 422, code 1009")
    high, manual = {"dataBackupPriority": "HIGH"}, {"deploy": "Manual"}
    hosts = {"dataBackupHostConfiguration": [{"hostname": "nowhere"}]}
    facts: list[tuple[str, dict[str, Any], ConfigurationMemory, dict[str, Any], str]] = [
        ("away", high, ConfigurationMemory(), {"engine": EngineSeen(ENGINE, AWAY)}, IN_PROGRESS),
        ("locked", high, ConfigurationMemory(), {"engine": EngineSeen(ENGINE, LOCKED)}, FAILED),
        ("outranked", high, ConfigurationMemory(), {"rival": "older"}, FAILED),
        (
            "deploying",
            high,
            ConfigurationMemory(replace(waits, deploy=runs)),
            {},
            IN_PROGRESS,
        ),
        ("awaiting a deploy", {**high, **manual}, ConfigurationMemory(waits), {}, IN_PROGRESS),
        ("not deployed", high, asked, {}, IN_PROGRESS),
        (
            "refused",
            high,
            ConfigurationMemory(replace(waits, staged=there), refused),
            {},
            FAILED,
        ),
        ("of an unknown host", hosts, ConfigurationMemory(waits), {}, FAILED),
        ("in force", high, ConfigurationMemory(replace(waits, deployed=staged)), {}, CURRENT),
    ]
    samples = []
    for name, spec, memory, more, expected in facts:
        seen = ConfigurationSeen(
            metadata=some_metadata(),
            status=BackupConfigurationStatus(),
            engine=more.get("engine", EngineSeen(ENGINE)),
            memory=memory,
            interval=timedelta(minutes=5),
            rival=more.get("rival"),
        )
        wanted = BackupConfigurationSpec.model_validate(spec)
        decision = decide_configuration(wanted, seen, NOON + SECOND)
        assert isinstance(decision, ConfigurationReport), (name, decision)
        status = build_configuration_status(seen, decision.standing, NOON)
        body = a_body("BackupConfiguration", spec, status)
        samples.append(Sample(f"configuration {name}", body, expected))
    return samples


def build_hosts() -> list[Sample]:
    in_force = {
        "id": 1,
        "hostname": "console",
        "type": "Console",
        "resource_name": "backup",
        "resource_uid": "u-1",
        "staged_generation": 1,
        "deployed_generation": 1,
        "staged_status": "Active",
        "deployed_status": "Active",
    }
    facts: list[tuple[str, dict[str, Any] | None, Trouble | None, str]] = [
        ("in force", {}, None, CURRENT),
        ("not staged", {"staged_generation": None}, None, IN_PROGRESS),
        ("pending a deploy", {"is_deploy_pending": True}, None, IN_PROGRESS),
        ("not active", {"deployed_status": "New"}, None, IN_PROGRESS),
        (
            "refused",
            {"deployed_status": "ADD_FAILED_CHECK_LOGS", "reason": "NoSuchClaim"},
            None,
            FAILED,
        ),
        ("changed since", {"is_deploy_pending": True, "reason": "NoSuchClaim"}, None, IN_PROGRESS),
        ("outranked", {"resource_uid": "another"}, None, FAILED),
        ("of an appliance", None, None, FAILED),
        ("whose engine is away", {}, AWAY, IN_PROGRESS),
        ("whose engine is locked", {}, LOCKED, FAILED),
    ]
    samples = []
    for name, members, trouble, expected in facts:
        hosts = None
        if members is not None:
            hosts = (EngineHostRecord.model_validate({**in_force, **members}),)
        engine = EngineSeen(ENGINE, trouble)
        seen = HostSeen(some_metadata(), BackupHostStatus(), engine, hosts)
        wanted = BackupHostSpec.model_validate({"type": "Console"})
        status = build_host_status(seen, judge_host(wanted, seen), NOON)
        samples.append(Sample(f"host {name}", a_body("BackupHost", {}, status), expected))
    return samples


def build_restores() -> list[Sample]:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    asked = RestoreStatus.model_validate({"id": 7})
    launched = RestoreStatus.model_validate({"id": 7, "launch": launch})
    apply: dict[str, Any] = {"mode": "Apply"}
    facts: list[tuple[str, dict[str, Any], RestoreStatus, dict[str, Any], str]] = [
        ("not allowed", {}, RestoreStatus(), {"not_allowed": LOCKED}, IN_PROGRESS),
        ("away", {}, asked, {"engine": EngineSeen(ENGINE, AWAY)}, IN_PROGRESS),
        ("running, away", apply, launched, {"engine": EngineSeen(ENGINE, AWAY)}, IN_PROGRESS),
        ("running, locked", apply, launched, {"engine": EngineSeen(ENGINE, LOCKED)}, IN_PROGRESS),
        ("planned", {}, asked, viewed(WireStatus.PENDING), CURRENT),
        ("awaiting approval", apply, asked, viewed(WireStatus.PENDING), IN_PROGRESS),
        (
            "approved",
            {**apply, "autoApprove": True},
            asked,
            viewed(WireStatus.PENDING),
            IN_PROGRESS,
        ),
        ("requesting", apply, launched, viewed(WireStatus.REQUESTING), IN_PROGRESS),
        ("initializing", apply, launched, viewed(WireStatus.INITIALIZING), IN_PROGRESS),
        ("running", apply, launched, viewed(WireStatus.IN_PROGRESS), IN_PROGRESS),
        ("succeeded", apply, launched, viewed(WireStatus.SUCCESS), CURRENT),
        ("failed", apply, launched, viewed(WireStatus.FAILED), FAILED),
        ("dropped", apply, launched, viewed(None), FAILED),
    ]
    samples = []
    for name, members, status, more, expected in facts:
        wanted = RestoreSpec.model_validate(
            {"backupId": 118, "groups": ["DEPLOYMENT_CONFIG"], **members}
        )
        seen = RestoreSeen(
            **{
                "metadata": some_metadata(kept=True),
                "status": status,
                "engine": EngineSeen(ENGINE, clock_offset=timedelta(0)),
                "memory": RestoreMemory(),
                "backup_id": 118,
                **more,
            }
        )
        decision = decide_restore(wanted, seen, NOON + SECOND)
        assert isinstance(decision, ReportRestore | WriteLaunchAhead), (name, decision)
        samples.append(a_restore(name, seen, decision.standing, expected))
    waits = RestoreSeen(
        some_metadata(), RestoreStatus(), EngineSeen(ENGINE), RestoreMemory(), backup_id=118
    )
    stopping = RestoreStanding(
        phase=RestorePhase.CANCELLING, reason="Cancelling", message="", is_approved=True
    )
    planning = RestoreStanding(phase=RestorePhase.PLANNING, reason="Planning", message="")
    return [
        *samples,
        a_restore("waiting", waits, pending("RestoreRunning", "another"), IN_PROGRESS),
        a_restore("planning", waits, planning, IN_PROGRESS),
        a_restore("stopping", waits, stopping, IN_PROGRESS),
    ]


def viewed(status: WireStatus | None) -> dict[str, Any]:
    """The engine has the restore in this state; None: no longer."""
    record = None
    if status is not None:
        record = RestoreRecord.model_validate(
            {
                "id": 7,
                "backup_id": 118,
                "backup_name": "old",
                "groups": ["DEPLOYMENT_CONFIG"],
                "time_initiated": wire_ms(NOON),
                "status": status,
            }
        )
    return {"memory": RestoreMemory(view=RestoreView(NOON, record))}


def a_restore(name: str, seen: RestoreSeen, standing: RestoreStanding, expected: str) -> Sample:
    status = build_restore_status(seen, standing, NOON)
    return Sample(f"restore {name}", a_body("Restore", {}, status), expected)


OTHERS = [
    *build_engines(),
    *build_schedules(),
    *build_configurations(),
    *build_hosts(),
    *build_restores(),
]
"""Samples of the five kinds beside Backup."""
