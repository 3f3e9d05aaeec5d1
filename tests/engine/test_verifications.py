"""Whether an archive is any good, since when that is known, and why not."""

import pytest

from backup_api.backups import BackupRecord, BackupType, RecordStatus
from backup_api.extensions.verification import (
    ValidityCriterion,
    VerificationVerdict,
)
from backup_engine.records.backups import StoredBackup
from backup_engine.records.verifications import Verification
from backup_engine.verifications import build_verification
from localengine import LocalEngine

ROOT = "/api/backup_engine/backups"


def stored(
    status: RecordStatus, *, is_valid: bool = False, reason: str | None = None
) -> StoredBackup:
    record = BackupRecord(id=7, type=BackupType.CONFIG, status=status, is_valid=is_valid)
    return StoredBackup(
        record=record,
        archive_name="x.tar",
        archive_directory=None,
        failure_reason=reason,
        failure_message=reason and f"because of {reason}",
    )


@pytest.mark.parametrize(
    ("backup", "known", "verdict", "reason", "criterion"),
    [
        (stored(RecordStatus.IN_PROGRESS), None, "UNKNOWN", None, None),
        (stored(RecordStatus.FAILED, reason="Forbidden"), None, "UNKNOWN", "Forbidden", None),
        (
            stored(RecordStatus.SUCCESS, is_valid=True),
            "Verified",
            "VALID",
            "Verified",
            None,
        ),
        (
            stored(RecordStatus.SUCCESS),
            "SignerUnknown",
            "INVALID",
            "SignerUnknown",
            "SIGNATURE",
        ),
        (
            stored(RecordStatus.SUCCESS),
            "StorageUnreachable",
            "UNKNOWN",
            "StorageUnreachable",
            None,
        ),
        (
            stored(RecordStatus.MISSING),
            "Verified",
            "INVALID",
            "ArchiveMissing",
            "PRESENCE",
        ),
    ],
)
def test_the_verdict_follows_from_record_and_last_verification(
    backup: StoredBackup,
    known: str | None,
    verdict: str,
    reason: str | None,
    criterion: str | None,
) -> None:
    found = build_verification(backup, Verification(backup_id=7, reason=known))

    assert found.verdict is VerificationVerdict(verdict)
    assert found.reason == reason
    assert found.criterion is (ValidityCriterion(criterion) if criterion else None)


async def test_a_verification_is_told_and_asked_for(local: LocalEngine) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")

    told = (await local.send("GET", f"{ROOT}/{backup_id}/verification")).json()
    asked = await local.send("POST", f"{ROOT}/{backup_id}/verification")
    only = await local.send("GET", f"{ROOT}/{backup_id}/verification?fields=verdict")

    assert (told["backup_id"], told["verdict"]) == (backup_id, "VALID")
    assert asked.status_code == 202
    assert asked.json()["backup_id"] == backup_id
    assert only.json() == {"verdict": "VALID"}


async def test_what_has_no_archive_cannot_be_verified(resting: LocalEngine) -> None:
    backup_id = (await resting.create("first")).json()["id"]
    path = f"{ROOT}/{backup_id}/verification"

    refused = await resting.send("POST", path)
    unknown = [await resting.send(method, f"{ROOT}/99/verification") for method in ("GET", "POST")]

    assert (refused.status_code, refused.json()["code"]) == (422, 1005)
    assert [(each.status_code, each.json()["code"]) for each in unknown] == [(404, 1001)] * 2
    assert (await resting.send("GET", path)).json()["verdict"] == "UNKNOWN"
