"""A machine that loses answers, crashes anywhere, sets clocks and delivers states that are stale
or come twice: one backup at most, and every transition of the submission is taken on the way.
"""

import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backup_api.backups import LEAVING, RUNNING, BackupRecord, BackupType, CreateBackup
from backup_api.backups import RecordStatus as State
from backup_api.errors import CreateBackupErrors, EndpointErrors
from backup_operator.decisions.backup import decide
from backup_operator.decisions.facts import (
    EngineSeen,
    Look,
    NotSent,
    Observed,
    Recollection,
    RecordGone,
    Refusal,
)
from backup_operator.decisions.status import build_status
from backup_operator.decisions.steps import (
    AddFinalizer,
    Adopt,
    CheckName,
    Decision,
    DeleteRecord,
    FetchRecord,
    LookForLost,
    RemoveFinalizer,
    Report,
    Rest,
    Standing,
    Submit,
    WriteAhead,
)
from backup_operator.decisions.submission import SETTLE
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.group import FINALIZER
from backup_operator.resources.parts import ConditionStatus, ObjectMetadata
from fixtures.facts import ENGINE, NAME, NOON, a_record, a_spec, wire_ms

FOREIGN = 1000
"""Ids from here on are of backups that nobody asked for through us."""


TAKEN: Counter[tuple[str, str]] = Counter()
"""How often each transition was taken: from a stage of the submission, by a step."""


def stage_of(seen: Observed) -> str:
    """Name how far a submission has come, as the facts have it."""
    submission, memory = seen.status.submission, seen.memory
    attempts = submission.attempts if submission is not None else -1
    stages = (
        (seen.metadata.is_deleting, "being deleted"),
        (seen.status.id is not None, "id stored"),
        (submission is None, "nothing submitted"),
        (memory.created is not None, "answered"),
        (memory.unsent_attempt == attempts, "attempt stored"),
        (isinstance(memory.answer, NotSent), "not sent"),
        (isinstance(memory.answer, Refusal), "refused"),
    )
    return next((name for holds, name in stages if holds), "outcome unknown")


class Crash(BaseException):
    """The operator ends here."""


class Stored:
    """An object in the cluster: every write needs the newest version."""

    def __init__(self, metadata: ObjectMetadata, status: BackupStatus, version: int) -> None:
        self.metadata = metadata
        self.status = status
        self.version = version


