"""The cache never goes back in time, and knows which Backups wait for which records."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backup_operator.cluster.cache import Key, ObjectCache
from backup_operator.resources.group import BACKUP, FINALIZER, SCHEDULE_LABEL

KEY = Key("Backup", "ops", "one")


def a_body(version: int, uid: str = "u-1", **status: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "metadata": {
            "name": "one",
            "namespace": "ops",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"},
        },
        "spec": {"backupType": "CONFIG"},
        "status": status,
    }


def finished(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    conditions = [{"type": "Finished", "status": "True"}]
    return {"conditions": conditions, "observedGeneration": 1, **more}


def test_an_older_state_never_replaces_a_newer_one() -> None:
    cache = ObjectCache()
    assert cache.put(BACKUP, a_body(5, phase="Pending")) is not None
    assert cache.put(BACKUP, a_body(5)) is None
    assert cache.put(BACKUP, a_body(4)) is None
    found = cache.find(KEY)
    assert found is not None
    assert found.phase == "Pending"


def test_a_deleted_object_does_not_come_back_but_its_name_may() -> None:
    cache = ObjectCache()
    cache.put(BACKUP, a_body(5))
    assert cache.remove(KEY, "u-1") is not None
    assert cache.put(BACKUP, a_body(6)) is None  # the answer to a write that was under way
    assert cache.put(BACKUP, a_body(7, uid="u-2")) is not None
    assert cache.remove(KEY, "u-1") is None
    assert len(cache) == 1


def test_what_no_decision_needs_is_not_kept() -> None:
    cache = ObjectCache()
    entry = cache.put(BACKUP, a_body(1))
    assert entry is not None
    metadata = json.loads(entry.content)["metadata"]
    assert "managedFields" not in metadata
    assert metadata["annotations"] == {"a": "b"}


def test_records_are_waited_for_until_the_backup_has_ended() -> None:
    cache = ObjectCache()
    running: dict[str, Any] = {"id": 7, "engine": {"name": "console", "uid": "e-1"}}
    cache.put(BACKUP, a_body(1, **running))
    assert cache.unfinished_records("e-1") == {7}
    cache.put(BACKUP, a_body(2, **finished(**running)))
    assert cache.unfinished_records("e-1") == frozenset()
    assert cache.records("e-1") == {7}
    entry = cache.find_by_record("e-1", 7)
    assert entry is not None
    assert entry.is_quiet
    cache.remove(KEY, "u-1")
    assert cache.records("e-1") == frozenset()


def test_deletions_that_we_hold_up_are_known_by_engine() -> None:
    cache = ObjectCache()
    body = a_body(1, id=7, engine={"uid": "e-1"})
    body["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    cache.put(BACKUP, body)
    assert cache.deletions("e-1") == {}
    kept = json.loads(json.dumps(body))
    kept["metadata"].update(finalizers=[FINALIZER], resourceVersion="2")
    cache.put(BACKUP, kept)
    assert list(cache.deletions("e-1")) == [KEY]


ODD: list[object] = [None, 7, True, "text", [], ["text", 7, {}], {}, {"type": ["Ready"]}]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "conditions": st.sampled_from([*ODD, [{"type": 7, "status": []}]]),
            "engine": st.sampled_from([*ODD, {"uid": [], "name": {}}]),
            "id": st.sampled_from(ODD),
            "phase": st.sampled_from(ODD),
            "status": st.sampled_from(ODD),
            "startedAt": st.sampled_from([*ODD, "yesterday"]),
            "terminatedAt": st.sampled_from([*ODD, "tomorrow"]),
            "submission": st.sampled_from(ODD),
        },
    )
    | st.sampled_from(ODD),
    st.sampled_from(ODD),
)
def test_an_object_written_past_the_schema_can_be_kept(status: object, spec: object) -> None:
    cache = ObjectCache()
    labels = {SCHEDULE_LABEL: "nightly"}
    metadata = {"name": "odd", "namespace": "ops", "uid": "u-1", "resourceVersion": "5"}
    body = {"metadata": {**metadata, "labels": labels}, "spec": spec, "status": status}
    entry = cache.put(BACKUP, body)
    assert entry is not None
    assert entry.body()["status"] == status
    assert cache.remove(entry.key, "u-1") is entry
    assert len(cache) == 0


def test_it_counts_the_backups_that_an_engine_has_not_accepted_yet() -> None:
    cache, engine = ObjectCache(), {"uid": "e-1"}
    cache.put(BACKUP, a_body(1))
    assert cache.count_unanswered("e-1") == 0  # it is bound to no engine
    cache.put(BACKUP, a_body(2, engine=engine))
    assert cache.count_unanswered("e-1") == 1
    cache.put(BACKUP, a_body(3, engine=engine, id=7))
    assert cache.count_unanswered("e-1") == 0
    cache.put(BACKUP, a_body(4, uid="u-2", engine=engine))
    cache.remove(KEY, "u-2")
    assert cache.count_unanswered("e-1") == 0


def test_what_comes_and_goes_leaves_nothing_behind_but_a_bounded_row_of_tombstones() -> None:
    cache = ObjectCache()
    for number in range(300):
        uid = f"u-{number}"
        engine = {"uid": "e-1"}
        cache.put(BACKUP, a_body(1, uid=uid))
        cache.put(BACKUP, a_body(2, uid=uid, engine=engine))
        cache.put(BACKUP, a_body(3, uid=uid, engine=engine, id=number))
        cache.put(BACKUP, a_body(4, uid=uid, engine=engine, id=number, **finished()))
        cache.remove(KEY, uid)
    kept = {name: value for name, value in vars(cache).items() if name != "_buried"}
    for name, value in kept.items():
        assert not any(value.values() if isinstance(value, dict) else value), name
