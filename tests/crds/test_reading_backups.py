from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_api.backups import BackupType, RecordStatus
from backup_operator.resources.backup import BackupResource, BackupSpec, DeletionPolicy
from backup_operator.resources.backup_status import BackupStatus, Phase, Submission
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import FORCE_DELETE_ANNOTATION
from backup_operator.resources.parts import (
    Condition,
    ConditionStatus,
    ConditionType,
    ObjectMetadata,
    format_timestamp,
)
from backup_operator.resources.reading import read_status

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Succeeded",
    "message": "done",
    "lastTransitionTime": "2026-11-23T12:00:00Z",
}


def a_body(
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: object,
) -> dict[str, Any]:
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": "Backup",
        "metadata": {
            "name": "pre-upgrade",
            "namespace": "ops",
            "uid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
            "generation": 3,
            "resourceVersion": "77",
            **metadata,
        },
        "spec": {"backupType": "CONFIG"} if spec is None else spec,
    } | ({} if status is None else {"status": status})


def problems_of(spec: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidSpecError) as caught:
        BackupResource.from_body(a_body(spec))
    return {problem.field: str(problem) for problem in caught.value.problems}


def test_the_shortest_spec_gets_the_documented_defaults() -> None:
    backup = BackupResource.from_body(a_body())

    assert backup.spec == BackupSpec(backup_type=BackupType.CONFIG)
    assert backup.spec.configuration_id == 1
    assert backup.spec.deletion_policy is DeletionPolicy.RETAIN
    assert (backup.spec.busy_timeout, backup.spec.timeout) == (
        timedelta(hours=1),
        timedelta(hours=6),
    )
    assert not backup.spec.deploy_staged
    assert not backup.spec.cancel
    assert backup.spec.fields is None
    assert backup.status == BackupStatus()
    assert backup.unreadable_status == ()


def test_every_member_of_a_full_spec_is_read() -> None:
    backup = BackupResource.from_body(
        a_body(
            {
                "backupType": "DATA",
                "name": "pre-upgrade_2026.11",
                "configurationId": 2,
                "description": "before",
                "hostname": "ep2",
                "fields": ["id", "intiated_by"],
                "engineRef": {"name": "console"},
                "deletionPolicy": "Delete",
                "deployStaged": True,
                "busyTimeout": "90s",
                "timeout": "1h30m",
                "cancel": True,
                "fromANewerVersion": 1,
            }
        )
    )

    assert backup.spec.backup_type is BackupType.DATA
    assert backup.spec.hostname == "ep2"
    assert backup.spec.fields == ("id", "intiated_by")
    assert backup.spec.engine_ref is not None
    assert backup.spec.engine_ref.name == "console"
    assert backup.spec.deletion_policy is DeletionPolicy.DELETE
    assert backup.spec.timeout == timedelta(minutes=90)
    assert backup.requested_name == "pre-upgrade_2026.11"


def test_a_read_spec_is_written_back_as_it_was() -> None:
    spec = {
        "backupType": "DATA",
        "name": "x",
        "configurationId": 1,
        "hostId": 103,
        "fields": ["status"],
        "engineRef": {"name": "console"},
        "deletionPolicy": "Retain",
        "deployStaged": False,
        "busyTimeout": "0s",
        "timeout": "1h30m5s",
        "cancel": False,
    }
    assert BackupResource.from_body(a_body(spec)).spec.to_body() == spec


def test_a_body_may_be_any_mapping() -> None:
    body = a_body({"backupType": "CONFIG", "engineRef": MappingProxyType({"name": "console"})})
    assert BackupResource.from_body(MappingProxyType(body)) == BackupResource.from_body(
        a_body({"backupType": "CONFIG", "engineRef": {"name": "console"}})
    )


