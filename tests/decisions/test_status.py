"""What a status tells: mirrored members, conditions, and nothing new without a reason."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_api.about import SystemAbout
from backup_api.backups import RECORD_MEMBERS, BackupRecord, RecordStatus
from backup_api.hosts import HostRecord
from backup_operator.decisions.backup import decide
from backup_operator.decisions.conditions import Judgement, merge_conditions
from backup_operator.decisions.engine_status import EngineFacts, build_engine_status
from backup_operator.decisions.facts import ArchiveFinding, Recollection, Trouble
from backup_operator.decisions.merge_patch import build_merge_patch
from backup_operator.decisions.standings import waiting
from backup_operator.decisions.status import build_status, mirror
from backup_operator.decisions.steps import Report, Standing
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.engine import BackupEngineStatus
from backup_operator.resources.parts import ConditionStatus
from fixtures.facts import HOUR, NOON, a_condition, a_record, a_spec, submitted, wire_ms

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def told(status: RecordStatus, **members: object) -> dict[str, str]:
    """The conditions of a Backup whose record is in this state."""
    seen = submitted(record=a_record(status, **members))
    asked = Recollection(finding=ArchiveFinding(None))
    decision = decide(a_spec(), replace(seen, memory=asked), NOON)
    assert isinstance(decision, Report)
    stored = build_status(a_spec(), 1, BackupStatus(), decision.standing, NOON)
    return {one.type: one.status.value for one in stored.conditions}


@pytest.mark.parametrize(
    ("status", "ready", "reconciling", "stalled", "complete", "failed", "finished"),
    [
        (RecordStatus.INITIALIZING, False, True, False, False, False, False),
        (RecordStatus.IN_PROGRESS, False, True, False, False, False, False),
        (RecordStatus.SUCCESS, True, False, False, True, False, True),
        (RecordStatus.FAILED, False, False, True, False, True, True),
        (RecordStatus.CANCELLING, False, True, False, False, False, False),
        (RecordStatus.DELETING, False, True, False, False, False, False),
        (RecordStatus.MISSING, False, False, True, False, False, True),
    ],
)
def test_conditions_follow_the_record(
    status: RecordStatus,
    ready: bool,
    reconciling: bool,
    stalled: bool,
    complete: bool,
    failed: bool,
    finished: bool,
) -> None:
    conditions = told(status)
    expected = {
        "Ready": ready,
        "Reconciling": reconciling,
        "Stalled": stalled,
        "Complete": complete,
        "Failed": failed,
        "Finished": finished,
    }
    assert {name: conditions[name] == "True" for name in expected} == expected


def test_an_archive_that_cannot_be_used_is_complete_but_not_ready() -> None:
    conditions = told(RecordStatus.SUCCESS, is_valid=False, is_version_compatible=False)
    assert conditions["Complete"] == "True"
    assert conditions["Valid"] == conditions["Compatible"] == conditions["Ready"] == "False"
    assert conditions["Stalled"] == "True"


def test_validity_is_unknown_before_the_end_and_where_it_is_not_reported() -> None:
    assert told(RecordStatus.IN_PROGRESS, is_valid=False)["Valid"] == "Unknown"
    assert told(RecordStatus.SUCCESS, is_valid=None)["Valid"] == "Unknown"


def test_waiting_for_an_engine_does_not_undo_how_a_backup_ended() -> None:
    decision = decide(a_spec(), submitted(record=a_record(RecordStatus.SUCCESS)), NOON)
    assert isinstance(decision, Report)
    ended = build_status(a_spec(), 1, BackupStatus(), decision.standing, NOON)
    trouble = waiting(Trouble("EngineUnreachable", "away"), None)
    disturbed = build_status(a_spec(), 2, ended, trouble, NOON + HOUR)

    conditions = {one.type: one.status for one in disturbed.conditions}
    assert conditions["Complete"] is conditions["Finished"] is conditions["Valid"] is TRUE
    assert conditions["Ready"] is FALSE
    assert conditions["Reconciling"] is TRUE
    assert disturbed.phase == ended.phase


def test_all_members_are_mirrored_unless_the_spec_asks_for_some() -> None:
    record = a_record(
        RecordStatus.SUCCESS,
        description="d",
        version="7.5.0",
        build_version="b",
        time_completed=wire_ms(NOON + timedelta(seconds=412)),
        intiated_by="API_user: bot",
        size_on_disk=734003200,
        content_file_path="/store/x.tgz",
        app_deployment_location="CONSOLE",
    )
    everything = mirror(record, a_spec())
    assert {name.replace("intiated", "initiated") for name in RECORD_MEMBERS} <= set(everything)
    assert everything["time_initiated"] == NOON
    assert everything["size"] == "700 MiB"
    assert everything["duration"] == "6m52s"
    some = mirror(record, a_spec(fields=("name", "size_on_disk")))
    assert set(some) == {"id", "status", "name", "size_on_disk", "size"}


def test_what_a_status_cannot_hold_is_left_out_or_cut() -> None:
    record = a_record(
        time_initiated=10**17, time_completed=0, size_on_disk=2**70, description="x" * 10_000
    )
    members = mirror(record, a_spec())
    assert members["time_initiated"] is members["time_completed"] is None
    assert members["size_on_disk"] is members["duration"] is None
    assert len(members["description"]) < 5000


def test_telling_the_same_again_changes_nothing() -> None:
    standing = Standing(phase=None, reason="Same", message="as ever", record=a_record())
    once = build_status(a_spec(), 1, BackupStatus(), standing, NOON)
    assert build_status(a_spec(), 1, once, standing, NOON + HOUR) == once


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    stored = [a_condition("Ready", FALSE), a_condition("Theirs", UNKNOWN)]
    judged = [Judgement("Ready", FALSE, "Other", "new words")]
    same = merge_conditions(stored, judged, 2, NOON + HOUR)
    assert [one.type for one in same] == ["Ready", "Theirs"]
    assert same[0].last_transition_time == NOON
    assert (same[0].reason, same[0].observed_generation) == ("Other", 2)
    moved = merge_conditions(stored, [Judgement("Ready", TRUE, "Other")], 2, NOON + HOUR)
    assert moved[0].last_transition_time == NOON + HOUR


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=2), JSON, max_size=4)


def merged(target: object, patch: object) -> object:
    """RFC 7396 to the letter."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_turns_one_object_into_the_other(
    stored: dict[str, object], wanted: dict[str, object]
) -> None:
    patch = build_merge_patch(stored, wanted)
    assert merged(stored, patch) == wanted
    assert bool(patch) == (stored != wanted)