class World:
    """One Backup, one engine, one operator that may end at any moment."""

    def __init__(self, wanted: BackupSpec, *, has_fence: bool) -> None:
        self.wanted = wanted
        self.has_fence = has_fence
        self.now = NOON  # by our clock
        self.offset = timedelta(0)  # how far the engine's clock is ahead of ours
        self.is_offset_known = True
        metadata = ObjectMetadata(name="backup", namespace="ops", uid="u-1", generation=1)
        self.stored: Stored | None = Stored(metadata, BackupStatus(), 1)
        self.cached: Stored | None = self.stored
        self.memory = Recollection()
        self.known: dict[int, BackupRecord | RecordGone] = {}
        self.records: dict[int, BackupRecord] = {}
        self.made: list[int] = []
        self.orphans: list[int] = []
        self.in_flight: list[CreateBackup] = []
        self.next_fault = ""
        self.is_busy = False

    @property
    def engine_now(self) -> datetime:
        return self.now + self.offset

    # The engine

    def accept(self, body: CreateBackup) -> BackupRecord | EndpointErrors:
        assert body.name is not None
        if self.has_fence and any(one.name == body.name for one in self.records.values()):
            return CreateBackupErrors.NAME_TAKEN
        if self.is_busy:
            return CreateBackupErrors.HOST_BUSY
        record = a_record(
            State.INITIALIZING, id=len(self.made) + 1, time_initiated=wire_ms(self.engine_now)
        )
        self.records[record.id] = record
        self.made.append(record.id)
        return record

    def change(self, record_id: int, status: State) -> None:
        self.records[record_id] = self.records[record_id].model_copy(update={"status": status})

    # The operator

    def reconcile(self, steps: int, crash_after: int | None = None) -> Decision | None:
        """Take up to ``steps`` steps; returns the Report or Rest it ends with."""
        try:
            for number in range(steps):
                if self.cached is None:
                    return None
                seen = self.observe(self.cached)
                decision = decide(self.wanted, seen, self.now)
                TAKEN[stage_of(seen), type(decision).__name__] += 1
                if isinstance(decision, Rest):
                    return decision
                self.apply(self.cached, decision)
                if crash_after == number:
                    self.crash()
                    return None
                if isinstance(decision, Report):
                    return decision
        except Crash:
            self.crash()
        return None

    def crash(self) -> None:
        self.memory = Recollection()
        self.known = {}
        self.cached = self.stored

    def observe(self, cached: Stored) -> Observed:
        record_id = cached.status.id
        return Observed(
            metadata=cached.metadata,
            status=cached.status,
            engine=EngineSeen(ENGINE, clock_offset=self.offset if self.is_offset_known else None),
            requested_name=NAME,
            record=self.known.get(record_id) if record_id is not None else None,
            memory=self.memory,
        )

    def write(self, cached: Stored, **changes: object) -> bool:
        """Store a change, unless it rests on an old state: then the newest is taken instead."""
        if self.stored is None or cached.version != self.stored.version:
            self.cached = self.stored
            return False
        metadata = changes.get("metadata", cached.metadata)
        status = changes.get("status", cached.status)
        assert isinstance(metadata, ObjectMetadata)
        assert isinstance(status, BackupStatus)
        if metadata.is_deleting and not metadata.finalizers:
            self.stored = self.cached = None
            return True
        if (metadata, status) != (cached.metadata, cached.status):
            self.stored = self.cached = Stored(metadata, status, cached.version + 1)
        return True

    def tell(self, cached: Stored, standing: Standing) -> BackupStatus:
        return build_status(
            self.wanted, cached.metadata.generation, cached.status, standing, self.now
        )

    def apply(self, cached: Stored, decision: Decision) -> None:  # noqa: C901, PLR0912
        match decision:
            case AddFinalizer():
                kept = cached.metadata.model_copy(update={"finalizers": (FINALIZER,)})
                self.write(cached, metadata=kept)
            case RemoveFinalizer():
                free = cached.metadata.model_copy(update={"finalizers": ()})
                policy = self.wanted.deletion_policy
                if self.write(cached, metadata=free) and self.stored is None and policy == "Delete":
                    self.orphans = [number for number in self.made if number in self.records]
            case CheckName():
                self.memory = replace(self.memory, name_check=self.look())
            case LookForLost():
                first = self.memory.first_look_at or self.now
                self.memory = replace(self.memory, look=self.look(), first_look_at=first)
            case WriteAhead(submission, engine, standing):
                status = self.tell(cached, standing)
                told = status.model_copy(update={"submission": submission, "engine": engine})
                if self.write(cached, status=told):
                    self.memory = replace(
                        self.memory,
                        unsent_attempt=submission.attempts,
                        answer=None,
                        look=None,
                        first_look_at=None,
                    )
            case Submit():
                self.submit(decision)
            case Adopt(record, standing):
                if self.write(cached, status=self.tell(cached, standing)):
                    self.memory = Recollection()
                    self.known[record.id] = record
            case FetchRecord(record_id):
                self.known[record_id] = self.records.get(record_id) or RecordGone()
            case DeleteRecord(record_id, only_running):
                self.delete(record_id, only_running=only_running)
            case Report(standing):
                self.write(cached, status=self.tell(cached, standing))
            case _:
                raise AssertionError(decision)

    def look(self) -> Look:
        return Look(self.now, tuple(one for one in self.records.values() if one.name == NAME))

    def submit(self, step: Submit) -> None:
        clean = self.memory.certain_through >= step.attempt - 1
        through = step.attempt if clean else self.memory.certain_through
        self.memory = replace(
            self.memory, unsent_attempt=0, answer=None, look=None, first_look_at=None
        )
        fault, self.next_fault = self.next_fault, ""
        for body in self.in_flight:  # an earlier attempt, thought lost, overtakes this one
            self.accept(body)
        self.in_flight = []
        match fault:
            case "unsent":
                answer = NotSent(step.attempt, self.now, "refused")
                self.memory = replace(self.memory, answer=answer, certain_through=through)
                return
            case "lost before":
                return
            case "late" if self.has_fence:
                self.in_flight.append(step.body)
                return
            case _:
                outcome = self.accept(step.body)
        if fault == "lost after":
            return
        if fault == "crash":
            raise Crash
        if isinstance(outcome, BackupRecord):
            self.memory = replace(self.memory, created=outcome)
            return
        row = outcome
        refusal = Refusal(
            step.attempt, self.now, row.http_status, row.code, row, row.error_class, "no"
        )
        self.memory = replace(self.memory, answer=refusal, certain_through=through)

    def delete(self, record_id: int, *, only_running: bool) -> None:
        record = self.records.get(record_id)
        if record is None:
            self.known[record_id] = RecordGone()
            return
        if only_running and record.status not in RUNNING:
            self.known[record_id] = record
            return
        if record.status not in LEAVING:
            running = record.status in RUNNING
            self.change(record_id, State.CANCELLING if running else State.DELETING)
        self.known[record_id] = self.records[record_id]

    # The user

    def change_spec(self, **changes: object) -> None:
        stored = self.stored
        if stored is None or stored.metadata.is_deleting:
            return
        members = {**self.wanted.model_dump(), **changes}
        self.wanted = BackupSpec.model_validate(members)
        generation = stored.metadata.generation + 1
        metadata = stored.metadata.model_copy(update={"generation": generation})
        self.stored = Stored(metadata, stored.status, stored.version + 1)

    # The course of things

    def poll(self) -> None:
        record_id = self.cached.status.id if self.cached is not None else None
        if record_id is not None:
            self.known[record_id] = self.records.get(record_id) or RecordGone()

    def is_over(self) -> bool:
        if self.stored is None:
            return True
        finished = self.stored.status.find_condition("Finished")
        return (
            finished is not None
            and finished.status is ConditionStatus.TRUE
            and not self.stored.metadata.is_deleting
        )

    def settle(self) -> None:
        """Let everything take its course without faults."""
        self.next_fault, self.is_busy = "", False
        for _ in range(200):
            for record in list(self.records.values()):
                if record.status in RUNNING:
                    self.change(record.id, State.SUCCESS)
                elif record.status in LEAVING:
                    del self.records[record.id]
            self.cached = self.stored
            self.poll()
            decision = self.reconcile(30)
            if self.is_over():
                return
            until = getattr(decision, "until", None)
            self.now = max(self.now + timedelta(seconds=1), until or self.now)
        raise AssertionError(f"no end: {self.stored.status if self.stored else None}")


