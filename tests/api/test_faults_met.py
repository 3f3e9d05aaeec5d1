"""Each way in which the fake appliance can misbehave is met by the client in a named test."""

import ast
import inspect
from pathlib import Path

import pytest

from appliance.faults import Faults

HERE = Path(__file__).parent

MET: dict[str, tuple[str, str, str]] = {
    # the fault: the lever that plays it, and the test of what the caller gets
    "latency": ("delay", "test_trouble", "test_a_late_answer_is_waited_for"),
    "silence": ("hold", "test_trouble", "test_silence_beyond_the_timeout_is_a_lost_answer"),
    "connection_reset": ("reset", "test_trouble", "FAULTS"),
    "dropped_after_an_accepted_post": ("drop_answer", "test_trouble", "FAULTS"),
    "body_cut": ("cut_body", "test_trouble", "FAULTS"),
    "truncated_json": ("truncate", "test_trouble", "FAULTS"),
    "html_page": ("html_page", "test_trouble", "FAULTS"),
    "odd_answers": ("answer_with", "test_trouble", "FAULTS"),
    "refusals_that_pass": ("refuse", "test_repeating", "PASSING"),
    "refusals_of_a_post": ("refuse", "test_repeating", "PASSING"),
    "token_rotation": (
        "rotate_token",
        "test_trouble",
        "test_a_rotated_token_is_a_401_that_says_so",
    ),
    "self_signed": ("Trust()", "test_trust", "test_an_unknown_authority_is_not_believed"),
    "wrong_name": (
        "misnamed",
        "test_trust",
        "test_a_certificate_for_another_name_is_not_believed",
    ),
    "missing": ("lose_archive", "test_backing_up", "test_an_archive_that_vanishes_is_told"),
    "is_valid_false": (
        "invalidate",
        "test_backing_up",
        "test_an_archive_that_is_not_valid_is_told",
    ),
    "failing_job": ("fail", "test_backing_up", "test_a_failed_backup_is_told"),
    "hanging_job": (
        "backup_seconds = None",
        "test_backing_up",
        "test_a_backup_without_end_is_told",
    ),
    "failing_restore": (
        "outcome",
        "test_restoring",
        "test_a_restore_that_fails_is_returned_as_failed",
    ),
    "hanging_restore": (
        "outage",
        "test_restoring",
        "test_a_restore_without_end_is_told_in_the_end",
    ),
    "hanging_deploy": ("deploy_seconds", "test_recipes", "test_a_deploy_without_end_is_told"),
    "restart": ("come_up", "test_trouble", "test_a_restart_loses_nothing_that_the_client_was_told"),
    "down": ("go_down", "test_trouble", "test_a_closed_port_means_the_request_was_never_sent"),
}


def source_of(module: str, name: str) -> str:
    """The text of a function, or of a table that a test is parametrized with."""
    text = (HERE / f"{module}.py").read_text()
    for node in ast.parse(text).body:
        names = {getattr(node, "name", None)}
        if isinstance(node, ast.AnnAssign):
            names.add(getattr(node.target, "id", None))
        if name in names:
            return ast.get_source_segment(text, node) or ""
    raise LookupError(f"{module} has no {name}")


@pytest.mark.parametrize("fault", MET)
def test_each_fault_is_met_where_the_table_says(fault: str) -> None:
    lever, module, name = MET[fault]
    assert lever in source_of(module, name)
    if not name.startswith("test_"):
        assert f", {name})" in (HERE / f"{module}.py").read_text()  # a test takes its rows


def test_no_fault_of_the_fake_is_left_out() -> None:
    others = {"clear", "take"}
    public = {name for name, _ in inspect.getmembers(Faults, inspect.isfunction) if name[0] != "_"}
    assert public - others <= {lever for lever, _, _ in MET.values()}
