"""What happens to every Restore: it is reconciled, answers are lost, and programs crash."""

from datetime import datetime

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from backup_operator.decisions.restore_facts import RestoreMemory, RestoreSeen
from backup_operator.resources.restore_status import RestoreStatus
from fixtures.facts import NOON, SECOND, some_metadata
from restorefacts.facts import seen


class RestoreMachine(RuleBasedStateMachine):
    """One Restore; its engine and its steps are the business of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.status = RestoreStatus()
        self.memory = RestoreMemory()
        self.kept = False
        self.loses_answer = False
        self.deleted_at: datetime | None = None

    def look(self) -> RestoreSeen:
        """Return what is known now."""
        metadata = some_metadata(kept=self.kept, deleting=self.deleted_at)
        return seen(self.status, memory=self.memory, metadata=metadata)

    def take_step(self) -> bool:
        """Take one step; False: it rests."""
        raise NotImplementedError

    @rule(steps=st.integers(1, 12))
    def reconcile(self, steps: int) -> None:
        for _ in range(steps):
            if not self.take_step():
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

    @precondition(lambda self: self.deleted_at is None)
    @rule()
    def somebody_deletes_it(self) -> None:
        self.deleted_at = self.now
