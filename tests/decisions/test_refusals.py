"""What a user reads about each refusal of POST /backups (spec §3.2)."""

import re

import pytest

from backup_api.backups import RecordStatus
from backup_api.errors import CreateBackupErrors, ErrorClass
from backup_operator.decisions.backup import decide
from backup_operator.decisions.facts import ArchiveFinding, EngineSeen, Recollection, Refusal
from backup_operator.decisions.refusals import advise
from backup_operator.decisions.status import build_status
from backup_operator.decisions.steps import FetchVerification, Report
from backup_operator.resources.backup_status import BackupStatus, Failure, Phase
from backup_operator.resources.parts import ConditionStatus
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

CAMEL_CASE = re.compile(r"[A-Z][a-z0-9]+([A-Z][a-z0-9]+)*")

FINAL = {
    CreateBackupErrors.NAME_EMPTY: ("NameEmpty", "spec.name", "leave spec.name out"),
    CreateBackupErrors.NAME_TOO_LONG: ("NameTooLong", "spec.name", "shorter name"),
    CreateBackupErrors.NAME_CHARACTERS: ("NameCharacters", "spec.name", "only letters"),
    CreateBackupErrors.NAME_TAKEN: ("NameInUse", "spec.name", "another name"),
    CreateBackupErrors.CONFIGURATION_MISSING: (
        "ConfigurationMissing",
        "spec.configurationId",
        "configurationId 1",
    ),
    CreateBackupErrors.CONFIGURATION_UNKNOWN: (
        "ConfigurationUnknown",
        "spec.configurationId",
        "deployed configuration",
    ),
    CreateBackupErrors.DESCRIPTION_TOO_LONG: (
        "DescriptionTooLong",
        "spec.description",
        "shorter description",
    ),
    CreateBackupErrors.HOST_UNKNOWN: ("HostUnknown", "spec.hostname", "status of the BackupEngine"),
    CreateBackupErrors.HOST_NOT_ACTIVE: ("HostNotActive", "spec.hostname", "back to status Active"),
    CreateBackupErrors.NOT_THE_CONSOLE: ("NotTheConsole", "spec.hostname", "backupType DATA"),
    CreateBackupErrors.NO_DATA_ON_HOST: ("NoDataOnHost", "spec.hostname", "stores event or flow"),
    CreateBackupErrors.HOST_NOT_ENABLED: ("HostNotEnabled", "spec.hostname", "deploy that"),
}
"""Reason, field and advice of every final row."""


def refused(row: CreateBackupErrors) -> BackupStatus:
    """The status after the engine has refused the first attempt with this row."""
    answer = Refusal(1, NOON, row.http_status, row.code, row, row.error_class, "no")
    memory = Recollection(answer=answer, certain_through=1)
    stored = a_status(submission=a_submission(), engine=ENGINE)
    decision = decide(a_spec(), observed(stored, memory=memory), NOON + SECOND)
    assert isinstance(decision, Report)
    return build_status(a_spec(), 1, stored, decision.standing, NOON + SECOND)


def test_the_table_has_every_final_row() -> None:
    assert set(FINAL) == {row for row in CreateBackupErrors if row.error_class is ErrorClass.FINAL}


@pytest.mark.parametrize("row", FINAL, ids=lambda row: row.name)
def test_a_final_refusal_tells_reason_code_field_and_what_to_do(row: CreateBackupErrors) -> None:
    reason, field, advice = FINAL[row]
    status = refused(row)

    failed = status.find_condition("Failed")
    assert failed is not None
    assert (failed.status, failed.reason) == (ConditionStatus.TRUE, reason)
    assert CAMEL_CASE.fullmatch(reason)
    assert status.failure is not None
    assert (status.failure.http_status, status.failure.code) == (row.http_status, row.code)
    assert f"HTTP {row.http_status}, code {row.code}" in failed.message
    assert failed.message.startswith(f"{field}: ")
    assert advice in failed.message
    assert status.phase is Phase.FAILED
    assert status.terminated_at == NOON + SECOND
    assert status.started_at is None


@pytest.mark.parametrize(
    "row", [row for row in CreateBackupErrors if row not in FINAL], ids=lambda row: row.name
)
def test_any_other_refusal_waits_and_tells_its_code(row: CreateBackupErrors) -> None:
    status = refused(row)
    ready = status.find_condition("Ready")

    assert ready is not None
    assert status.phase is Phase.PENDING
    assert f"code {row.code}" in ready.message
    assert CAMEL_CASE.fullmatch(ready.reason)
    assert status.terminated_at is None


