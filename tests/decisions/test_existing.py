"""A Backup whose record is known: running, ended, cancelled, vanished, deleted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backup_api.backups import RUNNING, RecordStatus
from backup_operator.decisions.backup import decide
from backup_operator.decisions.deletion import BURST, GRACE, is_held
from backup_operator.decisions.facts import (
    ArchiveFinding,
    EngineSeen,
    Look,
    Recollection,
    RecordGone,
    Trouble,
)
from backup_operator.decisions.standings import PHASE_OF
from backup_operator.decisions.steps import (
    Adopt,
    ChangeDescription,
    DeleteRecord,
    FetchRecord,
    LookForLost,
    RemoveFinalizer,
    Report,
    Rest,
    Verdict,
)
from backup_operator.decisions.submission import SETTLE
from backup_operator.resources.backup_status import Failure, Phase
from backup_operator.resources.group import FORCE_DELETE_ANNOTATION
from fixtures.facts import (
    ENGINE,
    HOUR,
    NAME,
    NOON,
    SECOND,
    a_condition,
    a_record,
    a_spec,
    a_status,
    a_submission,
    observed,
    some_metadata,
    submitted,
    wire_ms,
)

DOWN = EngineSeen(ENGINE, Trouble("EngineUnreachable", "does not answer"))
ASKED = Recollection(finding=ArchiveFinding(None))
DEADLINE = Failure(reason="DeadlineExceeded", message="too long")


def standing_of(decision: object) -> tuple[Phase | None, Verdict | None, str]:
    assert isinstance(decision, Report)
    return decision.standing.phase, decision.standing.verdict, decision.standing.reason


def test_every_state_of_a_record_has_a_phase() -> None:
    assert set(PHASE_OF) == set(RecordStatus)


@pytest.mark.parametrize("status", RecordStatus)
def test_the_phase_follows_the_record(status: RecordStatus) -> None:
    seen = replace(submitted(record=a_record(status)), memory=ASKED)
    decision = decide(a_spec(), seen, NOON + SECOND)
    assert standing_of(decision)[0] is PHASE_OF[status]


def test_an_unknown_record_is_fetched() -> None:
    assert decide(a_spec(), submitted(), NOON) == FetchRecord(7)


def test_a_running_backup_is_cancelled_only_after_its_timeout() -> None:
    wanted = a_spec(timeout=HOUR)
    seen = submitted(NOON, record=a_record())

    before = decide(wanted, seen, NOON + HOUR - SECOND)
    assert isinstance(before, Report)
    assert before.until == NOON + HOUR
    assert before.standing.failure is None
    after = decide(wanted, seen, NOON + HOUR)
    assert isinstance(after, Report)  # stored before the DELETE, for a crash must not forget it
    assert after.standing.failure is not None
    assert after.standing.failure.reason == "DeadlineExceeded"
    stored = submitted(NOON, record=a_record(), failure=DEADLINE)
    assert decide(wanted, stored, NOON + HOUR) == DeleteRecord(7, only_running=True)


def test_waiting_for_a_busy_host_does_not_count_as_running() -> None:
    late = a_record(time_initiated=wire_ms(NOON + HOUR))
    decision = decide(a_spec(timeout=HOUR), submitted(NOON, record=late), NOON + HOUR + SECOND)
    assert isinstance(decision, Report)
    assert decision.standing.failure is None


def test_a_backup_past_its_timeout_ends_failed_however_its_record_goes() -> None:
    for record in (RecordGone(), a_record(RecordStatus.FAILED)):
        seen = submitted(record=record, failure=DEADLINE)
        assert standing_of(decide(a_spec(), seen, NOON))[1:] == (Verdict.FAILED, DEADLINE.reason)


def test_a_backup_that_finished_after_all_has_succeeded() -> None:
    seen = submitted(record=a_record(RecordStatus.SUCCESS), failure=DEADLINE)
    decision = decide(a_spec(), seen, NOON)
    assert standing_of(decision)[1] is Verdict.SUCCEEDED


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_cancel_stops_a_running_backup(status: RecordStatus) -> None:
    decision = decide(a_spec(cancel=True), submitted(record=a_record(status)), NOON)
    assert decision == DeleteRecord(7, only_running=True)


def test_cancel_waits_while_the_engine_is_cancelling() -> None:
    seen = submitted(record=a_record(RecordStatus.CANCELLING))
    assert standing_of(decide(a_spec(cancel=True), seen, NOON))[:2] == (Phase.CANCELLING, None)


def test_cancel_is_over_when_the_record_is_gone_or_failed() -> None:
    gone = submitted(record=RecordGone())
    assert standing_of(decide(a_spec(cancel=True), gone, NOON))[1] is Verdict.CANCELLED
    failed = submitted(record=a_record(RecordStatus.FAILED), status=RecordStatus.CANCELLING)
    assert standing_of(decide(a_spec(cancel=True), failed, NOON))[1] is Verdict.CANCELLED


def test_a_cancelled_backup_stays_cancelled() -> None:
    finished = [a_condition("Finished", reason="Cancelled")]
    seen = submitted(record=a_record(RecordStatus.FAILED), conditions=finished)
    assert standing_of(decide(a_spec(cancel=True), seen, NOON))[1] is Verdict.CANCELLED


def test_a_failure_of_its_own_is_no_cancellation() -> None:
    seen = submitted(record=a_record(RecordStatus.FAILED), status=RecordStatus.IN_PROGRESS)
    decision = decide(a_spec(cancel=True), replace(seen, memory=ASKED), NOON)
    assert standing_of(decision)[1:] == (Verdict.FAILED, "BackupFailed")


def test_cancelling_a_finished_backup_is_ignored() -> None:
    decision = decide(a_spec(cancel=True), submitted(record=a_record(RecordStatus.SUCCESS)), NOON)
    assert isinstance(decision, Report)
    assert decision.standing.verdict is Verdict.SUCCEEDED
    assert "too late" in decision.standing.message


def test_a_record_that_vanishes_without_us_is_missing() -> None:
    decision = decide(a_spec(), submitted(record=RecordGone()), NOON)
    assert standing_of(decision) == (Phase.MISSING, Verdict.MISSING, "RecordVanished")


def test_a_finished_backup_whose_cancel_came_too_late_goes_missing_not_cancelled() -> None:
    finished = [a_condition("Finished", reason="Succeeded")]
    seen = submitted(record=RecordGone(), conditions=finished)
    assert standing_of(decide(a_spec(cancel=True), seen, NOON))[1] is Verdict.MISSING


def test_a_differing_description_is_changed_once() -> None:
    record = a_record(description="old")
    wanted = a_spec(description="new")
    assert decide(wanted, submitted(record=record), NOON) == ChangeDescription(7, "new")
    refused = replace(submitted(record=record), memory=Recollection(refused_description="new"))
    assert isinstance(decide(wanted, refused, NOON), Report)
    assert isinstance(decide(a_spec(), submitted(record=record), NOON), Report)


def test_a_finished_backup_rests_until_its_spec_changes() -> None:
    conditions = [
        a_condition("Finished", reason="Succeeded"),
        a_condition("Ready", reason="Succeeded"),
    ]
    settled = submitted(conditions=conditions, observed_generation=1)
    assert decide(a_spec(), settled, NOON) == Rest()
    edited = replace(settled, metadata=some_metadata(generation=2))
    assert decide(a_spec(), edited, NOON) == FetchRecord(7)


def test_a_backup_keeps_its_phase_and_failure_while_the_engine_is_down() -> None:
    seen = replace(submitted(record=a_record(), failure=DEADLINE), engine=DOWN)
    decision = decide(a_spec(), seen, NOON)
    assert isinstance(decision, Report)
    assert decision.standing.phase is None
    assert decision.standing.failure == DEADLINE


KEPT = some_metadata(deleting=NOON, kept=True)
DELETE = a_spec(deletion_policy="Delete")


def deleting(**facts: object) -> object:
    seen = replace(submitted(), metadata=KEPT, **facts)  # type: ignore[arg-type]
    return decide(DELETE, seen, NOON + GRACE)


def test_deleting_removes_the_record_before_the_object_goes() -> None:
    assert deleting() == FetchRecord(7)
    done = a_record(RecordStatus.SUCCESS)
    assert deleting(record=done) == DeleteRecord(7, only_running=False)
    assert deleting(record=a_record()) == DeleteRecord(7, only_running=True)
    assert isinstance(deleting(record=a_record(RecordStatus.DELETING)), Report)
    assert deleting(record=RecordGone()) == RemoveFinalizer()


def test_an_archive_is_not_deleted_before_a_burst_can_be_seen() -> None:
    seen = replace(submitted(record=a_record(RecordStatus.SUCCESS)), metadata=KEPT)
    decision = decide(DELETE, seen, NOON + SECOND)
    assert isinstance(decision, Report)
    assert decision.until == NOON + GRACE


def test_a_held_deletion_waits_and_can_be_forced() -> None:
    done = a_record(RecordStatus.SUCCESS)
    held = deleting(record=done, is_held=True)
    assert isinstance(held, Report)
    assert held.standing.reason == "DeletionHeld"
    forced = some_metadata(deleting=NOON, kept=True, annotations={FORCE_DELETE_ANNOTATION: "now"})
    seen = replace(submitted(record=done), metadata=forced, is_held=True)
    assert decide(DELETE, seen, NOON + GRACE) == RemoveFinalizer()


def test_an_unreachable_engine_keeps_the_object() -> None:
    blocked = deleting(engine=DOWN)
    assert isinstance(blocked, Report)
    assert blocked.standing.is_stalled


@pytest.mark.parametrize(
    "status",
    [
        a_status(),
        a_status(
            submission=a_submission(),
            failure=Failure(reason="NameInUse"),
            conditions=[a_condition("Finished", reason="NameInUse")],
        ),
    ],
)
def test_an_object_without_a_record_goes_at_once(status: object) -> None:
    seen = observed(status, metadata=KEPT)  # type: ignore[arg-type]
    assert decide(DELETE, seen, NOON) == RemoveFinalizer()


def test_a_deleted_object_whose_outcome_is_unknown_is_looked_for_first() -> None:
    status = a_status(submission=a_submission(), engine=ENGINE)
    assert decide(DELETE, observed(status, metadata=KEPT), NOON) == LookForLost(NAME)
    found = Recollection(first_look_at=NOON, look=Look(NOON, (a_record(),)))
    decision = decide(DELETE, observed(status, metadata=KEPT, memory=found), NOON)
    assert isinstance(decision, Adopt)
    none = Recollection(first_look_at=NOON, look=Look(NOON + SETTLE, ()))
    decision = decide(DELETE, observed(status, metadata=KEPT, memory=none), NOON + SETTLE)
    assert decision == RemoveFinalizer()


def test_more_than_a_burst_within_a_minute_is_held() -> None:
    others = [NOON + n * SECOND for n in range(BURST)]
    assert is_held(NOON, others, None, was_held=False)
    assert not is_held(NOON, others[1:], None, was_held=False)
    spread = [NOON + n * timedelta(seconds=7) for n in range(-BURST, BURST)]
    assert not is_held(NOON, spread, None, was_held=False)


def test_a_held_deletion_is_let_go_only_by_an_acknowledgement() -> None:
    assert is_held(NOON, [], None, was_held=True)
    assert is_held(NOON, [], NOON - SECOND, was_held=True)
    assert not is_held(NOON, [], NOON, was_held=True)
