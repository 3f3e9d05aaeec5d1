"""A machine that loses answers, crashes anywhere, sets clocks and delivers states that are stale
or come twice: one backup at most, and every transition of the submission is taken on the way.
"""

import sys
from datetime import timedelta
from pathlib import Path

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from backup_api.backups import BackupType
from backup_operator.decisions.submission import SETTLE
from fixtures.facts import a_spec
from submissions.machine import Machine, WithoutFence
from submissions.world import TAKEN, World

SETTINGS = hypothesis.settings(
    max_examples=250, stateful_step_count=30, deadline=None, derandomize=True
)
MACHINES = (Machine, WithoutFence)


TRANSITIONS = {
    "nothing submitted": {
        "AddFinalizer",
        "RemoveFinalizer",
        "CheckName",
        "WriteAhead",
        "Report",
        "Rest",
    },
    "attempt stored": {"AddFinalizer", "Submit"},
    "answered": {"Adopt"},
    "not sent": {"WriteAhead", "Report"},
    "refused": {"WriteAhead", "LookForLost", "Adopt", "Report"},
    "outcome unknown": {"AddFinalizer", "LookForLost", "Adopt", "WriteAhead", "Report"},
    "id stored": {
        "AddFinalizer",
        "RemoveFinalizer",
        "FetchRecord",
        "FetchVerification",
        "DeleteRecord",
        "Report",
    },
    "being deleted": {"LookForLost", "RemoveFinalizer", "Report"},
}
"""The steps that each stage leads to; one that is never taken here is a way nobody has tried."""

SELDOM_TAKEN = {
    "attempt stored": {"RemoveFinalizer", "Report", "Rest"},
    "answered": {"AddFinalizer", "RemoveFinalizer"},
    "not sent": {"AddFinalizer", "RemoveFinalizer", "Rest"},
    "refused": {"AddFinalizer", "RemoveFinalizer", "Rest"},
    "outcome unknown": {"RemoveFinalizer", "Rest"},
    "id stored": {"Rest"},
    "being deleted": {"Adopt", "FetchRecord", "DeleteRecord", "Rest"},
}
"""Steps that need two rare events in a row; the table shows them where they came about."""


def tell_rare_stories() -> None:
    """Take by hand what a walk at random takes once in a thousand stories, or not at all."""
    for fault in ("", "lost after"):
        for steps in (2, 3, 5):  # the wish for a finalizer meets every stage of a submission
            world = World(a_spec(deletion_policy="Retain"), has_fence=True)
            world.next_fault = fault
            world.reconcile(steps)
            world.change_spec(deletion_policy="Delete")
            world.cached = world.stored
            world.reconcile(1)
            world.settle()
            assert world.made == [1]
    world = World(a_spec(), has_fence=True)
    world.is_busy = True
    for _ in range(3):
        world.reconcile(6)
        world.now += timedelta(seconds=20)
    world.settle()
    assert world.made == [1]


DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "operator.md"
MOST_ROUNDS = 6  # one takes nearly every transition; what six do not take is never taken


def pairs_of(table: dict[str, set[str]]) -> set[tuple[str, str]]:
    return {(stage, step) for stage, steps in table.items() for step in steps}


def test_no_order_of_events_costs_a_backup_and_every_transition_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    TAKEN.clear()  # the stories below take some as well
    tell_rare_stories()
    wanted = pairs_of(TRANSITIONS)
    for is_first in (True, *[False] * (MOST_ROUNDS - 1)):
        rules = hypothesis.settings(SETTINGS, derandomize=is_first)
        for machine in MACHINES:
            run_state_machine_as_test(machine, settings=rules)
        if wanted <= set(TAKEN):
            break
    lines = ["| stage | step | taken |", "|---|---|---|"]
    lines += [f"| {stage} | {step} | {TAKEN[stage, step]} |" for stage, step in sorted(TAKEN)]
    with capsys.disabled():
        sys.stdout.write("\n\n" + "\n".join(lines) + "\n")
    assert wanted - set(TAKEN) == set()
    assert set(TAKEN) - wanted <= pairs_of(SELDOM_TAKEN)


def render_transitions() -> str:
    """Lay the two tables out as Markdown, for docs/operator.md."""
    lines = ["| stage | steps taken | steps that need two rare events in a row |", "|---|---|---|"]
    for stage, steps in TRANSITIONS.items():
        seldom = ", ".join(sorted(SELDOM_TAKEN.get(stage, ())))
        lines.append(f"| {stage} | {', '.join(sorted(steps))} | {seldom} |")
    return "\n".join(lines)


def test_the_documentation_has_the_transitions() -> None:
    assert render_transitions() in DOCUMENTATION.read_text()


def test_a_plain_world_ends_with_one_backup() -> None:
    world = World(a_spec(), has_fence=True)
    world.settle()
    assert world.made == [1]
    assert world.stored is not None
    assert world.stored.status.id == 1
    assert world.stored.status.type is BackupType.CONFIG


def test_a_request_thought_lost_that_overtakes_its_repetition_is_adopted() -> None:
    world = World(a_spec(), has_fence=True)
    world.next_fault = "late"
    world.reconcile(5)  # nothing is found, for the console has not got round to it
    world.now += SETTLE
    world.settle()

    assert world.made == [1]
    assert world.stored is not None
    assert world.stored.status.id == 1
    assert world.stored.status.submission is not None
    assert world.stored.status.submission.attempts == 2
