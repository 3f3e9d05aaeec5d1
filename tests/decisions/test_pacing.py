"""How often an engine is asked, when it is left in peace, and which one is meant."""

from datetime import timedelta

import pytest

from backup_api.backups import RecordStatus
from backup_api.endpoints import ABOUT
from backup_api.exceptions import (
    BackupApiError,
    LostAnswerError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)
from backup_operator.decisions.circuit import (
    FAILURES_TO_OPEN,
    CircuitState,
    after_answer,
    after_failure,
    try_once,
)
from backup_operator.decisions.drift import Told, has_drifted
from backup_operator.decisions.engine_choice import Candidate, choose_engine
from backup_operator.decisions.engine_status import EngineFacts, build_engine_status
from backup_operator.decisions.engine_trouble import explain_trouble, is_silence, needs_new_access
from backup_operator.decisions.facts import Trouble
from backup_operator.decisions.polling import next_interval
from backup_operator.resources.backup_status import EngineIdentity
from backup_operator.resources.engine import BackupEngineStatus, Circuit
from fixtures.facts import HOUR, NOON, SECOND, a_record, a_spec

POLL = timedelta(seconds=5)
CONSOLE = Candidate("console", "e-1", is_default=False)
DEFAULT = Candidate("main", "e-2", is_default=True)
OTHER = Candidate("other", "e-3", is_default=True)


def test_polls_begin_often_and_grow_rare() -> None:
    intervals = [next_interval(None, POLL, timedelta(0))]
    for _ in range(10):
        intervals.append(next_interval(intervals[-1], POLL, timedelta(0)))
    assert intervals[0] == SECOND
    assert intervals == sorted(intervals)
    assert intervals[-1] == POLL
    assert next_interval(20 * POLL, POLL, HOUR) == timedelta(seconds=30)


def test_a_long_poll_interval_is_kept_to() -> None:
    assert next_interval(10 * HOUR, HOUR, 2 * HOUR) == HOUR


def test_a_circuit_opens_after_failures_in_a_row_and_probes_ever_more_rarely() -> None:
    state = CircuitState()
    for _ in range(FAILURES_TO_OPEN):
        assert state.is_closed
        state = after_failure(state, 100.0)
    assert state.state is Circuit.OPEN
    pauses = []
    for _ in range(6):
        pauses.append(state.pause_s)
        state = after_failure(try_once(state), 100.0)
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert after_answer().is_closed


def test_an_engine_down_for_an_hour_is_probed_about_once_a_minute() -> None:
    state, now, probes = CircuitState(), 0.0, 0
    while not state.is_closed or state.failures < FAILURES_TO_OPEN:
        state = after_failure(state, now)
        if not state.is_closed:
            now = state.probe_at
            if now > HOUR.total_seconds():
                break
            state = try_once(state)
            probes += 1
    assert 55 <= probes <= 65


def test_an_answer_between_failures_keeps_the_circuit_closed() -> None:
    state = CircuitState()
    for _ in range(10):
        state = after_failure(after_answer(), 0.0)
        assert state.is_closed


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        ([CONSOLE, DEFAULT], DEFAULT),
        ([CONSOLE], "NoDefaultEngine"),
        ([DEFAULT, OTHER], "SeveralDefaultEngines"),
    ],
)
def test_the_default_engine_must_be_one(
    engines: list[Candidate], expected: Candidate | str
) -> None:
    chosen = choose_engine(a_spec().engine_ref, None, engines)
    assert (chosen.reason if isinstance(chosen, Trouble) else chosen) == expected


@pytest.mark.parametrize(
    ("uid", "expected"), [("e-1", CONSOLE), ("e-0", "EngineReplaced"), (None, CONSOLE)]
)
def test_a_submitted_backup_stays_with_its_engine(
    uid: str | None, expected: Candidate | str
) -> None:
    wanted = a_spec(engine_ref={"name": "main"})
    chosen = choose_engine(
        wanted.engine_ref, EngineIdentity(name="console", uid=uid), [CONSOLE, DEFAULT]
    )
    assert (chosen.reason if isinstance(chosen, Trouble) else chosen) == expected


@pytest.mark.parametrize(
    ("trouble", "reason", "silent", "access"),
    [
        (NotSentError(ABOUT, "refused"), "EngineUnreachable", True, False),
        (LostAnswerError(ABOUT, "reset"), "EngineUnreachable", True, False),
        (MalformedAnswerError(ABOUT, 200, "HTML"), "UnexpectedAnswer", True, False),
        (RefusedError(ABOUT, 401, 18, "who"), "Unauthorized", False, True),
        (RefusedError(ABOUT, 403, 26, "no"), "Forbidden", False, False),
        (RefusedError(ABOUT, 422, 7, "old"), "VersionRefused", False, True),
        (RefusedError(ABOUT, 503, 0, "later"), "EngineUnwell", True, False),
        (RefusedError(ABOUT, 500, 1020, "sorry"), "EngineUnwell", False, False),
    ],
)
def test_trouble_with_an_engine_is_told_apart(
    trouble: BackupApiError, reason: str, silent: bool, access: bool
) -> None:
    assert explain_trouble(trouble, "https://console").reason == reason
    assert (is_silence(trouble), needs_new_access(trouble)) == (silent, access)


@pytest.mark.parametrize(
    ("told", "drifted"),
    [
        (Told("SUCCESS", "True", "True"), False),
        (Told("SUCCESS", "False", "True"), True),
        (Told("SUCCESS", "True", "Unknown"), True),
        (Told("MISSING", "Unknown", "Unknown"), True),
    ],
)
def test_the_sweep_notices_what_changed_after_the_end(told: Told, drifted: bool) -> None:
    assert has_drifted(a_record(RecordStatus.SUCCESS), told) is drifted
    assert not has_drifted(
        a_record(RecordStatus.FAILED, is_valid=False), Told("FAILED", "Unknown", "Unknown")
    )


def test_a_contact_alone_is_not_written_more_than_once_a_minute() -> None:
    facts = EngineFacts(api_version="26.0", running_backups=0, last_contact=NOON)
    first = build_engine_status(1, BackupEngineStatus(), facts, NOON)
    soon = EngineFacts(api_version="26.0", running_backups=0, last_contact=NOON + 20 * SECOND)
    assert build_engine_status(1, first, soon, NOON + 20 * SECOND) == first
    later = EngineFacts(api_version="26.0", running_backups=0, last_contact=NOON + 60 * SECOND)
    status = build_engine_status(1, first, later, NOON + 60 * SECOND)
    assert status.last_contact_time == NOON + 60 * SECOND


def test_what_an_engine_said_of_itself_outlives_its_silence() -> None:
    facts = EngineFacts(api_version="26.0", running_backups=3, last_contact=NOON)
    known = build_engine_status(1, BackupEngineStatus(), facts, NOON)
    away = EngineFacts(trouble=Trouble("EngineUnreachable", "away"), circuit=Circuit.OPEN)
    status = build_engine_status(1, known, away, NOON + HOUR)
    assert (status.api_version, status.last_contact_time) == ("26.0", NOON)
    assert status.circuit is Circuit.OPEN