FAULTS = ["", "unsent", "lost before", "lost after", "late", "crash"]
DICE = st.integers(0, 9)
"""What ends most stories must be rare, or no story gets far."""
SELDOM = 3


class Machine(RuleBasedStateMachine):
    """What may happen to a Backup, in any order."""

    has_fence = True
    policy = "Retain"

    def __init__(self) -> None:
        super().__init__()
        self.world = World(a_spec(deletion_policy=self.policy), has_fence=self.has_fence)
        self.older: Stored | None = self.world.stored

    @initialize(minutes=st.integers(-600, 600), is_known=st.booleans())
    def set_the_clocks(self, minutes: int, is_known: bool) -> None:
        """An engine that sends no Date header is trusted to be within five minutes of us."""
        self.world.is_offset_known = is_known
        self.world.offset = timedelta(minutes=minutes if is_known else minutes % 4)

    @rule(
        steps=st.integers(1, 8),
        crash_after=st.none() | st.integers(0, 6),
        fault=st.sampled_from(FAULTS),
    )
    def reconcile(self, steps: int, crash_after: int | None, fault: str) -> None:
        self.older = self.world.stored
        self.world.next_fault = fault
        self.world.reconcile(steps, crash_after)

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.world.is_offset_known)
    @rule(seconds=st.integers(-3600, 3600))
    def set_our_clock(self, seconds: int) -> None:
        """The operator's clock is set, or a replica on another machine goes on."""
        self.world.now += timedelta(seconds=seconds)
        self.world.offset -= timedelta(seconds=seconds)

    @rule(busy=st.booleans())
    def make_busy(self, busy: bool) -> None:
        self.world.is_busy = busy

    @precondition(lambda self: self.world.in_flight)
    @rule()
    def accept_late(self) -> None:
        self.world.accept(self.world.in_flight.pop(0))

    @rule()
    def poll(self) -> None:
        self.world.poll()

    @precondition(lambda self: self.world.records)
    @rule(status=st.sampled_from([State.IN_PROGRESS, State.SUCCESS, State.FAILED]))
    def go_on(self, status: State) -> None:
        for record in list(self.world.records.values()):
            if record.status in RUNNING and record.id < FOREIGN:
                self.world.change(record.id, status)

    @rule()
    def finish_leaving(self) -> None:
        for record in list(self.world.records.values()):
            if record.status in LEAVING:
                del self.world.records[record.id]

    @precondition(lambda self: self.world.stored is not None)
    @rule()
    def deliver_a_stale_state(self) -> None:
        """A cache may be behind; it never is behind what this process wrote itself."""
        if self.world.memory == Recollection() and not self.world.known:
            self.world.cached = self.older

    @precondition(lambda self: self.world.stored is not None)
    @rule(times=st.integers(2, 3), fault=st.sampled_from(FAULTS))
    def deliver_a_state_several_times(self, times: int, fault: str) -> None:
        """A watch that begins anew tells everything again, in the midst of anything."""
        for _ in range(times):
            self.world.next_fault = fault
            self.world.cached = self.world.stored
            self.world.reconcile(1)

    @precondition(lambda self: not self.world.wanted.cancel)
    @rule(dice=DICE)
    def ask_to_cancel(self, dice: int) -> None:
        if dice < SELDOM:
            self.world.change_spec(cancel=True)

    @rule(policy=st.sampled_from(["Retain", "Delete"]), dice=DICE)
    def change_policy(self, policy: str, dice: int) -> None:
        if dice < SELDOM:
            self.world.change_spec(deletion_policy=policy)

    @rule(dice=DICE)
    def delete_the_object(self, dice: int) -> None:
        stored = self.world.stored
        if stored is None or stored.metadata.is_deleting:
            return
        is_open = stored.status.submission is not None and stored.status.id is None
        if dice > (5 if is_open else 1):  # the outcome unknown is the interesting moment
            return
        if not stored.metadata.finalizers:
            self.world.stored = self.world.cached = None
            return
        metadata = stored.metadata.model_copy(update={"deletion_timestamp": self.world.now})
        self.world.stored = Stored(metadata, stored.status, stored.version + 1)

    @precondition(lambda self: not self.world.made and FOREIGN not in self.world.records)
    @rule(dice=DICE)
    def somebody_takes_the_name(self, dice: int) -> None:
        stored = self.world.stored
        if dice == 0 and stored is not None and stored.status.submission is None:
            foreign = a_record(State.SUCCESS, id=FOREIGN, time_initiated=wire_ms(NOON) - 10**7)
            self.world.records[FOREIGN] = foreign

    @invariant()
    def at_most_one_backup_is_made(self) -> None:
        assert len(self.world.made) <= 1

    @invariant()
    def no_backup_is_left_behind_by_an_object_that_was_to_take_it_along(self) -> None:
        assert self.world.orphans == []

    @invariant()
    def a_known_id_is_the_one_that_was_made(self) -> None:
        stored = self.world.stored
        if stored is not None and stored.status.id is not None:
            assert stored.status.id in self.world.made

    @invariant()
    def the_backup_of_somebody_else_is_left_alone(self) -> None:
        foreign = self.world.records.get(FOREIGN)
        assert foreign is None or foreign.status is State.SUCCESS

    def teardown(self) -> None:
        self.world.settle()
        assert len(self.world.made) <= 1
        left = [number for number in self.world.made if number in self.world.records]
        stored = self.world.stored
        if stored is not None:
            assert left in ([], [stored.status.id])
        assert self.world.orphans == []


