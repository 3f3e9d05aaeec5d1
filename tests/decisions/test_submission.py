"""From nothing submitted to an id that is known, one decision at a time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from backup_api.backups import BackupRecord, RecordStatus
from backup_api.errors import CreateBackupErrors, EndpointErrors
from backup_operator.decisions.backup import decide
from backup_operator.decisions.facts import (
    DeploySeen,
    EngineSeen,
    HostsSeen,
    Look,
    NotSent,
    Recollection,
    Refusal,
    Trouble,
)
from backup_operator.decisions.steps import (
    AddFinalizer,
    Adopt,
    CheckName,
    Decision,
    FindHosts,
    LookAtDeploy,
    LookForLost,
    Report,
    Rest,
    StartDeploy,
    Submit,
    Verdict,
    WriteAhead,
)
from backup_operator.decisions.submission import SETTLE
from backup_operator.resources.backup_status import Phase
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
    wire_ms,
)

CLEAN = Look(NOON, ())


def refused(row: EndpointErrors, attempt: int = 1, at: datetime = NOON) -> Refusal:
    return Refusal(attempt, at, row.http_status, row.code, row, row.error_class, "no")


def pending_after(memory: Recollection, attempts: int = 1) -> Decision:
    status = a_status(submission=a_submission(attempts=attempts))
    return decide(a_spec(), observed(status, memory=memory), NOON + SECOND)


def failure_reason(decision: Decision) -> str | None:
    assert isinstance(decision, Report)
    return decision.standing.failure.reason if decision.standing.failure is not None else None


def test_the_name_is_checked_before_anything_is_stored() -> None:
    assert decide(a_spec(), observed(), NOON) == CheckName(NAME)


def test_the_finalizer_comes_before_the_first_attempt() -> None:
    assert decide(a_spec(deletion_policy="Delete"), observed(), NOON) == AddFinalizer()


def test_an_attempt_is_stored_with_the_engines_time_before_it_is_made() -> None:
    ahead = EngineSeen(observed().engine.identity, clock_offset=HOUR)
    seen = observed(memory=Recollection(name_check=CLEAN), engine=ahead)
    decision = decide(a_spec(), seen, NOON)

    assert isinstance(decision, WriteAhead)
    assert decision.submission.attempts == 1
    assert decision.submission.submitted_at == NOON
    assert decision.submission.engine_time == NOON + HOUR


def test_a_stored_attempt_of_this_process_is_made_once() -> None:
    decision = pending_after(Recollection(unsent_attempt=1))
    assert isinstance(decision, Submit)
    assert decision.attempt == 1


def test_a_stored_attempt_of_an_unknown_process_is_looked_for_first() -> None:
    assert pending_after(Recollection()) == LookForLost(NAME)


def test_a_record_that_began_after_the_submission_is_adopted() -> None:
    record = a_record(time_initiated=wire_ms(NOON - SECOND))
    look = Look(NOON + SECOND, (record,))
    decision = pending_after(Recollection(first_look_at=NOON + SECOND, look=look))
    assert isinstance(decision, Adopt)
    assert decision.record == record


@pytest.mark.parametrize(
    "record",
    [
        a_record(time_initiated=wire_ms(NOON - HOUR)),
        a_record(type="DATA"),
        a_record(configuration_id=2),
    ],
)
def test_a_record_of_somebody_else_is_never_adopted(record: BackupRecord) -> None:
    look = Look(NOON + SECOND, (record,))
    decision = pending_after(Recollection(first_look_at=NOON, look=look))
    assert failure_reason(decision) == "NameInUse"


def test_two_records_that_might_be_ours_are_both_left_alone() -> None:
    look = Look(NOON + SECOND, (a_record(id=7), a_record(id=8)))
    decision = pending_after(Recollection(first_look_at=NOON, look=look))
    assert failure_reason(decision) == "OutcomeUnknown"


def test_a_lost_attempt_is_repeated_only_after_two_looks_apart() -> None:
    first = Recollection(first_look_at=NOON, look=CLEAN)
    status = a_status(submission=a_submission())

    early = decide(a_spec(), observed(status, memory=first), NOON + SECOND)
    assert isinstance(early, Report)
    assert early.until == NOON + SETTLE
    due = decide(a_spec(), observed(status, memory=first), NOON + SETTLE)
    assert due == LookForLost(NAME)
    second = replace(first, look=Look(NOON + SETTLE, ()))
    repeated = decide(a_spec(), observed(status, memory=second), NOON + SETTLE)
    assert isinstance(repeated, WriteAhead)
    assert repeated.submission.attempts == 2
    assert repeated.submission.submitted_at == NOON


def test_a_taken_name_is_foreign_while_no_attempt_was_lost() -> None:
    answer = refused(CreateBackupErrors.NAME_TAKEN)
    decision = pending_after(Recollection(answer=answer, certain_through=1))
    assert failure_reason(decision) == "NameInUse"


def test_a_name_taken_after_a_lost_attempt_is_looked_at() -> None:
    answer = refused(CreateBackupErrors.NAME_TAKEN, attempt=2)
    assert pending_after(Recollection(answer=answer), attempts=2) == LookForLost(NAME)


def test_a_name_found_taken_before_the_first_attempt_is_in_use() -> None:
    memory = Recollection(name_check=Look(NOON, (a_record(),)))
    assert failure_reason(decide(a_spec(), observed(memory=memory), NOON)) == "NameInUse"


def test_scheduled_runs_do_not_take_the_name_nightly() -> None:
    seen = observed(memory=Recollection(name_check=Look(NOON, (a_record(name="nightly"),))))
    seen = replace(seen, requested_name="nightly")
    assert isinstance(decide(a_spec(name="nightly"), seen, NOON), WriteAhead)


FINAL_ROWS = [row for row in CreateBackupErrors if row.error_class == "final"]


@pytest.mark.parametrize("row", FINAL_ROWS)
def test_a_final_refusal_fails_with_its_code(row: CreateBackupErrors) -> None:
    decision = pending_after(Recollection(answer=refused(row), certain_through=1))
    assert isinstance(decision, Report)
    assert decision.standing.verdict is Verdict.FAILED
    failure = decision.standing.failure
    assert failure is not None
    assert (failure.http_status, failure.code) == (row.http_status, row.code)


def test_a_busy_engine_is_asked_again_after_a_growing_pause() -> None:
    memory = Recollection(answer=refused(CreateBackupErrors.HOST_BUSY), certain_through=1)
    decision = pending_after(memory)
    assert isinstance(decision, Report)
    assert decision.standing.phase is Phase.PENDING
    assert decision.standing.is_busy
    assert decision.until == NOON + 2 * SECOND

    status = a_status(submission=a_submission())
    later = decide(a_spec(), observed(status, memory=memory), NOON + 2 * SECOND)
    assert isinstance(later, WriteAhead)


def test_the_busy_timeout_counts_from_the_stored_condition() -> None:
    memory = Recollection(
        answer=refused(CreateBackupErrors.HOST_BUSY, at=NOON + HOUR), certain_through=1
    )
    status = a_status(submission=a_submission(), conditions=[a_condition("Busy")])
    seen = observed(status, memory=memory)

    assert failure_reason(decide(a_spec(busy_timeout=HOUR), seen, NOON + HOUR)) == "BusyTimeout"
    patient = decide(a_spec(busy_timeout=2 * HOUR), seen, NOON + HOUR)
    assert failure_reason(patient) is None


def test_staged_changes_are_deployed_only_if_the_spec_says_so() -> None:
    memory = Recollection(answer=refused(CreateBackupErrors.NOT_DEPLOYED), certain_through=1)
    seen = observed(a_status(submission=a_submission()), memory=memory)

    waiting = decide(a_spec(), seen, NOON + SECOND)
    assert isinstance(waiting, Report)
    assert waiting.standing.reason == "StagedChanges"
    assert decide(a_spec(deploy_staged=True), seen, NOON + SECOND) == StartDeploy()


@pytest.mark.parametrize(
    ("deploy", "expected"),
    [
        (DeploySeen(NOON + SECOND, is_finished=False), LookAtDeploy),
        (DeploySeen(NOON + SECOND, is_finished=True), WriteAhead),
        (DeploySeen(NOON + SECOND, is_finished=True, error="host down"), Report),
        (DeploySeen(NOON - HOUR, is_finished=True), StartDeploy),
    ],
)
def test_a_deploy_is_followed_to_its_end(deploy: DeploySeen, expected: type) -> None:
    answer = refused(CreateBackupErrors.NOT_DEPLOYED)
    memory = Recollection(answer=answer, certain_through=1, deploy=deploy)
    seen = observed(a_status(submission=a_submission()), memory=memory)
    assert isinstance(decide(a_spec(deploy_staged=True), seen, NOON + 5 * SECOND), expected)


def test_what_was_never_sent_is_tried_again() -> None:
    memory = Recollection(answer=NotSent(1, NOON, "refused"), certain_through=1)
    status = a_status(submission=a_submission())
    decision = decide(a_spec(), observed(status, memory=memory), NOON + 5 * SECOND)
    assert isinstance(decision, WriteAhead)


def test_a_cancelled_backup_is_not_requested() -> None:
    decision = decide(a_spec(cancel=True), observed(), NOON)
    assert isinstance(decision, Report)
    assert decision.standing.verdict is Verdict.CANCELLED


def test_a_cancelled_backup_whose_outcome_is_unknown_is_looked_for_first() -> None:
    seen = observed(a_status(submission=a_submission()))
    assert decide(a_spec(cancel=True), seen, NOON) == LookForLost(NAME)

    settled = Recollection(first_look_at=NOON, look=Look(NOON + SETTLE, ()))
    seen = observed(a_status(submission=a_submission()), memory=settled)
    decision = decide(a_spec(cancel=True), seen, NOON + SETTLE)
    assert isinstance(decision, Report)
    assert decision.standing.verdict is Verdict.CANCELLED


def test_an_answered_request_is_stored_before_anything_else() -> None:
    memory = Recollection(created=a_record(RecordStatus.INITIALIZING))
    trouble = EngineSeen(None, Trouble("EngineNotFound", "gone"))
    status = a_status(submission=a_submission())
    seen = observed(status, memory=memory, engine=trouble)
    assert isinstance(decide(a_spec(cancel=True), seen, NOON), Adopt)


def test_nothing_is_told_while_the_engine_is_being_met() -> None:
    seen = observed(engine=EngineSeen(None, is_connecting=True))
    assert decide(a_spec(), seen, NOON) == Rest()


def test_a_host_name_is_looked_up_and_an_unknown_one_is_final() -> None:
    wanted = a_spec(backup_type="DATA", hostname="ep1")
    assert decide(wanted, observed(), NOON) == FindHosts()

    known = Recollection(name_check=CLEAN, hosts=HostsSeen(NOON, {"ep1": 103}), unsent_attempt=1)
    status = a_status(submission=a_submission())
    decision = decide(wanted, observed(status, memory=known), NOON)
    assert isinstance(decision, Submit)
    assert decision.body.host_id == 103

    strange = Recollection(hosts=HostsSeen(NOON, {"ep2": 104}))
    assert failure_reason(decide(wanted, observed(memory=strange), NOON)) == "HostUnknown"


def test_an_unlisted_server_error_does_not_fail_the_backup() -> None:
    answer = Refusal(1, NOON, 429, 1, None, CreateBackupErrors.NOT_CREATED.error_class, "slow")
    decision = pending_after(Recollection(answer=answer, certain_through=1))
    assert isinstance(decision, Report)
    assert decision.standing.verdict is None
    assert decision.until == NOON + timedelta(seconds=2)


def test_a_crowd_that_waits_for_a_busy_engine_asks_once_a_second_however_large_it_is() -> None:
    crowd, minute = 500, 60 * SECOND
    memory = Recollection(answer=refused(CreateBackupErrors.HOST_BUSY, attempt=9))
    status = a_status(submission=a_submission(attempts=9), engine=ENGINE)
    wanted = a_spec(busy_timeout="24h")

    def asks_after(number: int, waited: timedelta, waiting: int) -> bool:
        metadata = some_metadata(uid=f"u-{number}")
        seen = observed(status, metadata=metadata, memory=memory, crowd=waiting)
        return isinstance(decide(wanted, seen, NOON + waited), WriteAhead)

    for minutes in (2, 5, 8):
        asked = sum(asks_after(one, minutes * minute, crowd) for one in range(crowd))
        earlier = sum(asks_after(one, (minutes - 1) * minute, crowd) for one in range(crowd))
        assert 10 <= asked - earlier <= 90
    assert all(asks_after(one, 10 * minute, 10 * crowd) for one in range(crowd)), "never longer"
    assert all(asks_after(one, minute, 20) for one in range(crowd)), "a small crowd waits as one"


def test_a_crowd_that_waits_looks_up_before_its_turn() -> None:
    memory = Recollection(answer=refused(CreateBackupErrors.HOST_BUSY, attempt=9))
    status = a_status(submission=a_submission(attempts=9), engine=ENGINE)
    decision = decide(a_spec(), observed(status, memory=memory, crowd=900), NOON + SECOND)
    assert isinstance(decision, Report)
    assert decision.until is not None
    assert decision.until <= NOON + 31 * SECOND
