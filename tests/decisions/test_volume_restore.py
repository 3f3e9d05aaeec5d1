"""What is decided about a Restore of volumes."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from backup_api.errors import ErrorClass
from backup_api.extensions.volumes import (
    CreateVolumeRestoreErrors,
    VolumeRestoreStatus,
    VolumeStatus,
)
from backup_operator.decisions.engine_choice import restore_trouble
from backup_operator.decisions.facts import EngineSeen, Refusal, Trouble
from backup_operator.decisions.restore import decide_restore
from backup_operator.decisions.restore_facts import (
    CancelVolumes,
    CreateVolumes,
    FindVolumes,
    KeepRestore,
    PlanVolumes,
    ReportRestore,
    RestoreMemory,
    VolumesPlanned,
    WriteVolumesAhead,
)
from backup_operator.decisions.restore_status import build_restore_status
from backup_operator.resources.engine import BackupEngineResource
from backup_operator.resources.restore_status import RestoreStatus
from fixtures.facts import ENGINE, NOON, SECOND, some_metadata, wire_ms
from restorefacts.facts import seen
from restorefacts.volumes import (
    ASKED,
    CANCELLING,
    LAUNCH,
    a_plan,
    a_record,
    a_spec,
    applied,
    running,
    told,
    with_plan,
)


def test_a_plan_says_what_goes_where_and_waits_for_its_approval() -> None:
    wanted = a_spec()
    assert isinstance(decide_restore(wanted, seen(), NOON), PlanVolumes)
    facts = with_plan()
    decision = decide_restore(wanted, facts, NOON)
    assert isinstance(decision, ReportRestore)
    reason, message = told(decision)
    assert reason == "Planned"
    assert "nightly" in message
    assert "ops/data (3.0 GiB, 12 files) into ops/copy, which is made" in message
    status = build_restore_status(facts, decision.standing, NOON)
    assert status.plan is not None
    assert (status.backup_id, status.backup_name) == (118, "nightly")
    assert [each.target_claim for each in status.plan.volumes] == ["copy"]

    other = decide_restore(a_spec(mode="Apply", approvedPlan="sha256:9876543210"), facts, NOON)
    assert told(other)[0] == "PlanChanged"
    assert told(decide_restore(a_spec(mode="Apply"), facts, NOON))[0] == "AwaitingApproval"
    right = a_spec(mode="Apply", approvedPlan="sha256:0123456789")
    assert isinstance(decide_restore(right, facts, NOON), WriteVolumesAhead)
    loose = with_plan(metadata=some_metadata())
    assert decide_restore(right, loose, NOON) == KeepRestore(wanted=True)


def test_nothing_is_requested_while_something_is_in_the_way() -> None:
    blocked = a_plan(reason="TargetExists", message="ops/copy: the claim exists already")
    _, planned = told(decide_restore(a_spec(), with_plan(blocked), NOON))
    assert "In the way: ops/copy: the claim exists already." in planned
    decision = decide_restore(applied(), with_plan(blocked), NOON)
    assert told(decision) == (
        "TargetExists",
        "Nothing was written. ops/copy: the claim exists already. Looking again.",
    )
    assert isinstance(decision, ReportRestore)
    assert not decision.standing.is_over
    assert decision.standing.is_stalled
    again = NOON + timedelta(seconds=10)
    assert isinstance(decide_restore(applied(), with_plan(blocked), again), PlanVolumes)


def test_the_backup_of_the_plan_is_requested_whatever_the_newest_one_is_by_then() -> None:
    wanted = applied(backupId=None, hostname="shop", pointInTime="2026-11-23T03:00:00Z")
    planning = decide_restore(wanted, seen(backup_id=None), NOON)
    assert isinstance(planning, PlanVolumes)
    asked = planning.body
    point = wire_ms(datetime.fromisoformat("2026-11-23T03:00:00+00:00"))
    assert (asked.hostname, asked.point_in_time, asked.backup_id) == ("shop", point, None)
    assert (asked.volumes[0].namespace, asked.volumes[0].create_claim) == ("ops", True)

    status = RestoreStatus.model_validate(ASKED)
    step = decide_restore(wanted, seen(status, backup_id=None), NOON)
    assert isinstance(step, CreateVolumes)
    assert (step.body.backup_id, step.body.hostname) == (118, None)
    assert (step.body.key, step.body.approved_plan) == ("restore-u-1", None)
    careful = a_spec(mode="Apply", approvedPlan=LAUNCH["digest"])
    step = decide_restore(careful, seen(status), NOON)
    assert isinstance(step, CreateVolumes)
    assert step.body.approved_plan == LAUNCH["digest"]


def refusal(row: CreateVolumeRestoreErrors) -> Refusal:
    return Refusal(1, NOON, row.http_status, row.code, row, row.error_class, "no")


def test_an_engine_that_cannot_or_will_not_is_a_failure() -> None:
    nothing = RestoreMemory(planned=VolumesPlanned(NOON))
    appliance = decide_restore(a_spec(), seen(memory=nothing), NOON)
    assert told(appliance)[0] == "VolumesNotSupported"
    row = CreateVolumeRestoreErrors.UNKNOWN_VOLUME
    refused = RestoreMemory(planned=VolumesPlanned(NOON, refusal=refusal(row)))
    assert told(decide_restore(a_spec(), seen(memory=refused), NOON))[0] == "UnknownVolume"
    changed = RestoreMemory(refusal=refusal(CreateVolumeRestoreErrors.PLAN_CHANGED))
    status = RestoreStatus.model_validate(ASKED)
    decision = decide_restore(applied(), seen(status, memory=changed), NOON)
    assert told(decision)[0] == "PlanChanged"
    assert isinstance(decision, ReportRestore)
    assert decision.standing.is_over


def test_progress_and_outcome_are_told_volume_by_volume() -> None:
    facts = running(a_record())
    decision = decide_restore(applied(), facts, NOON + SECOND)
    assert told(decision) == ("InProgress", "Restoring: 0 of 1 volumes, 1.0 GiB of 3.0 GiB.")
    assert isinstance(decision, ReportRestore)
    status = build_restore_status(facts, decision.standing, NOON)
    assert status.progress is not None
    assert status.progress.summary == "0 of 1 volumes, 1.0 GiB of 3.0 GiB"
    assert (status.volumes[0].phase, status.volumes[0].files_done) == ("InProgress", 4)

    good = decide_restore(applied(), running(a_record(VolumeRestoreStatus.SUCCESS)), NOON)
    assert told(good)[0] == "Succeeded"
    record = a_record(VolumeRestoreStatus.FAILED)
    bad = record.volumes[0].model_copy(update={"reason": "TargetNotEmpty", "message": "not empty"})
    failed = record.model_copy(update={"volumes": (bad,)})
    assert told(decide_restore(applied(), running(failed), NOON)) == (
        "TargetNotEmpty",
        "1 of 1 volumes were not restored: not empty",
    )
    assert told(decide_restore(applied(), running(None), NOON))[0] == "RecordVanished"


def test_what_is_cancelled_deleted_or_late_is_stopped_at_the_engine() -> None:
    late = NOON + timedelta(hours=2)
    two_hours = applied(timeout="2h")
    leaving = some_metadata(kept=True, deleting=NOON)
    assert decide_restore(applied(cancel=True), running(a_record()), NOON) == CancelVolumes(7)
    assert decide_restore(two_hours, running(a_record(), at=late), late) == CancelVolumes(7)
    going = running(a_record(), metadata=leaving)
    assert decide_restore(applied(), going, NOON) == CancelVolumes(7)
    told_so = running(a_record(CANCELLING), metadata=leaving)
    assert decide_restore(applied(), told_so, NOON) == KeepRestore(wanted=False)

    stopping = running(a_record(CANCELLING))
    assert told(decide_restore(applied(cancel=True), stopping, NOON))[0] == "Cancelling"
    ended = {"time_completed": wire_ms(late + SECOND)}
    stopped = running(a_record(VolumeRestoreStatus.CANCELLED, **ended))
    assert told(decide_restore(applied(cancel=True), stopped, late))[0] == "Cancelled"
    assert told(decide_restore(two_hours, stopped, late))[0] == "DeadlineExceeded"
    assert told(decide_restore(applied(), stopped, late))[0] == "Cancelled"  # by somebody else


def test_what_was_cancelled_in_time_is_never_requested() -> None:
    wanted = applied(cancel=True)
    assert told(decide_restore(wanted, with_plan(), NOON))[0] == "Cancelled"
    status = RestoreStatus.model_validate(ASKED)
    unsent = seen(status, memory=RestoreMemory(unsent_attempt=1))
    assert told(decide_restore(wanted, unsent, NOON))[0] == "Cancelled"
    assert isinstance(decide_restore(wanted, seen(status), NOON), FindVolumes)  # it may have gone


def test_an_engine_that_does_not_answer_holds_nothing_back_for_ever() -> None:
    away = EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    late = NOON + timedelta(days=1)
    assert told(decide_restore(applied(), running(a_record(), engine=away), NOON)) == (
        "EngineUnreachable",
        "silence",
    )
    given_up = decide_restore(applied(), running(a_record(), engine=away), late)
    assert told(given_up)[0] == "DeadlineExceeded"
    leaving = some_metadata(kept=True, deleting=NOON)
    gone = running(a_record(), engine=away, metadata=leaving)
    assert decide_restore(applied(), gone, NOON) == KeepRestore(wanted=False)


def an_engine(**spec: Any) -> BackupEngineResource:  # noqa: ANN401
    ref = {"secretRef": {"namespace": "ops", "name": "token"}}
    body = {
        "metadata": {"name": "console", "uid": "e-1"},
        "spec": {"url": "https://console", "auth": {"secToken": ref}, **spec},
    }
    return BackupEngineResource.from_body(body)


OWN = {"claim": "data"}
THEIRS = {"claim": "data", "namespace": "theirs"}
INTO_THEIRS = {"claim": "data", "targetNamespace": "theirs"}


@pytest.mark.parametrize(
    ("spec", "volume", "reason"),
    [
        ({}, OWN, "RestoreNotAllowed"),
        ({"volumeRestoreNamespaces": {"names": ["other"]}}, OWN, "RestoreNotAllowed"),
        ({"volumeRestoreNamespaces": {"names": ["ops"]}}, OWN, None),
        ({"volumeRestoreNamespaces": {"names": ["ops"]}}, THEIRS, "ForeignNamespace"),
        ({"volumeRestoreNamespaces": {"names": ["ops"]}}, INTO_THEIRS, "ForeignNamespace"),
        ({"restoreNamespaces": {"names": ["ops"]}}, INTO_THEIRS, None),
        ({"volumeRestoreNamespaces": {"selector": {"matchLabels": {"a": "b"}}}}, OWN, None),
    ],
)
def test_a_namespace_restores_its_own_volumes_unless_it_is_trusted_with_all(
    spec: dict[str, Any], volume: dict[str, Any], reason: str | None
) -> None:
    volumes = a_spec(volumes=[OWN, volume]).volumes
    trouble = restore_trouble(an_engine(**spec), "ops", {"a": "b"}, volumes)
    assert (trouble.reason if trouble is not None else None) == reason
    if reason is not None or "volumeRestoreNamespaces" in spec:
        objects = restore_trouble(an_engine(**spec), "ops", {"a": "b"})
        assert objects is not None  # of objects it restores none


def test_every_refusal_of_a_restore_of_volumes_is_final_or_repeated() -> None:
    classes = {row.error_class for row in CreateVolumeRestoreErrors}
    assert classes == {ErrorClass.FINAL, ErrorClass.TRANSIENT}
    assert set(VolumeStatus) == {"PENDING", "IN_PROGRESS", "SUCCESS", "FAILED"}
