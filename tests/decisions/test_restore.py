"""What is decided about a Restore of objects."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backup_api.endpoints import LIST_RESTORES
from backup_api.errors import EndpointErrors, ErrorClass
from backup_api.exceptions import RefusedError
from backup_api.extensions.volumes import CreateVolumeRestoreErrors
from backup_api.restores import (
    CreateRestoreErrors,
)
from backup_api.restores import RestoreStatus as WireStatus
from backup_operator.decisions.engine_trouble import explain_refused_step
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.decisions.restore import decide_restore
from backup_operator.decisions.restore_facts import (
    DropRestore,
    KeepRestore,
    ListOpenRestores,
    LookAtRestore,
    Obstacle,
    OpenRestores,
    ReportRestore,
    RestoreDecision,
    RestoreMemory,
    RestoreView,
    RestRestore,
    WriteRestoreAhead,
)
from backup_operator.decisions.restore_refusals import ADVICE
from backup_operator.decisions.restore_standings import ASK_AGAIN, LET_GO_WITHIN, failed
from backup_operator.decisions.restore_status import build_restore_status
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestoreStatus
from fixtures.facts import ENGINE, NOON, SECOND, some_metadata
from restorefacts.facts import seen
from restorefacts.objects import GROUPS, TROUBLE, a_record, a_spec


def reason_of(decision: object) -> str:
    assert isinstance(decision, ReportRestore)
    return decision.standing.reason


def test_what_is_not_allowed_is_not_even_asked() -> None:
    trouble = Trouble("RestoreNotAllowed", "no", needs_people=True)
    assert reason_of(decide_restore(a_spec(), seen(not_allowed=trouble), NOON)) == trouble.reason


LAUNCHED = {"id": 7, "launch": {"requested_at": NOON, "digest": "sha256:x"}}
REFUSED = explain_refused_step(
    RefusedError(LIST_RESTORES, 403, 26, "bot may not get restores"), "c"
)


@pytest.mark.parametrize("content", [{"groups": GROUPS}, {"volumes": [{"claim": "data"}]}])
@pytest.mark.parametrize("stored", [{}, LAUNCHED])
def test_a_right_that_is_missing_is_told_and_asked_for_again(
    content: dict[str, Any], stored: dict[str, Any]
) -> None:
    wanted = RestoreSpec.model_validate({"backupId": 118, "timeout": "1h", **content})
    status = RestoreStatus.model_validate(stored)
    facts = seen(status, memory=RestoreMemory(obstacle=Obstacle(NOON, REFUSED)))

    decision = decide_restore(wanted, facts, NOON)

    assert isinstance(decision, ReportRestore)
    assert decision.until == NOON + ASK_AGAIN
    standing = decision.standing
    assert (standing.reason, standing.is_stalled, standing.is_over) == ("Forbidden", True, False)
    for words in (
        "GET /backup_and_restore/restores",
        "code 26",
        "may not get",
        "manifests/restore",
    ):
        assert words in standing.message
    assert not isinstance(decide_restore(wanted, facts, NOON + ASK_AGAIN), ReportRestore)
    late = Obstacle(NOON + timedelta(hours=1), REFUSED)
    decision = decide_restore(wanted, seen(status, memory=RestoreMemory(obstacle=late)), late.at)
    assert isinstance(decision, ReportRestore)
    assert decision.standing.is_over == bool(stored)

    leaving = replace(facts, metadata=some_metadata(kept=True, deleting=NOON))
    assert decide_restore(wanted, leaving, NOON) == KeepRestore(wanted=False)


FAILED = explain_refused_step(RefusedError(LIST_RESTORES, 500, 1000, "out of memory"), "c")


@pytest.mark.parametrize("content", [{"groups": GROUPS}, {"volumes": [{"claim": "data"}]}])
def test_an_error_of_the_engine_itself_is_told_and_holds_a_deletion_back_for_a_minute(
    content: dict[str, Any],
) -> None:
    wanted = RestoreSpec.model_validate({"backupId": 118, **content})
    status = RestoreStatus.model_validate(LAUNCHED)

    def decided(at: timedelta, status: RestoreStatus = status, **members: Any) -> RestoreDecision:  # noqa: ANN401
        memory = RestoreMemory(obstacle=Obstacle(NOON + at, FAILED))
        return decide_restore(wanted, seen(status, memory=memory, **members), NOON + at)

    decision = decided(timedelta(0))
    assert isinstance(decision, ReportRestore)
    standing = decision.standing
    assert (standing.reason, standing.is_stalled, standing.is_over) == (
        "EngineUnwell",
        False,
        False,
    )
    assert "out of memory" in standing.message

    leaving = some_metadata(kept=True, deleting=NOON)
    assert reason_of(decided(SECOND, metadata=leaving)) == "EngineUnwell"
    assert decided(LET_GO_WITHIN, metadata=leaving) == KeepRestore(wanted=False)
    over = build_restore_status(seen(status), failed("RestoreFailed", "no"), NOON)
    assert decided(SECOND, over, metadata=leaving) == KeepRestore(wanted=False)


@pytest.mark.parametrize("errors", [CreateRestoreErrors, CreateVolumeRestoreErrors])
def test_every_final_refusal_says_what_to_do(errors: type[EndpointErrors]) -> None:
    final = {row for row in errors if row.error_class is ErrorClass.FINAL}
    assert final <= ADVICE.keys()


def test_it_is_kept_and_nothing_is_open_before_it_is_requested() -> None:
    loose = seen(metadata=some_metadata())
    assert decide_restore(a_spec(), loose, NOON) == KeepRestore(wanted=True)
    assert decide_restore(a_spec(), seen(), NOON) == ListOpenRestores()
    busy = RestoreMemory(look=OpenRestores(NOON, (a_record(),)))
    assert reason_of(decide_restore(a_spec(), seen(memory=busy), NOON)) == "RestoreRunning"
    held = decide_restore(a_spec(), seen(memory=busy, in_the_way="Restore ops/older"), NOON)
    assert isinstance(held, ReportRestore)
    assert "approve its plan, or delete Restore ops/older" in held.standing.message
    free = RestoreMemory(look=OpenRestores(NOON, ()))
    assert isinstance(decide_restore(a_spec(), seen(memory=free), NOON), WriteRestoreAhead)


def test_silence_after_the_launch_is_no_failure() -> None:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    status = RestoreStatus.model_validate({"id": 7, "launch": launch})
    away = EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    decision = decide_restore(a_spec(), seen(status, engine=away), NOON)
    assert reason_of(decision) == "EngineAway"
    locked = EngineSeen(ENGINE, Trouble("Unauthorized", "401", needs_people=True))
    decision = decide_restore(a_spec(), seen(status, engine=locked), NOON)
    assert isinstance(decision, ReportRestore)
    assert decision.standing.wants_credentials
    assert not decision.standing.is_over


def test_a_restore_that_never_ends_is_given_up_after_its_timeout() -> None:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    status = RestoreStatus.model_validate({"id": 7, "launch": launch})
    wanted, late = a_spec(mode="Apply", timeout="2h"), NOON + timedelta(hours=2)
    running = RestoreMemory(view=RestoreView(late, a_record(WireStatus.IN_PROGRESS)))
    away = EngineSeen(ENGINE, Trouble("EngineUnreachable", "silence"))
    locked = EngineSeen(ENGINE, Trouble("Unauthorized", "401", needs_people=True))
    for facts in (seen(status, memory=running), seen(status, engine=away)):
        assert reason_of(decide_restore(wanted, facts, late - SECOND)) != "DeadlineExceeded"
        decision = decide_restore(wanted, facts, late)
        assert isinstance(decision, ReportRestore)
        assert decision.standing.reason == "DeadlineExceeded"
        assert decision.standing.is_over
        assert "(2h)" in decision.standing.message
    waits = decide_restore(wanted, seen(status, engine=locked), late)
    assert reason_of(waits) == "CredentialsWanted"


def test_an_end_that_is_seen_late_counts_all_the_same() -> None:
    launch = {"requested_at": NOON, "digest": "sha256:x"}
    status = RestoreStatus.model_validate({"id": 7, "launch": launch})
    late = NOON + timedelta(days=3)
    assert isinstance(decide_restore(a_spec(), seen(status), late), LookAtRestore)
    ended = RestoreMemory(view=RestoreView(late, a_record(WireStatus.SUCCESS)))
    assert reason_of(decide_restore(a_spec(), seen(status, memory=ended), late)) == "Succeeded"


def test_cluster_options_at_an_appliance_are_refused() -> None:
    view = RestoreView(NOON, a_record())
    status = RestoreStatus(id=7)
    wanted = a_spec(existing="Update")
    decision = decide_restore(wanted, seen(status, memory=RestoreMemory(view=view)), NOON)
    assert reason_of(decision) == "OptionsNotSupported"


def test_an_engine_that_was_not_asked_yet_is_waited_for_before_a_record_is_left_behind() -> None:
    leaving: dict[str, Any] = {
        "status": RestoreStatus(id=7),
        "metadata": some_metadata(kept=True, deleting=NOON),
    }
    connecting, down = EngineSeen(ENGINE, is_connecting=True), EngineSeen(ENGINE, TROUBLE)

    assert decide_restore(a_spec(), seen(**leaving, engine=connecting), NOON) == RestRestore()
    assert decide_restore(a_spec(), seen(**leaving, engine=down), NOON) == KeepRestore(wanted=False)
    assert decide_restore(a_spec(), seen(**leaving), NOON) == DropRestore(7)
