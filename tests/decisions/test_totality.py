"""Whatever the facts are, there is a decision."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_api.backups import BackupType, RecordStatus
from backup_api.errors import CreateBackupErrors, ErrorClass
from backup_operator.decisions.backup import decide
from backup_operator.decisions.facts import (
    DeploySeen,
    EngineSeen,
    HostsSeen,
    Look,
    NotSent,
    Observed,
    Recollection,
    RecordGone,
    Refusal,
    Trouble,
)
from backup_operator.decisions.status import build_status
from backup_operator.decisions.steps import Adopt, Report, WriteAhead
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus, Failure, Submission
from backup_operator.resources.parts import Condition, ConditionStatus, ConditionType
from fixtures.facts import ENGINE, NAME, NOON, a_record, a_spec, some_metadata

TIMES = st.integers(-10_000, 10_000).map(lambda seconds: NOON + timedelta(seconds=seconds))
MAYBE_TIMES = st.none() | TIMES
ATTEMPTS = st.integers(0, 3)
RECORDS = st.builds(
    lambda status, record_id, at: a_record(
        id=record_id, time_initiated=int(at.timestamp() * 1000)
    ).model_copy(update={"status": status}),
    st.none() | st.sampled_from(RecordStatus),
    st.integers(1, 3),
    TIMES,
)
LOOKS = st.builds(Look, TIMES, st.lists(RECORDS, max_size=2).map(tuple))
REFUSALS = st.builds(
    lambda attempt, at, row: Refusal(
        attempt,
        at,
        row.http_status if row else 499,
        row.code if row else 1,
        row,
        row.error_class if row else ErrorClass.FINAL,
        "no",
    ),
    ATTEMPTS,
    TIMES,
    st.none() | st.sampled_from(CreateBackupErrors),
)
MEMORIES = st.builds(
    Recollection,
    name_check=st.none() | LOOKS,
    unsent_attempt=ATTEMPTS,
    created=st.none() | RECORDS,
    answer=st.none() | REFUSALS | st.builds(NotSent, ATTEMPTS, TIMES, st.just("away")),
    certain_through=ATTEMPTS,
    first_look_at=MAYBE_TIMES,
    look=st.none() | LOOKS,
    hosts=st.none() | st.builds(HostsSeen, TIMES, st.just({"ep1": 103})),
    deploy=st.none() | st.builds(DeploySeen, TIMES, st.booleans(), error=st.none() | st.just("x")),
)
CONDITIONS = st.builds(
    lambda type_, status, at, reason: Condition(
        type=type_, status=status, last_transition_time=at, reason=reason, message=""
    ),
    st.sampled_from([*ConditionType, "Busy"]),
    st.sampled_from(ConditionStatus),
    TIMES,
    st.sampled_from(["Succeeded", "Cancelled", "FileMissing", "DeletionHeld"]),
)
STATUSES = st.builds(
    lambda **members: BackupStatus(**members),  # noqa: PLW0108 - of a model it builds aliases
    observed_generation=st.none() | st.integers(0, 2),
    id=st.none() | st.integers(1, 3),
    status=st.none() | st.sampled_from(RecordStatus),
    submission=st.none()
    | st.builds(
        lambda at, engine_time, attempts: Submission(
            requested_name=NAME, submitted_at=at, engine_time=engine_time, attempts=attempts
        ),
        TIMES,
        MAYBE_TIMES,
        ATTEMPTS,
    ),
    failure=st.sampled_from(
        [None, Failure(reason="DeadlineExceeded"), Failure(reason="BackupFailed")]
    ),
    engine=st.none() | st.just(ENGINE),
    conditions=st.lists(CONDITIONS, max_size=4, unique_by=lambda one: one.type).map(tuple),
)
ENGINES = st.sampled_from(
    [
        EngineSeen(ENGINE),
        EngineSeen(ENGINE, clock_offset=timedelta(hours=1)),
        EngineSeen(ENGINE, Trouble("EngineUnreachable", "away")),
        EngineSeen(None, Trouble("EngineNotFound", "none", needs_people=True)),
        EngineSeen(None, is_connecting=True),
    ]
)
OBSERVED = st.builds(
    Observed,
    metadata=st.builds(
        lambda deleting, kept, generation: some_metadata(
            deleting=deleting, kept=kept, generation=generation
        ),
        MAYBE_TIMES,
        st.booleans(),
        st.integers(0, 2),
    ),
    status=STATUSES,
    engine=ENGINES,
    requested_name=st.just(NAME),
    record=st.none() | RECORDS | st.just(RecordGone()),
    memory=MEMORIES,
    is_held=st.booleans(),
)
SPECS = st.builds(
    a_spec,
    backup_type=st.sampled_from(BackupType),
    description=st.none() | st.just("words"),
    hostname=st.none() | st.sampled_from(["ep1", "ep9"]),
    deletion_policy=st.sampled_from(["Retain", "Delete"]),
    deploy_staged=st.booleans(),
    cancel=st.booleans(),
)


@given(SPECS, OBSERVED, TIMES)
@settings(max_examples=1500, deadline=None)
def test_every_decision_is_made_and_can_be_told(
    wanted: BackupSpec,
    seen: Observed,
    now: Any,  # noqa: ANN401 - a time
) -> None:
    decision = decide(wanted, seen, now)
    if isinstance(decision, Report | WriteAhead | Adopt):
        status = build_status(wanted, seen.metadata.generation, seen.status, decision.standing, now)
        assert BackupStatus.model_validate(status.to_body()).phase is not None
    if isinstance(decision, WriteAhead):
        assert decision.submission.attempts >= 1
        before = seen.status.submission
        assert before is None or decision.submission.attempts == before.attempts + 1


@pytest.mark.parametrize("is_deleting", [True, False])
def test_nothing_is_asked_of_an_engine_in_trouble(is_deleting: bool) -> None:
    @given(SPECS, OBSERVED)
    @settings(max_examples=300, deadline=None)
    def check(wanted: BackupSpec, seen: Observed) -> None:
        if seen.metadata.is_deleting is is_deleting and not seen.engine.is_usable:
            name = type(decide(wanted, seen, NOON)).__name__
            quiet = {"Rest", "Report", "AddFinalizer", "RemoveFinalizer", "Adopt"}
            assert name in quiet

    check()