class WithoutFence(Machine):
    """A server that takes a name twice, though never late: the looks alone must do."""

    has_fence = False
    policy = "Delete"


SETTINGS = hypothesis.settings(
    max_examples=250, stateful_step_count=30, deadline=None, derandomize=True
)
MACHINES = (Machine, WithoutFence)
PATIENT = pytest.mark.timeout(300)  # for a busy machine; alone each takes seconds


TRANSITIONS = {
    "nothing submitted": {
        "AddFinalizer",
        "RemoveFinalizer",
        "CheckName",
        "WriteAhead",
        "Report",
        "Rest",
    },
    "attempt stored": {"AddFinalizer", "Submit"},
    "answered": {"Adopt"},
    "not sent": {"WriteAhead", "Report"},
    "refused": {"WriteAhead", "LookForLost", "Adopt", "Report"},
    "outcome unknown": {"AddFinalizer", "LookForLost", "Adopt", "WriteAhead", "Report"},
    "id stored": {"AddFinalizer", "RemoveFinalizer", "FetchRecord", "DeleteRecord", "Report"},
    "being deleted": {"LookForLost", "RemoveFinalizer", "Report"},
}
"""The steps that each stage leads to; one that is never taken here is a way nobody has tried."""

SELDOM_TAKEN = {
    "attempt stored": {"RemoveFinalizer", "Report", "Rest"},
    "answered": {"AddFinalizer", "RemoveFinalizer"},
    "not sent": {"AddFinalizer", "RemoveFinalizer", "Rest"},
    "refused": {"AddFinalizer", "RemoveFinalizer", "Rest"},
    "outcome unknown": {"RemoveFinalizer", "Rest"},
    "id stored": {"Rest"},
    "being deleted": {"Adopt", "FetchRecord", "DeleteRecord", "Rest"},
}
"""Steps that need two rare events in a row; the table shows them where they came about."""


