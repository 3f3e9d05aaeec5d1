"""One restore per Restore: crash anywhere, lose any answer, and nothing is restored twice."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from backup_api.errors import ErrorClass
from backup_api.restores import (
    CreateRestoreErrors,
    LaunchRestoreErrors,
    RestoreRecord,
)
from backup_api.restores import RestoreStatus as WireStatus
from backup_operator.decisions.facts import Refusal
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
    OpenRestores,
    ReportRestore,
    RestoreMemory,
    RestoreView,
    RestRestore,
    WriteLaunchAhead,
    WriteRestoreAhead,
)
from backup_operator.decisions.restore_standings import pending
from backup_operator.decisions.restore_status import build_restore_status
from backup_operator.resources.group import FINALIZER
from fixtures.facts import ENGINE, SECOND, wire_ms
from restorefacts.machine import RestoreMachine
from restorefacts.objects import a_record, a_spec


class OneRestore(RestoreMachine):
    """An engine that may lose answers, crashes, and somebody else's restore."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = a_spec(mode="Apply", autoApprove=True)
        self.records: dict[int, RestoreRecord] = {}
        self.created = 0
        self.launched = 0

    def _open(self) -> tuple[RestoreRecord, ...]:
        over = {WireStatus.SUCCESS, WireStatus.FAILED}
        return tuple(one for one in self.records.values() if one.status not in over)

    def _refuse(self, row: Any, attempt: int) -> Refusal:  # noqa: ANN401
        return Refusal(attempt, self.now, row.http_status, row.code, row, row.error_class, "no")

    def take_step(self) -> bool:  # noqa: C901, PLR0912 - one case for each kind of step
        """Take one step; False: it rests."""
        facts = self.look()
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

    @rule()
    def somebody_else_restores(self) -> None:
        if not self.records:
            self.records[1] = a_record(id=1, backup_id=5, time_initiated=wire_ms(self.now))

    @rule(outcome=st.sampled_from((WireStatus.SUCCESS, WireStatus.FAILED)))
    def what_runs_ends(self, outcome: WireStatus) -> None:
        for number, record in self.records.items():
            if record.status is WireStatus.IN_PROGRESS or record.backup_id == 5:
                self.records[number] = record.model_copy(update={"status": outcome})

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
