"""One restore per Restore: crash anywhere, lose any answer, and nothing is restored twice."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backup_api.backups import BackupType
from backup_api.endpoints import LIST_RESTORES
from backup_api.errors import EndpointErrors, ErrorClass
from backup_api.exceptions import RefusedError
from backup_api.extensions.volumes import CreateVolumeRestoreErrors
from backup_api.restores import (
    CreateRestoreErrors,
    LaunchRestoreErrors,
    RestoreRecord,
)
from backup_api.restores import RestoreStatus as WireStatus
from backup_operator.decisions.engine_trouble import explain_refused_step
from backup_operator.decisions.facts import EngineSeen, Refusal, Trouble
from backup_operator.decisions.restore import decide_restore, find_ours
from backup_operator.decisions.restore_facts import (
    AdoptRestore,
    CreateRestoreRecord,
    DropLostRestore,
    DropRestore,
    KeepRestore,
    LaunchRestoreRecord,
    ListOpenRestores,
    LookAtRestore,
    Obstacle,
    OpenRestores,
    ReportRestore,
    RestoreDecision,
    RestoreMemory,
    RestoreSeen,
    RestoreView,
    RestRestore,
    WriteLaunchAhead,
    WriteRestoreAhead,
)
from backup_operator.decisions.restore_refusals import ADVICE
from backup_operator.decisions.restore_standings import ASK_AGAIN, LET_GO_WITHIN, failed, pending
from backup_operator.decisions.restore_status import build_restore_status
from backup_operator.resources.group import FINALIZER
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestoreStatus
from fixtures.facts import ENGINE, NOON, SECOND, some_metadata, wire_ms

GROUPS = ("DEPLOYMENT_CONFIG",)
TROUBLE = Trouble("EngineUnreachable", "gone")


def a_spec(**members: Any) -> RestoreSpec:  # noqa: ANN401
    return RestoreSpec.model_validate({"backupId": 118, "groups": GROUPS, **members})


def a_record(status: WireStatus = WireStatus.PENDING, **members: Any) -> RestoreRecord:  # noqa: ANN401
    given = {
        "id": 7,
        "backup_id": 118,
        "backup_name": "old",
        "backup_version": "7.5.0",
        "backup_type": BackupType.CONFIG,
        "groups": GROUPS,
        "time_initiated": wire_ms(NOON),
        **members,
    }
    return RestoreRecord.model_validate({**given, "status": status})


def seen(status: RestoreStatus | None = None, **more: Any) -> RestoreSeen:  # noqa: ANN401
    facts = {
        "metadata": some_metadata(kept=True),
        "status": status or RestoreStatus(),
        "engine": EngineSeen(ENGINE, clock_offset=timedelta(0)),
        "memory": RestoreMemory(),
        "backup_id": 118,
        **more,
    }
    return RestoreSeen(**facts)


def reason_of(decision: object) -> str:
    assert isinstance(decision, ReportRestore)
    return decision.standing.reason


def test_what_is_not_allowed_is_not_even_asked() -> None:
    trouble = Trouble("RestoreNotAllowed", "no", needs_people=True)
    assert reason_of(decide_restore(a_spec(), seen(not_allowed=trouble), NOON)) == trouble.reason


LAUNCHED = {"id": 7, "launch": {"requested_at": NOON, "digest": "sha256:x"}}
REFUSED = explain_refused_step(
    RefusedError(LIST_RESTORES, 403, 26, "bot may not get restores"), "c"
)


@pytest.mark.parametrize("content", [{"groups": GROUPS}, {"volumes": [{"claim": "data"}]}])
@pytest.mark.parametrize("stored", [{}, LAUNCHED])
def test_a_right_that_is_missing_is_told_and_asked_for_again(
    content: dict[str, Any], stored: dict[str, Any]
) -> None:
    wanted = RestoreSpec.model_validate({"backupId": 118, "timeout": "1h", **content})
    status = RestoreStatus.model_validate(stored)
    facts = seen(status, memory=RestoreMemory(obstacle=Obstacle(NOON, REFUSED)))

    decision = decide_restore(wanted, facts, NOON)

    assert isinstance(decision, ReportRestore)
    assert decision.until == NOON + ASK_AGAIN
    standing = decision.standing
    assert (standing.reason, standing.is_stalled, standing.is_over) == ("Forbidden", True, False)
    for words in (
        "GET /backup_and_restore/restores",
        "code 26",
        "may not get",
        "manifests/restore",
    ):
        assert words in standing.message
    assert not isinstance(decide_restore(wanted, facts, NOON + ASK_AGAIN), ReportRestore)
    late = Obstacle(NOON + timedelta(hours=1), REFUSED)
    decision = decide_restore(wanted, seen(status, memory=RestoreMemory(obstacle=late)), late.at)
    assert isinstance(decision, ReportRestore)
    assert decision.standing.is_over == bool(stored)

    leaving = replace(facts, metadata=some_metadata(kept=True, deleting=NOON))
    assert decide_restore(wanted, leaving, NOON) == KeepRestore(wanted=False)


FAILED = explain_refused_step(RefusedError(LIST_RESTORES, 500, 1000, "out of memory"), "c")


@pytest.mark.parametrize("content", [{"groups": GROUPS}, {"volumes": [{"claim": "data"}]}])
def test_an_error_of_the_engine_itself_is_told_and_holds_a_deletion_back_for_a_minute(
    content: dict[str, Any],
) -> None:
    wanted = RestoreSpec.model_validate({"backupId": 118, **content})
    status = RestoreStatus.model_validate(LAUNCHED)

    def decided(at: timedelta, status: RestoreStatus = status, **members: Any) -> RestoreDecision:  # noqa: ANN401
        memory = RestoreMemory(obstacle=Obstacle(NOON + at, FAILED))
        return decide_restore(wanted, seen(status, memory=memory, **members), NOON + at)

    decision = decided(timedelta(0))
    assert isinstance(decision, ReportRestore)
    standing = decision.standing
    assert (standing.reason, standing.is_stalled, standing.is_over) == (
        "EngineUnwell",
        False,
        False,
    )
    assert "out of memory" in standing.message

    leaving = some_metadata(kept=True, deleting=NOON)
    assert reason_of(decided(SECOND, metadata=leaving)) == "EngineUnwell"
    assert decided(LET_GO_WITHIN, metadata=leaving) == KeepRestore(wanted=False)
    over = build_restore_status(seen(status), failed("RestoreFailed", "no"), NOON)
    assert decided(SECOND, over, metadata=leaving) == KeepRestore(wanted=False)


@pytest.mark.parametrize("errors", [CreateRestoreErrors, CreateVolumeRestoreErrors])
def test_every_final_refusal_says_what_to_do(errors: type[EndpointErrors]) -> None:
    final = {row for row in errors if row.error_class is ErrorClass.FINAL}
    assert final <= ADVICE.keys()


def test_it_is_kept_and_nothing_is_open_before_it_is_requested() -> None:
    loose = seen(metadata=some_metadata())
    assert decide_restore(a_spec(), loose, NOON) == KeepRestore(wanted=True)
    assert decide_restore(a_spec(), seen(), NOON) == ListOpenRestores()
    busy = RestoreMemory(look=OpenRestores(NOON, (a_record(),)))
    assert reason_of(decide_restore(a_spec(), seen(memory=busy), NOON)) == "RestoreRunning"
    held = decide_restore(a_spec(), seen(memory=busy, in_the_way="Restore ops/older"), NOON)
    assert isinstance(held, ReportRestore)
    assert "approve its plan, or delete Restore ops/older" in held.standing.message
    free = RestoreMemory(look=OpenRestores(NOON, ()))
    assert isinstance(decide_restore(a_spec(), seen(memory=free), NOON), WriteRestoreAhead)


def test_silence_after_the_launch_is_no_failure() -> None:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    status = RestoreStatus.model_validate({"id": 7, "launch": launch})
    away = EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    decision = decide_restore(a_spec(), seen(status, engine=away), NOON)
    assert reason_of(decision) == "EngineAway"
    locked = EngineSeen(ENGINE, Trouble("Unauthorized", "401", needs_people=True))
    decision = decide_restore(a_spec(), seen(status, engine=locked), NOON)
    assert isinstance(decision, ReportRestore)
    assert decision.standing.wants_credentials
    assert not decision.standing.is_over


def test_a_restore_that_never_ends_is_given_up_after_its_timeout() -> None:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    status = RestoreStatus.model_validate({"id": 7, "launch": launch})
    wanted, late = a_spec(mode="Apply", timeout="2h"), NOON + timedelta(hours=2)
    running = RestoreMemory(view=RestoreView(late, a_record(WireStatus.IN_PROGRESS)))
    away = EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    locked = EngineSeen(ENGINE, Trouble("Unauthorized", "401", needs_people=True))
    for facts in (seen(status, memory=running), seen(status, engine=away)):
        assert reason_of(decide_restore(wanted, facts, late - SECOND)) != "DeadlineExceeded"
        decision = decide_restore(wanted, facts, late)
        assert isinstance(decision, ReportRestore)
        assert decision.standing.reason == "DeadlineExceeded"
        assert decision.standing.is_over
        assert "(2h)" in decision.standing.message
    waits = decide_restore(wanted, seen(status, engine=locked), late)
    assert reason_of(waits) == "CredentialsWanted"


def test_an_end_that_is_seen_late_counts_all_the_same() -> None:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    status = RestoreStatus.model_validate({"id": 7, "launch": launch})
    late = NOON + timedelta(days=3)
    assert isinstance(decide_restore(a_spec(), seen(status), late), LookAtRestore)
    ended = RestoreMemory(view=RestoreView(late, a_record(WireStatus.SUCCESS)))
    assert reason_of(decide_restore(a_spec(), seen(status, memory=ended), late)) == "Succeeded"


def test_cluster_options_at_an_appliance_are_refused() -> None:
    view = RestoreView(NOON, a_record())
    status = RestoreStatus(id=7)
    wanted = a_spec(existing="Update")
    decision = decide_restore(wanted, seen(status, memory=RestoreMemory(view=view)), NOON)
    assert reason_of(decision) == "OptionsNotSupported"


def test_an_engine_that_was_not_asked_yet_is_waited_for_before_a_record_is_left_behind() -> None:
    leaving: dict[str, Any] = {
        "status": RestoreStatus(id=7),
        "metadata": some_metadata(kept=True, deleting=NOON),
    }
    connecting, down = EngineSeen(ENGINE, is_connecting=True), EngineSeen(ENGINE, TROUBLE)

    assert decide_restore(a_spec(), seen(**leaving, engine=connecting), NOON) == RestRestore()
    assert decide_restore(a_spec(), seen(**leaving, engine=down), NOON) == KeepRestore(wanted=False)
    assert decide_restore(a_spec(), seen(**leaving), NOON) == DropRestore(7)


class OneRestore(RuleBasedStateMachine):
    """An engine that may lose answers, crashes, and somebody else's restore."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.wanted = a_spec(mode="Apply", autoApprove=True)
        self.status = RestoreStatus()
        self.memory = RestoreMemory()
        self.kept = False
        self.records: dict[int, RestoreRecord] = {}
        self.created = 0
        self.launched = 0
        self.loses_answer = False
        self.deleted_at: datetime | None = None

    def _open(self) -> tuple[RestoreRecord, ...]:
        over = {WireStatus.SUCCESS, WireStatus.FAILED}
        return tuple(one for one in self.records.values() if one.status not in over)

    def _refuse(self, row: Any, attempt: int) -> Refusal:  # noqa: ANN401
        return Refusal(attempt, self.now, row.http_status, row.code, row, row.error_class, "no")

    def _step(self) -> bool:  # noqa: C901, PLR0912 - one case for each kind of step
        """Take one step; False: it rests."""
        metadata = some_metadata(kept=self.kept, deleting=self.deleted_at)
        facts = seen(self.status, memory=self.memory, metadata=metadata)
        decision = decide_restore(self.wanted, facts, self.now)
        loses, memory = self.loses_answer, self.memory
        match decision:
            case RestRestore():
                return False
            case ReportRestore(standing):
                self.status = build_restore_status(facts, standing, self.now)
                return standing.is_over and self.kept
            case KeepRestore(wanted):
                self.kept = wanted
            case ListOpenRestores():
                first = memory.first_look_at or self.now
                look = OpenRestores(self.now, self._open())
                self.memory = replace(memory, look=look, first_look_at=first)
            case WriteRestoreAhead(submission):
                told = build_restore_status(facts, pending("Submitting", ""), self.now)
                self.status = told.model_copy(update={"submission": submission, "engine": ENGINE})
                self.memory = replace(
                    memory, unsent_attempt=submission.attempts, look=None, first_look_at=None
                )
            case CreateRestoreRecord(attempt):
                self.memory = replace(memory, unsent_attempt=0, refusal=None, look=None)
                self._create(attempt, is_lost=loses)
            case AdoptRestore(record):
                self.status = self.status.model_copy(update={"id": record.id})
                self.memory = RestoreMemory()
            case LookAtRestore(restore_id):
                view = RestoreView(self.now, self.records.get(restore_id))
                self.memory = replace(memory, view=view)
            case WriteLaunchAhead(launch, standing):
                told = build_restore_status(facts, standing, self.now)
                self.status = told.model_copy(update={"launch": launch})
            case LaunchRestoreRecord(restore_id):
                self.memory = replace(memory, view=None)
                self._launch(restore_id, is_lost=loses)
            case DropRestore(restore_id):
                self._drop(restore_id)
                self.memory = replace(memory, view=RestoreView(self.now, None))
            case DropLostRestore(wanted, submission):
                ours = find_ours(wanted, submission, OpenRestores(self.now, self._open()))
                if ours is not None:
                    self._drop(ours.id)
                self.memory = replace(memory, view=RestoreView(self.now, None))
            case _:
                raise AssertionError(decision)
        self.loses_answer = False
        return True

    def _drop(self, restore_id: int) -> None:
        if self.records[restore_id].status is WireStatus.PENDING:
            del self.records[restore_id]

    def _create(self, attempt: int, *, is_lost: bool) -> None:
        if self._open():
            row = CreateRestoreErrors.ANOTHER_IS_OPEN
            assert row.error_class is ErrorClass.BUSY
            answer: dict[str, Any] = {"refusal": self._refuse(row, attempt)}
        else:
            self.created += 1
            number = max(self.records, default=0) + 1
            record = a_record(id=number, time_initiated=wire_ms(self.now))
            self.records[number] = record
            answer = {"created": record}
        if not is_lost:
            self.memory = replace(self.memory, **answer)

    def _launch(self, restore_id: int, *, is_lost: bool) -> None:
        record = self.records[restore_id]
        if record.status is WireStatus.PENDING:
            self.launched += 1
            running = record.model_copy(update={"status": WireStatus.IN_PROGRESS})
            self.records[restore_id] = running
            answer: dict[str, Any] = {"view": RestoreView(self.now, running)}
        else:
            answer = {"launch_refusal": self._refuse(LaunchRestoreErrors.NOT_PENDING, 1)}
        if not is_lost:
            self.memory = replace(self.memory, **answer)

    @rule(steps=st.integers(1, 12))
    def reconcile(self, steps: int) -> None:
        for _ in range(steps):
            if not self._step():
                break

    @rule()
    def crash(self) -> None:
        self.memory = RestoreMemory()

    @rule()
    def lose_the_next_answer(self) -> None:
        self.loses_answer = True

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule()
    def somebody_else_restores(self) -> None:
        if not self.records:
            self.records[1] = a_record(id=1, backup_id=5, time_initiated=wire_ms(self.now))

    @rule(outcome=st.sampled_from((WireStatus.SUCCESS, WireStatus.FAILED)))
    def what_runs_ends(self, outcome: WireStatus) -> None:
        for number, record in self.records.items():
            if record.status is WireStatus.IN_PROGRESS or record.backup_id == 5:
                self.records[number] = record.model_copy(update={"status": outcome})

    @precondition(lambda self: self.deleted_at is None)
    @rule()
    def somebody_deletes_it(self) -> None:
        self.deleted_at = self.now

    @invariant()
    def nothing_is_made_or_launched_twice(self) -> None:
        assert self.created <= 1
        assert self.launched <= 1

    def teardown(self) -> None:
        """Once the faults stop, it ends."""
        self.loses_answer = False
        for _ in range(40):
            self.what_runs_ends(WireStatus.SUCCESS)
            self.reconcile(12)
            self.now += 15 * SECOND
        assert not self.kept, FINALIZER
        assert all(one.status is not WireStatus.PENDING for one in self.records.values())
        if self.deleted_at is None:
            assert self.launched == 1
            assert self.status.phase in {"Succeeded", "Failed"}


TestOneRestore = OneRestore.TestCase
TestOneRestore.settings = settings(max_examples=60, stateful_step_count=25)
