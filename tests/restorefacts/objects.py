"""Restores of objects: their specs and records."""

from typing import Any

from backup_api.backups import BackupType
from backup_api.restores import (
    RestoreRecord,
)
from backup_api.restores import RestoreStatus as WireStatus
from backup_operator.decisions.facts import Trouble
from backup_operator.resources.restore import RestoreSpec
from fixtures.facts import NOON, wire_ms

GROUPS = ("DEPLOYMENT_CONFIG",)
TROUBLE = Trouble("EngineUnreachable", "gone")


def a_spec(**members: Any) -> RestoreSpec:  # noqa: ANN401
    return RestoreSpec.model_validate({"backupId": 118, "groups": GROUPS, **members})


def a_record(status: WireStatus = WireStatus.PENDING, **members: Any) -> RestoreRecord:  # noqa: ANN401
    given = {
        "id": 7,
        "backup_id": 118,
        "backup_name": "old",
        "backup_version": "7.5.0",
        "backup_type": BackupType.CONFIG,
        "groups": GROUPS,
        "time_initiated": wire_ms(NOON),
        **members,
    }
    return RestoreRecord.model_validate({**given, "status": status})