def test_an_object_older_than_a_rule_names_every_broken_field() -> None:
    problems = problems_of(
        {
            "name": "a b",
            "hostId": "53",
            "fields": ["id", "size"],
            "engineRef": {"name": "-console"},
            "busyTimeout": "721h",
            "timeout": "1 hour",
            "description": "x" * 256,
        }
    )

    assert problems == {
        "spec.backupType": "spec.backupType: expected a value, found nothing",
        "spec.name": (
            "spec.name: expected 1 to 100 of letters, digits, '_', '-' and '.', found 'a b'"
        ),
        "spec.hostId": "spec.hostId: expected a valid integer, found '53'",
        "spec.fields[1]": problems["spec.fields[1]"],
        "spec.engineRef.name": problems["spec.engineRef.name"],
        "spec.busyTimeout": (
            "spec.busyTimeout: expected a length of time from 0s to 720h, found '721h'"
        ),
        "spec.timeout": (
            "spec.timeout: expected a length of time in hours, minutes and seconds, such as 90s or"
            " 1h30m, found '1 hour'"
        ),
        "spec.description": problems["spec.description"],
    }
    assert "one of id, configuration_id," in problems["spec.fields[1]"]
    assert "at most 255 characters" in problems["spec.description"]
    assert len(problems["spec.description"]) < 200, "what was found is shown in part only"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"backupType": "config"}, "spec.backupType"),
        ({"backupType": "CONFIG", "hostId": 53, "hostname": "console1"}, "spec"),
        ({"backupType": "CONFIG", "configurationId": 0}, "spec.configurationId"),
        ({"backupType": "CONFIG", "hostId": True}, "spec.hostId"),
        ({"backupType": "CONFIG", "hostId": 2**63}, "spec.hostId"),
        ({"backupType": "CONFIG", "cancel": "true"}, "spec.cancel"),
        ({"backupType": "CONFIG", "name": "ends-with-newline\n"}, "spec.name"),
        ({"backupType": "CONFIG", "name": ""}, "spec.name"),
        ({"backupType": "CONFIG", "timeout": "0s"}, "spec.timeout"),
        ({"backupType": "CONFIG", "timeout": ""}, "spec.timeout"),
        ({"backupType": "CONFIG", "timeout": 60}, "spec.timeout"),
        ("CONFIG", "spec"),
    ],
)
def test_a_broken_rule_is_reported_at_its_field(spec: Mapping[str, Any], field: str) -> None:
    problems = problems_of(spec)
    assert set(problems) == {field}


def test_the_error_names_the_object_and_what_to_do() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        BackupResource.from_body(a_body({"backupType": "FULL"}))

    assert str(caught.value) == (
        "Backup ops/pre-upgrade: spec.backupType: expected 'CONFIG' or 'DATA', found 'FULL';"
        " correct the manifest"
    )


def test_a_broken_status_is_read_as_far_as_it_goes() -> None:
    backup = BackupResource.from_body(
        a_body(
            status={
                "phase": "Dancing",
                "id": 118,
                "status": "SUCCESS",
                "isValid": "perhaps",
                "timeInitiated": "yesterday",
                "submission": {
                    "requestedName": "x",
                    "submittedAt": "2026-11-23T12:00:00Z",
                    "attempts": "many",
                },
                "failure": {"code": 1005},
                "conditions": ["broken", {**READY, "status": "Perhaps"}, READY, {"type": "Valid"}],
            }
        )
    )

    assert backup.status.id == 118
    assert backup.status.status is RecordStatus.SUCCESS
    assert backup.status.phase is None
    assert backup.status.failure is None, "it has no reason, and cannot do without"
    assert backup.status.submission == Submission(requested_name="x", submitted_at=NOON)
    assert [condition.type for condition in backup.status.conditions] == ["Ready"]
    assert backup.unreadable_status == (
        "status.conditions[0]",
        "status.conditions[1]",
        "status.conditions[3]",
        "status.failure",
        "status.isValid",
        "status.phase",
        "status.submission.attempts",
        "status.timeInitiated",
    )


@pytest.mark.parametrize("status", ["Succeeded", ["x"], 7])
def test_a_status_that_is_no_object_counts_as_absent(status: object) -> None:
    backup = BackupResource.from_body(a_body() | {"status": status})
    assert backup.status == BackupStatus()
    assert backup.unreadable_status == ("status",)


