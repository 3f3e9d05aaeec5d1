"""What makes the kubelet restart the operator, and what does not."""

from dataclasses import replace

import pytest

from backup_operator.metrics.health import Vitals, find_ailments

WELL = Vitals(
    has_seen_all=True,
    watches_down_s=0.0,
    late_comparisons=0,
    longest_work_s=1.0,
    oldest_wait_s=1.0,
)


def test_a_working_operator_has_no_ailment() -> None:
    assert find_ailments(WELL) == []


@pytest.mark.parametrize(
    ("vitals", "words"),
    [
        (replace(WELL, watches_down_s=301.0), "no watches for 301 s"),
        (replace(WELL, late_comparisons=2), "behind in 2 comparisons"),
        (replace(WELL, longest_work_s=601.0), "going on for 601 s"),
        (replace(WELL, oldest_wait_s=601.0), "not moved for 601 s"),
    ],
)
def test_what_only_a_restart_mends_is_told(vitals: Vitals, words: str) -> None:
    (found,) = find_ailments(vitals)
    assert words in found


@pytest.mark.parametrize(
    "vitals",
    [
        replace(WELL, watches_down_s=299.0),  # an API server that restarts
        replace(WELL, late_comparisons=1),
        replace(WELL, longest_work_s=599.0),  # a slow engine
        replace(WELL, has_seen_all=False),  # that is what readiness is for
    ],
)
def test_what_passes_by_itself_restarts_nothing(vitals: Vitals) -> None:
    assert find_ailments(vitals) == []
