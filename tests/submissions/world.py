"""One Backup, one engine and one operator, as values: the real decisions over a made-up world."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from backup_api.backups import LEAVING, RUNNING, BackupRecord, CreateBackup
from backup_api.backups import RecordStatus as State
from backup_api.errors import CreateBackupErrors, EndpointErrors
from backup_operator.decisions.backup import decide
from backup_operator.decisions.facts import (
    ArchiveFinding,
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
    FetchVerification,
    LookForLost,
    RemoveFinalizer,
    Report,
    Rest,
    Standing,
    Submit,
    WriteAhead,
)
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.group import FINALIZER
from backup_operator.resources.parts import ConditionStatus, ObjectMetadata
from fixtures.facts import ENGINE, NAME, NOON, a_record, wire_ms

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
            case FetchVerification():
                finding = ArchiveFinding("StorageFull", "no space is left")
                self.memory = replace(self.memory, finding=finding)
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
