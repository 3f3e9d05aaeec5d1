"""What may happen to a Backup, in any order: rules and invariants of the state machine."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from backup_api.backups import LEAVING, RUNNING
from backup_api.backups import RecordStatus as State
from backup_operator.decisions.facts import Recollection
from fixtures.facts import NOON, a_record, a_spec, wire_ms
from submissions.world import Stored, World

FOREIGN = 1000
"""Ids from here on are of backups that nobody asked for through us."""
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