def test_an_unlisted_refusal_gets_general_advice() -> None:
    assert "create another Backup" in advise(None)


def test_the_times_of_a_backup_are_told_whatever_fields_are_asked_for() -> None:
    wanted = a_spec(fields=["size_on_disk"])
    running = a_record()
    done = a_record(RecordStatus.SUCCESS, time_completed=running.time_initiated)
    status = a_status(submission=a_submission(), engine=ENGINE, id=7)
    for record in (running, done):
        seen = observed(status, record=record)
        decision = decide(wanted, seen, NOON + SECOND)
        assert isinstance(decision, Report)
        status = build_status(wanted, 1, status, decision.standing, NOON + SECOND)
    assert status.time_initiated is None
    assert (status.started_at, status.terminated_at) == (NOON, NOON)


def test_the_reason_of_an_invalid_archive_is_asked_for_once_and_told() -> None:
    wanted = a_spec()
    invalid = a_record(RecordStatus.SUCCESS, is_valid=False)
    seen = submitted(record=invalid)
    assert decide(wanted, seen, NOON) == FetchVerification(7)

    told = Recollection(finding=ArchiveFinding("ChecksumMismatch", "parts/3 has changed."))
    known = observed(seen.status, record=invalid, memory=told)
    decision = decide(wanted, known, NOON)
    assert isinstance(decision, Report)
    valid = build_status(wanted, 1, seen.status, decision.standing, NOON).find_condition("Valid")
    assert valid is not None
    assert (valid.status, valid.reason) == (ConditionStatus.FALSE, "ChecksumMismatch")
    assert valid.message.startswith("parts/3 has changed. The engine cannot use")


def test_why_a_backup_failed_is_asked_for_once_and_told() -> None:
    wanted = a_spec()
    broken = a_record(RecordStatus.FAILED)
    seen = submitted(record=broken)
    assert decide(wanted, seen, NOON) == FetchVerification(7)

    told = Recollection(finding=ArchiveFinding("UnknownKind", "no kind is called deploymnts."))
    decision = decide(wanted, observed(seen.status, record=broken, memory=told), NOON)
    assert isinstance(decision, Report)
    status = build_status(wanted, 1, seen.status, decision.standing, NOON)
    assert status.failure is not None
    assert status.failure.reason == "BackupFailed"
    assert status.failure.message == (
        "The engine reports that the backup failed: UnknownKind: no kind is called deploymnts."
        " Mend the cause and create another Backup."
    )

    restarted = decide(wanted, observed(status, record=broken), NOON + SECOND)
    assert isinstance(restarted, Report)
    assert build_status(wanted, 1, status, restarted.standing, NOON + SECOND) == status


def test_nobody_is_asked_why_a_cancelled_or_late_backup_failed() -> None:
    cancelled = submitted(record=a_record(RecordStatus.FAILED), status=RecordStatus.CANCELLING)
    assert isinstance(decide(a_spec(cancel=True), cancelled, NOON), Report)
    late = submitted(
        record=a_record(RecordStatus.FAILED), failure=Failure(reason="DeadlineExceeded")
    )
    assert isinstance(decide(a_spec(), late, NOON), Report)


@pytest.mark.parametrize("reason", [None, "not a reason", ""])
def test_an_engine_that_names_no_reason_leaves_the_general_one(reason: str | None) -> None:
    invalid = a_record(RecordStatus.SUCCESS, is_valid=False)
    seen = submitted(record=invalid)
    known = observed(
        seen.status, record=invalid, memory=Recollection(finding=ArchiveFinding(reason, "words"))
    )
    decision = decide(a_spec(), known, NOON)
    assert isinstance(decision, Report)
    status = build_status(a_spec(), 1, seen.status, decision.standing, NOON)
    valid = status.find_condition("Valid")
    assert valid is not None
    assert valid.reason == "ArchiveInvalid"


def test_an_appliance_is_never_asked_for_a_reason_twice() -> None:
    invalid = a_record(RecordStatus.SUCCESS, is_valid=False)
    seen = submitted(record=invalid)
    deaf = observed(
        seen.status, record=invalid, engine=EngineSeen(ENGINE, offers_verification=False)
    )
    assert isinstance(decide(a_spec(), deaf, NOON), Report)