def tell_rare_stories() -> None:
    """Take by hand what a walk at random takes once in a thousand stories, or not at all."""
    for fault in ("", "lost after"):
        for steps in (2, 3, 5):  # the wish for a finalizer meets every stage of a submission
            world = World(a_spec(deletion_policy="Retain"), has_fence=True)
            world.next_fault = fault
            world.reconcile(steps)
            world.change_spec(deletion_policy="Delete")
            world.cached = world.stored
            world.reconcile(1)
            world.settle()
            assert world.made == [1]
    world = World(a_spec(), has_fence=True)
    world.is_busy = True
    for _ in range(3):
        world.reconcile(6)
        world.now += timedelta(seconds=20)
    world.settle()
    assert world.made == [1]


DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "operator.md"
MOST_ROUNDS = 6  # one takes nearly every transition; what six do not take is never taken


def pairs_of(table: dict[str, set[str]]) -> set[tuple[str, str]]:
    return {(stage, step) for stage, steps in table.items() for step in steps}


@PATIENT
def test_no_order_of_events_costs_a_backup_and_every_transition_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    TAKEN.clear()  # the stories below take some as well
    tell_rare_stories()
    wanted = pairs_of(TRANSITIONS)
    for is_first in (True, *[False] * (MOST_ROUNDS - 1)):
        rules = hypothesis.settings(SETTINGS, derandomize=is_first)
        for machine in MACHINES:
            run_state_machine_as_test(machine, settings=rules)
        if wanted <= set(TAKEN):
            break
    lines = ["| stage | step | taken |", "|---|---|---|"]
    lines += [f"| {stage} | {step} | {TAKEN[stage, step]} |" for stage, step in sorted(TAKEN)]
    with capsys.disabled():
        sys.stdout.write("\n\n" + "\n".join(lines) + "\n")
    assert wanted - set(TAKEN) == set()
    assert set(TAKEN) - wanted <= pairs_of(SELDOM_TAKEN)


def render_transitions() -> str:
    """Lay the two tables out as Markdown, for docs/operator.md."""
    lines = ["| stage | steps taken | steps that need two rare events in a row |", "|---|---|---|"]
    for stage, steps in TRANSITIONS.items():
        seldom = ", ".join(sorted(SELDOM_TAKEN.get(stage, ())))
        lines.append(f"| {stage} | {', '.join(sorted(steps))} | {seldom} |")
    return "\n".join(lines)


def test_the_documentation_has_the_transitions() -> None:
    assert render_transitions() in DOCUMENTATION.read_text()


def test_a_plain_world_ends_with_one_backup() -> None:
    world = World(a_spec(), has_fence=True)
    world.settle()
    assert world.made == [1]
    assert world.stored is not None
    assert world.stored.status.id == 1
    assert world.stored.status.type is BackupType.CONFIG


def test_a_request_thought_lost_that_overtakes_its_repetition_is_adopted() -> None:
    world = World(a_spec(), has_fence=True)
    world.next_fault = "late"
    world.reconcile(5)  # nothing is found, for the console has not got round to it
    world.now += SETTLE
    world.settle()

    assert world.made == [1]
    assert world.stored is not None
    assert world.stored.status.id == 1
    assert world.stored.status.submission is not None
    assert world.stored.status.submission.attempts == 2
