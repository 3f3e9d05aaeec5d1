"""What a BackupHost is told to be, from what its engine says."""

from typing import Any

import pytest

from backup_api.extensions.hosts import EngineHostRecord
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.decisions.host import HostSeen, build_host_status, judge_host
from backup_operator.resources.host import BackupHostSpec
from backup_operator.resources.host_status import BackupHostStatus
from fixtures.facts import ENGINE, NOON, some_metadata

CONSOLE = BackupHostSpec.model_validate({"type": "Console"})


def a_host(**members: Any) -> EngineHostRecord:  # noqa: ANN401
    return EngineHostRecord.model_validate(
        {
            "id": 1,
            "hostname": "console",
            "type": "Console",
            "resource_name": "backup",
            "resource_uid": "u-1",
            "staged_generation": 1,
            "deployed_generation": 1,
            "staged_status": "Active",
            "deployed_status": "Active",
            **members,
        }
    )


@pytest.mark.parametrize(
    ("members", "reason", "flags"),
    [
        ({}, "InForce", "SDR"),
        ({"staged_generation": None}, "NotStaged", ""),
        ({"deployed_generation": None, "is_deploy_pending": True}, "PendingDeploy", "S"),
        ({"is_deploy_pending": True}, "PendingDeploy", "S"),
        ({"deployed_status": "New"}, "NotActive", "SD"),
        ({"is_deploy_pending": True, "reason": "NoSuchClaim"}, "PendingDeploy", "S"),
        ({"reason": "UnknownKind", "message": "'apes'"}, "InForce", "SDR"),
        (
            {"deployed_status": "ADD_FAILED_CHECK_LOGS", "reason": "NoSuchClaim"},
            "NoSuchClaim",
            "SD!",
        ),
        ({"resource_uid": "another"}, "AnotherIsConsole", "!"),
        ({"resource_uid": None, "resource_name": None}, "NotStaged", ""),
    ],
)
def test_the_engine_decides(members: dict[str, Any], reason: str, flags: str) -> None:
    seen = HostSeen(some_metadata(), BackupHostStatus(), EngineSeen(ENGINE), (a_host(**members),))
    standing = judge_host(CONSOLE, seen)
    status = build_host_status(seen, standing, NOON)
    held = {one.type: one.status.value == "True" for one in status.conditions}

    assert standing.reason == reason
    assert held == {
        "Ready": "R" in flags,
        "Reconciling": "R" not in flags and "!" not in flags,
        "Stalled": "!" in flags,
        "Staged": "S" in flags,
        "Deployed": "D" in flags,
    }


@pytest.mark.parametrize("is_deploy_pending", [True, False])
def test_what_a_deploy_remarked_on_is_repeated(is_deploy_pending: bool) -> None:
    host = a_host(
        reason="UnknownKind",
        message="kinds.include: 'apes' names no kind",
        is_deploy_pending=is_deploy_pending,
    )
    seen = HostSeen(some_metadata(), BackupHostStatus(), EngineSeen(ENGINE), (host,))

    told = judge_host(CONSOLE, seen).message

    assert told.endswith("The last deploy found: UnknownKind: kinds.include: 'apes' names no kind")


def test_an_appliance_has_no_use_for_it() -> None:
    seen = HostSeen(some_metadata(), BackupHostStatus(), EngineSeen(ENGINE), None)
    assert judge_host(CONSOLE, seen).reason == "NotInCluster"


def test_what_was_told_stays_while_the_engine_is_away() -> None:
    seen = HostSeen(some_metadata(), BackupHostStatus(), EngineSeen(ENGINE), (a_host(),))
    status = build_host_status(seen, judge_host(CONSOLE, seen), NOON)
    away = HostSeen(
        some_metadata(), status, EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    )
    told = build_host_status(away, judge_host(CONSOLE, away), NOON)
    assert (told.host_id, told.hostname) == (1, "console")