JSON: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 2**70, 1.5, "", "True", "Ready", "2026-11-23T12:00:00Z", [], [7], {}]
)
MEMBERS = tuple(
    str(field.alias)
    for model in (BackupStatus, Submission, Condition)
    for field in model.model_fields.values()
)


@given(
    st.dictionaries(
        st.sampled_from(MEMBERS),
        JSON
        | st.dictionaries(st.sampled_from(MEMBERS), JSON)
        | st.lists(st.dictionaries(st.sampled_from(MEMBERS), JSON), max_size=3),
    )
)
def test_no_status_stops_the_operator(status: dict[str, Any]) -> None:
    read, unreadable = read_status(BackupStatus, {"status": status})

    again, nothing = read_status(BackupStatus, {"status": read.to_body()})
    assert nothing == ()
    assert again == read
    assert all(path.startswith("status") for path in unreadable)


def test_the_metadata_of_a_broken_object_can_be_read_so_that_it_can_be_deleted() -> None:
    body = a_body(
        {},
        deletionTimestamp="2026-11-23T12:00:00Z",
        finalizers=["backup-operator.io/finalizer"],
        annotations={FORCE_DELETE_ANNOTATION: "2026-11-23T12:01:00Z"},
    )
    with pytest.raises(InvalidSpecError):
        BackupResource.from_body(body)

    metadata = ObjectMetadata.from_body(body)
    assert metadata.is_deleting
    assert metadata.deletion_timestamp == NOON
    assert metadata.finalizers == ("backup-operator.io/finalizer",)
    assert (metadata.generation, metadata.resource_version) == (3, "77")


def test_metadata_without_a_name_is_an_invalid_object_too() -> None:
    with pytest.raises(InvalidSpecError, match=r"metadata\.uid: expected a value"):
        ObjectMetadata.from_body({"kind": "Backup", "metadata": {"name": "x"}})


@pytest.mark.parametrize(
    ("annotations", "forced"), [({}, False), ({FORCE_DELETE_ANNOTATION: "2026-11-23"}, True)]
)
def test_the_annotation_forces_a_deletion(annotations: dict[str, str], *, forced: bool) -> None:
    assert BackupResource.from_body(a_body(annotations=annotations)).is_force_deleted is forced


def test_a_written_status_is_camel_case_json_without_nulls() -> None:
    status = BackupStatus(
        phase=Phase.IN_PROGRESS,
        size_on_disk=0,
        is_valid=False,
        time_initiated=NOON + timedelta(milliseconds=345),
        submission=Submission(
            requested_name="x", submitted_at=NOON.astimezone(timezone(timedelta(hours=1)))
        ),
        conditions=(
            Condition(
                type=ConditionType.READY,
                status=ConditionStatus.FALSE,
                reason="InProgress",
                message="",
                last_transition_time=NOON,
            ),
        ),
    )

    assert status.to_body() == {
        "phase": "InProgress",
        "sizeOnDisk": 0,
        "isValid": False,
        "timeInitiated": "2026-11-23T12:00:00.345Z",
        "submission": {
            "requestedName": "x",
            "submittedAt": "2026-11-23T12:00:00Z",
            "attempts": 1,
        },
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "InProgress",
                "message": "",
                "lastTransitionTime": "2026-11-23T12:00:00Z",
            }
        ],
    }
    assert read_status(BackupStatus, {"status": status.to_body()}) == (status, ())


def test_a_condition_is_found_by_its_type() -> None:
    status, _ = read_status(BackupStatus, {"status": {"conditions": [READY]}})

    found = status.find_condition(ConditionType.READY)
    assert found is not None
    assert found.status is ConditionStatus.TRUE
    assert status.find_condition(ConditionType.STALLED) is None


def test_times_keep_milliseconds_and_drop_what_is_finer() -> None:
    assert format_timestamp(NOON + timedelta(microseconds=999)) == "2026-11-23T12:00:00Z"
    assert format_timestamp(NOON + timedelta(microseconds=1999)) == "2026-11-23T12:00:00.001Z"
