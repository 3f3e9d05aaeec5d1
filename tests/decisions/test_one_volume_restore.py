"""One restore of volumes per Restore: crash anywhere, lose any answer, nothing is written twice."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from backup_api.extensions.volumes import (
    UNFINISHED,
    CreateVolumeRestore,
    VolumeRestoreRecord,
    VolumeRestoreStatus,
)
from backup_operator.decisions.restore import decide_restore
from backup_operator.decisions.restore_facts import (
    AdoptVolumes,
    CancelVolumes,
    CreateVolumes,
    FindVolumes,
    KeepRestore,
    LookAtVolumes,
    PlanVolumes,
    ReportRestore,
    RestoreMemory,
    RestRestore,
    VolumesPlanned,
    VolumesView,
    WriteVolumesAhead,
)
from backup_operator.decisions.restore_status import build_restore_status
from fixtures.facts import ENGINE, SECOND, wire_ms
from restorefacts.machine import RestoreMachine
from restorefacts.volumes import (
    CANCELLING,
    a_plan,
    a_record,
    applied,
)


class OneVolumeRestore(RestoreMachine):
    """An engine that knows keys, may lose answers, and crashes of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = applied()
        self.records: dict[str, VolumeRestoreRecord] = {}

    def take_step(self) -> bool:  # noqa: C901 - one case for each kind of step
        facts = self.look()
        decision = decide_restore(self.wanted, facts, self.now)
        memory, is_lost = self.memory, self.loses_answer
        answer: dict[str, Any] = {}
        match decision:
            case RestRestore():
                return False
            case ReportRestore(standing):
                self.status = build_restore_status(facts, standing, self.now)
                return standing.is_over and self.kept
            case KeepRestore(wanted):
                self.kept = wanted
                return True
            case WriteVolumesAhead(submission, launch, standing):
                ahead = build_restore_status(facts, standing, self.now)
                change = {"submission": submission, "launch": launch, "engine": ENGINE}
                self.status = ahead.model_copy(update=change)
                self.memory = replace(memory, unsent_attempt=1, refusal=None)
                return True
            case AdoptVolumes(record):
                self.status = self.status.model_copy(update={"id": record.id})
                self.memory = RestoreMemory(volumes=VolumesView(self.now, record))
                return True
            case PlanVolumes():
                answer = {"planned": VolumesPlanned(self.now, a_plan())}
            case CreateVolumes(body):
                memory = replace(memory, unsent_attempt=0)
                answer = {"restored": self._create(body)}
            case FindVolumes(key):
                first = memory.first_look_at or self.now
                lost = VolumesView(self.now, self.records.get(key))
                answer = {"lost": lost, "first_look_at": first}
            case LookAtVolumes():
                (record,) = self.records.values()
                answer = {"volumes": VolumesView(self.now, record)}
            case CancelVolumes():
                ((key, record),) = self.records.items()
                if record.status in UNFINISHED:
                    record = record.model_copy(update={"status": CANCELLING})
                    self.records[key] = record
                answer = {"volumes": VolumesView(self.now, record)}
            case _:
                raise AssertionError(decision)
        self.memory = memory if is_lost else replace(memory, **answer)
        self.loses_answer = False
        return True

    def _create(self, body: CreateVolumeRestore) -> VolumeRestoreRecord:
        assert body.key is not None
        assert not self.wanted.cancel
        assert self.deleted_at is None
        return self.records.setdefault(body.key, a_record(key=body.key))

    @rule(is_good=st.booleans())
    def what_runs_ends(self, is_good: bool) -> None:
        ends = VolumeRestoreStatus.SUCCESS if is_good else VolumeRestoreStatus.FAILED
        for key, record in self.records.items():
            if record.status is CANCELLING:
                ended = VolumeRestoreStatus.CANCELLED
            elif record.status in UNFINISHED:
                ended = ends
            else:
                continue
            self.records[key] = a_record(ended, key=key, time_completed=wire_ms(self.now))

    @precondition(lambda self: not self.wanted.cancel)
    @rule()
    def somebody_cancels_it(self) -> None:
        self.wanted = applied(cancel=True)

    @invariant()
    def there_is_one_restore_at_most(self) -> None:
        assert len(self.records) <= 1

    def teardown(self) -> None:
        """Once the faults stop, it ends; nothing goes on writing that nobody wants."""
        self.loses_answer = False
        for _ in range(20):
            self.reconcile(12)
            is_wanted = self.deleted_at is None and not self.wanted.cancel
            if is_wanted or any(one.status is CANCELLING for one in self.records.values()):
                self.what_runs_ends(is_good=True)
            self.now += 15 * SECOND
        assert not self.kept
        assert all(one.status not in UNFINISHED for one in self.records.values())
        if self.deleted_at is None:
            assert self.status.phase in {"Succeeded", "Failed", "Cancelled"}


TestOneVolumeRestore = OneVolumeRestore.TestCase
TestOneVolumeRestore.settings = settings(max_examples=60, stateful_step_count=25)