RECORDS = st.builds(
    BackupRecord,
    id=st.integers(-(2**70), 2**70),
    status=st.none() | st.sampled_from(RecordStatus),
    time_initiated=st.none() | st.integers(-(2**70), 2**70),
    time_completed=st.none() | st.integers(-(2**70), 2**70),
    size_on_disk=st.none() | st.integers(-(2**70), 2**70),
    description=st.none() | st.text(),
    is_valid=st.none() | st.booleans(),
)


@given(RECORDS)
def test_any_record_makes_a_status_that_the_cluster_takes(record: BackupRecord) -> None:
    decision = decide(a_spec(), submitted(record=record), NOON)
    if isinstance(decision, Report):
        status = build_status(a_spec(), 1, BackupStatus(), decision.standing, NOON)
        assert BackupStatus.model_validate(status.to_body()) == status.model_copy()


def test_a_status_stays_small_whatever_a_server_says() -> None:
    """The API server refuses objects of more than a megabyte or two."""
    long = "x" * 2**20
    record = a_record(
        RecordStatus.FAILED, name=long, description=long, content_file_path=long, version=long
    )
    told = Recollection(finding=ArchiveFinding(long, long))
    standing = decide(a_spec(), replace(submitted(record=record), memory=told), NOON)
    assert isinstance(standing, Report)
    status = build_status(a_spec(), 1, BackupStatus(), standing.standing, NOON)
    assert len(json.dumps(status.to_body())) < 32_768

    hosts = tuple(
        HostRecord.model_validate(
            {
                "id": n,
                "hostname": long[:5000],
                "components": [f"{long[:500]}{m}" for m in range(60)],
            }
        )
        for n in range(1, 1000)
    )
    about = SystemAbout(external_version=long, release_name=long, build_version=long)
    facts = EngineFacts(about=about, hosts=hosts)
    engine = build_engine_status(1, BackupEngineStatus(), facts, NOON)
    assert len(json.dumps(engine.to_body())) < 2**19
