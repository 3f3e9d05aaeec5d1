"""What becomes of a host when its BackupHost comes, changes and goes; as rules over values."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backup_api.hosts import HostStatus
from backup_engine.host_definition import (
    CONSOLE_UID,
    DEFAULT_CONSOLE,
    HostDefinition,
    HostSource,
    HostType,
    HostVersion,
    VolumeSelection,
)
from backup_engine.records.hosts import StoredHost
from backup_engine.runs.deploying import build_deployed_host
from backup_engine.runs.host_objects import Seen, WantedHost
from backup_engine.runs.host_staging import AddHost, ChangeHost, HostChange, plan_staging
from backup_engine.runs.preparing import HostNotReadyError, Remark


def a_version(claim: str, generation: int = 1, uid: str = "u") -> HostVersion:
    volumes = (VolumeSelection("shop", (claim,)),)
    return HostVersion(
        HostDefinition(HostType.DATA, volumes=volumes), HostSource(uid, "a", generation)
    )


def a_console(status: HostStatus = HostStatus.ACTIVE) -> StoredHost:
    return StoredHost(1, CONSOLE_UID, "console", DEFAULT_CONSOLE, DEFAULT_CONSOLE, status)


V1, V2 = a_version("one"), a_version("two", 2)
NEW = StoredHost(2, "u", "a", V1, None, HostStatus.NEW)
ACTIVE = replace(NEW, deployed=V1, status=HostStatus.ACTIVE)
WANTED = WantedHost("u", "a", V1)


def planned(host: StoredHost, *wanted: WantedHost) -> list[HostChange]:
    return plan_staging([a_console(), host], Seen(wanted))


def staged(host: StoredHost, *wanted: WantedHost) -> StoredHost:
    (change,) = planned(host, *wanted)
    assert isinstance(change, ChangeHost)
    return change.host


def test_a_new_host_is_added() -> None:
    assert plan_staging([a_console()], Seen((WANTED,))) == [AddHost(WANTED)]


def test_what_is_as_wanted_is_left_alone() -> None:
    assert planned(ACTIVE, WANTED) == []


def test_a_change_is_staged_and_what_is_deployed_stays() -> None:
    changed = staged(ACTIVE, replace(WANTED, version=V2))

    assert changed == replace(ACTIVE, staged=V2)
    assert changed.is_pending


def test_an_edit_that_changes_nothing_needs_no_deploy() -> None:
    again = replace(WANTED, version=a_version("one", 2))

    changed = staged(ACTIVE, again)

    assert not changed.is_pending
    assert changed.deployed == again.version


def test_a_host_that_goes_before_it_was_deployed_leaves_nothing() -> None:
    (change,) = planned(NEW)
    assert not isinstance(change, ChangeHost)
    assert not isinstance(change, AddHost)
    assert change.host == NEW


def test_a_deployed_host_that_goes_is_staged_to_be_deleted() -> None:
    assert staged(ACTIVE) == replace(ACTIVE, staged=None)


def test_a_host_that_comes_back_before_the_deploy_is_as_it_was() -> None:
    assert not staged(replace(ACTIVE, staged=None), WANTED).is_pending


def test_a_deleted_host_that_comes_back_is_new() -> None:
    deleted = replace(NEW, staged=None, status=HostStatus.DELETED)

    assert planned(deleted) == []
    assert staged(deleted, WANTED) == NEW


def test_the_console_falls_back_to_its_default_and_is_never_deleted() -> None:
    narrow = HostVersion(HostDefinition(HostType.CONSOLE), HostSource("c", "c", 1))
    console = replace(a_console(), staged=narrow, deployed=narrow)

    (change,) = plan_staging([console], Seen())

    assert isinstance(change, ChangeHost)
    assert change.host.staged == DEFAULT_CONSOLE


def test_nothing_happens_to_a_host_whose_object_cannot_be_read() -> None:
    assert plan_staging([a_console(), ACTIVE], Seen((), (("u", "broken"),))) == []


def test_a_deploy_puts_a_host_in_force_or_tells_why_it_is_not_active() -> None:
    assert build_deployed_host(NEW, V1, None) == ACTIVE

    failed = build_deployed_host(NEW, V1, HostNotReadyError("a: no", "NoExecutor"))

    assert (failed.deployed, failed.status) == (V1, HostStatus.ADD_FAILED_CHECK_LOGS)
    assert (failed.reason, failed.message) == ("NoExecutor", "a: no")
    assert build_deployed_host(failed, V1, None) == ACTIVE


def test_the_console_stays_active_whatever_a_deploy_finds() -> None:
    console = build_deployed_host(a_console(), DEFAULT_CONSOLE, HostNotReadyError("no"))

    assert (console.status, console.reason) == (HostStatus.ACTIVE, "NotReady")


def test_a_remark_of_a_deploy_is_kept_beside_a_host_in_force() -> None:
    console = build_deployed_host(a_console(), DEFAULT_CONSOLE, Remark("UnknownKind", "'apes'"))
    host = build_deployed_host(NEW, V1, Remark("UnknownKind", "'apes'"))

    assert (console.status, console.reason, console.message) == (
        HostStatus.ACTIVE,
        "UnknownKind",
        "'apes'",
    )
    assert host.status is HostStatus.ACTIVE


def test_a_host_that_came_back_while_its_deletion_was_deployed_is_new() -> None:
    assert build_deployed_host(ACTIVE, None, None) == NEW
    gone = build_deployed_host(replace(ACTIVE, staged=None), None, None)
    assert (gone.status, gone.deployed) == (HostStatus.DELETED, None)


versions = st.builds(
    a_version, st.sampled_from(["one", "two"]), st.integers(1, 3), st.sampled_from(["u", "w"])
)
stored = st.builds(
    replace,
    st.just(NEW),
    staged=st.none() | versions,
    deployed=st.none() | versions,
    status=st.sampled_from([HostStatus.NEW, HostStatus.ACTIVE, HostStatus.DELETED]),
)


@given(host=stored, version=st.none() | versions)
def test_staging_settles_at_once(host: StoredHost, version: HostVersion | None) -> None:
    seen = Seen(() if version is None else (WantedHost("u", "a", version),))
    hosts = [a_console(), host]
    for change in plan_staging(hosts, seen):
        assert not isinstance(change, AddHost)
        hosts = [each for each in hosts if each.id != change.host.id]
        hosts += [change.host] if isinstance(change, ChangeHost) else []

    assert plan_staging(hosts, seen) == []
