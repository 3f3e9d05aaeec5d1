"""Models and filters on the wire (spec §2.5, §2.8, §3.0)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from appliance.filters import parse_filter
from appliance.server import FakeAppliance
from appliance.shapes import BACKUP
from backup_api.backups import (
    RECORD_MEMBERS,
    BackupRecord,
    BackupType,
    CreateBackup,
    RecordStatus,
)
from backup_api.client import BackupApiClient
from backup_api.deploy import DeployStatus
from backup_api.filters import id_in, name_is, status_in
from backup_api.hosts import HostRecord


def test_the_initiator_is_read_in_both_spellings() -> None:
    assert BackupRecord.model_validate({"id": 1, "intiated_by": "a"}).intiated_by == "a"
    assert BackupRecord.model_validate({"id": 1, "initiated_by": "b"}).intiated_by == "b"


def test_the_initiator_is_written_as_the_wire_has_it() -> None:
    written = json.loads(BackupRecord(id=1, intiated_by="a").model_dump_json())

    assert written["intiated_by"] == "a"
    assert "initiated_by" not in written


def test_everything_but_the_id_may_be_null_or_absent() -> None:
    nulls = {name: None for name in RECORD_MEMBERS if name != "id"}

    assert BackupRecord.model_validate({"id": 1, **nulls}) == BackupRecord(id=1)
    assert HostRecord.model_validate({"id": 1}).is_console is False
    assert DeployStatus.model_validate({}).is_finished is False


def test_a_record_has_the_seventeen_members_of_the_reference() -> None:
    assert len(RECORD_MEMBERS) == 17
    assert set(RECORD_MEMBERS) == {n for n, member in BACKUP.items() if member.alias_of is None}


def test_unknown_members_are_left_aside() -> None:
    assert BackupRecord.model_validate({"id": 1, "signature": {}}) == BackupRecord(id=1)


@pytest.mark.parametrize(
    "body", [{"configuration_id": "1"}, {"name": 5}, {"host_id": 1.0}, {"configuration_id": True}]
)
def test_a_request_converts_nothing(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CreateBackup.model_validate(body)


@pytest.mark.parametrize("status", ["COMPLETE", "DONE"])
def test_both_words_for_the_end_of_a_deploy_are_known(status: str) -> None:
    assert DeployStatus(status=status).is_finished


def test_a_map_of_hosts_is_tolerated() -> None:
    told = {"status": "START", "hosts": {"192.0.2.10": "INITIATING"}, "has_errors": False}

    assert DeployStatus.model_validate(told).hosts == ()


@given(st.text(), st.text())
def test_a_name_filter_finds_that_name_and_no_other(name: str, other: str) -> None:
    matches = parse_filter(name_is(name), BACKUP)

    assert matches({"name": name})
    assert matches({"name": other}) is (name == other)


@given(st.sets(st.sampled_from(RecordStatus), min_size=1))
def test_a_status_filter_finds_those_states(statuses: set[RecordStatus]) -> None:
    matches = parse_filter(status_in(statuses), BACKUP)

    assert {status for status in RecordStatus if matches({"status": status.value})} == statuses


@given(st.sets(st.integers(1, 2**63 - 1), min_size=1, max_size=20), st.integers(1, 2**63 - 1))
def test_an_id_filter_finds_those_ids(ids: set[int], other: int) -> None:
    matches = parse_filter(id_in(ids), BACKUP)

    assert all(matches({"id": number}) for number in ids)
    assert matches({"id": other}) is (other in ids)


@pytest.mark.parametrize("name", ["a", 'quote"', "back\\slash", "%", "ünï", "two words", "+&=#"])
async def test_filters_survive_the_query(
    client: BackupApiClient, appliance: FakeAppliance, name: str
) -> None:
    wanted = appliance.add_backup(name)
    appliance.add_backup("other")

    assert [record.id async for record in client.list_backups(filter_by=name_is(name))] == [wanted]


async def test_descriptions_of_any_script_survive(
    client: BackupApiClient,
) -> None:
    text = 'ä "quoted" \\ \U0001f4be \u202e'
    body = CreateBackup(name="n", configuration_id=1, description=text)

    assert (await client.create_backup(body, BackupType.CONFIG)).description == text
