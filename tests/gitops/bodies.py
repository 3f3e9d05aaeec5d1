"""A Backup in each of its standings, its status built by the operator's own rules."""

from datetime import timedelta
from typing import Any

from backup_api.backups import RecordStatus
from backup_api.errors import CreateBackupErrors
from backup_operator.decisions.backup import decide
from backup_operator.decisions.facts import (
    ArchiveFinding,
    EngineSeen,
    Observed,
    Recollection,
    RecordGone,
    Refusal,
    Trouble,
)
from backup_operator.decisions.status import build_status
from backup_operator.decisions.steps import Adopt, Report, Standing, WriteAhead
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus
from fixtures.facts import (
    ENGINE,
    NOON,
    SECOND,
    a_record,
    a_spec,
    a_status,
    a_submission,
    observed,
    submitted,
)
from gitops.kstatus import CURRENT, FAILED, IN_PROGRESS
from gitops.sample import Sample

ASKED = Recollection(finding=ArchiveFinding(None))


def standing_of(wanted: BackupSpec, seen: Observed) -> Standing:
    decision = decide(wanted, seen, NOON + SECOND)
    assert isinstance(decision, Report | Adopt | WriteAhead), decision
    return decision.standing


def a_body(wanted: BackupSpec, seen: Observed) -> dict[str, Any]:
    """The object after the operator has told where it stands."""
    status = build_status(wanted, 1, seen.status, standing_of(wanted, seen), NOON + SECOND)
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "Backup",
        "metadata": {"name": "backup", "namespace": "ops", "generation": 1},
        "spec": wanted.to_body(),
        "status": status.to_body(),
    }


def refused(row: CreateBackupErrors) -> Observed:
    answer = Refusal(1, NOON, row.http_status, row.code, row, row.error_class, "no")
    stored = a_status(submission=a_submission(), engine=ENGINE)
    return observed(stored, memory=Recollection(answer=answer, certain_through=1))


def recorded(status: RecordStatus, **members: object) -> Observed:
    seen = submitted(record=a_record(status, **members))
    return observed(seen.status, record=seen.record, memory=ASKED)


def finished_and_disturbed() -> Observed:
    seen = recorded(RecordStatus.SUCCESS)
    status = build_status(a_spec(), 1, seen.status, standing_of(a_spec(), seen), NOON)
    away = EngineSeen(ENGINE, Trouble("EngineUnreachable", "it is away"))
    return observed(status, record=seen.record, engine=away)


def waiting_for(reason: str, *, people: bool) -> Observed:
    return observed(engine=EngineSeen(None, Trouble(reason, "words", needs_people=people)))


def build_samples() -> list[Sample]:
    """Build one of each."""
    plain = a_spec()
    past = a_spec(timeout=timedelta(seconds=1))
    cancelling = a_spec(cancel=True)
    facts: list[tuple[str, BackupSpec, Observed, str]] = [
        (
            "pending, engine missing",
            plain,
            waiting_for("EngineNotFound", people=True),
            IN_PROGRESS,  # it begins by itself once the engine is there
        ),
        (
            "pending, engine away",
            plain,
            waiting_for("EngineUnreachable", people=False),
            IN_PROGRESS,
        ),
        ("pending, host busy", plain, refused(CreateBackupErrors.HOST_BUSY), IN_PROGRESS),
        ("initializing", plain, recorded(RecordStatus.INITIALIZING), IN_PROGRESS),
        ("running", plain, recorded(RecordStatus.IN_PROGRESS), IN_PROGRESS),
        ("succeeded", plain, recorded(RecordStatus.SUCCESS), CURRENT),
        ("archive not valid", plain, recorded(RecordStatus.SUCCESS, is_valid=False), FAILED),
        (
            "other version",
            plain,
            recorded(RecordStatus.SUCCESS, is_version_compatible=False),
            CURRENT,
        ),
        ("failed", plain, recorded(RecordStatus.FAILED), FAILED),
        ("refused", plain, refused(CreateBackupErrors.HOST_UNKNOWN), FAILED),
        ("past its deadline", past, recorded(RecordStatus.IN_PROGRESS), IN_PROGRESS),
        ("cancelling", plain, recorded(RecordStatus.CANCELLING), IN_PROGRESS),
        ("cancelled", cancelling, submitted(record=RecordGone()), FAILED),
        ("missing", plain, recorded(RecordStatus.MISSING), FAILED),
        ("vanished", plain, submitted(record=RecordGone()), FAILED),
        ("finished, engine away", plain, finished_and_disturbed(), IN_PROGRESS),
    ]
    samples = [
        Sample(name, a_body(wanted, seen), expected) for name, wanted, seen, expected in facts
    ]
    edited = a_body(plain, recorded(RecordStatus.SUCCESS))
    edited["metadata"]["generation"] = 2
    return [*samples, Sample("edited a moment ago", edited, IN_PROGRESS)]


SAMPLES = build_samples()
PHASES = {BackupStatus.model_validate(sample.body["status"]).phase for sample in SAMPLES}
