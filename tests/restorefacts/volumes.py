"""Restores of volumes: their specs, plans and records, and decisions about them as told."""

from datetime import datetime
from typing import Any

from backup_api.extensions.volume_plans import VolumePlan
from backup_api.extensions.volumes import (
    VolumeRestoreRecord,
    VolumeRestoreStatus,
)
from backup_operator.decisions.restore_facts import (
    ReportRestore,
    RestoreMemory,
    RestoreSeen,
    VolumesPlanned,
    VolumesView,
)
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestoreStatus
from fixtures.facts import NOON, wire_ms
from restorefacts.facts import seen

GIB = 1024**3
LAUNCH = {"requested_at": NOON, "digest": "sha256:0123456789"}
ASKED = {"submission": {"backup_id": 118, "submitted_at": NOON}, "launch": LAUNCH}
CANCELLING = VolumeRestoreStatus.CANCELLING


def a_spec(**members: Any) -> RestoreSpec:  # noqa: ANN401
    volume = {"claim": "data", "targetClaim": "copy", "createClaim": True}
    return RestoreSpec.model_validate({"backupId": 118, "volumes": [volume], **members})


def applied(**members: Any) -> RestoreSpec:  # noqa: ANN401
    return a_spec(**{"mode": "Apply", "autoApprove": True, **members})


def a_plan(**members: Any) -> VolumePlan:  # noqa: ANN401
    volume = {
        "namespace": "ops",
        "claim": "data",
        "target_namespace": "ops",
        "target_claim": "copy",
        "create_claim": True,
        "size": 3 * GIB,
        "files": 12,
        **members,
    }
    return VolumePlan.model_validate(
        {
            "backup_id": 118,
            "backup_name": "nightly",
            "backup_time": wire_ms(NOON),
            "digest": "sha256:0123456789",
            "volumes": [volume],
        }
    )


def a_record(
    status: VolumeRestoreStatus = VolumeRestoreStatus.IN_PROGRESS,
    **members: Any,  # noqa: ANN401
) -> VolumeRestoreRecord:
    ended = {VolumeRestoreStatus.SUCCESS: "SUCCESS", VolumeRestoreStatus.FAILED: "FAILED"}
    volume = {
        "namespace": "ops",
        "claim": "data",
        "target_namespace": "ops",
        "target_claim": "copy",
        "status": ended.get(status, "IN_PROGRESS"),
        "size": 3 * GIB,
        "files": 12,
        "bytes_done": GIB,
        "files_done": 4,
    }
    given = {"id": 7, "backup_id": 118, "host_id": 2, "volumes": [volume], **members}
    return VolumeRestoreRecord.model_validate({**given, "status": status})


def with_plan(plan: VolumePlan | None = None, **more: Any) -> RestoreSeen:  # noqa: ANN401
    memory = RestoreMemory(planned=VolumesPlanned(NOON, plan or a_plan()))
    return seen(memory=memory, **more)


def running(record: VolumeRestoreRecord | None, at: datetime = NOON, **more: Any) -> RestoreSeen:  # noqa: ANN401
    status = RestoreStatus.model_validate({"id": 7, **ASKED})
    return seen(status, memory=RestoreMemory(volumes=VolumesView(at, record)), **more)


def told(decision: object) -> tuple[str, str]:
    assert isinstance(decision, ReportRestore), decision
    return decision.standing.reason, decision.standing.message
