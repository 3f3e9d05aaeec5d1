"""How a command in a pod ended, and what of it is told; pods that a hook is run in."""

import json

import pytest

from backup_engine.host_definition import HookDefinition
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.hooks import (
    KEPT_CHARACTERS,
    MOST_PODS,
    CommandEnd,
    choose_pods,
    explain_end,
    parse_end,
    shorten,
)

HOOK = HookDefinition("shop", ("true",))


def a_status(status: str = "Failure", message: str = "", **causes: str) -> bytes:
    listed = [{"reason": reason, "message": text} for reason, text in causes.items()]
    told = {"status": status, "message": message, "details": {"causes": listed}}
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (b'{"status":"Success"}', CommandEnd(0, "said")),
        (a_status(ExitCode="137"), CommandEnd(137, "said")),
        (a_status(message="no such program"), CommandEnd(None, "said", "no such program")),
        (a_status(ExitCode="many"), CommandEnd(None, "said", "the command could not be run")),
        (b'{"status":"Failure"}', CommandEnd(None, "said", "the command could not be run")),
    ],
)
def test_the_end_of_a_command_is_read_off_its_status(text: bytes, end: CommandEnd) -> None:
    assert parse_end(text, "said") == end


@pytest.mark.parametrize("text", [b"", b"[]", b"not json", b'{"message":"x"}'])
def test_an_end_that_is_not_understood_is_no_success(text: bytes) -> None:
    end = parse_end(text, "")

    assert not end.is_good
    assert "not understood" in explain_end(end)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("could not\x1b[31m write\r\n", "could not [31m write"),
        ("postgres://app:pa55@db/shop refused", "postgres://***@db/shop refused"),
        ("PGPASSWORD=pa55 was wrong", "PGPASSWORD=*** was wrong"),
        ('{"token": "abc", "user": "app"}', '{"token": *** "user": "app"}'),
        ("api_key = abc", "api_key = ***"),
        ("password authentication failed", "password authentication failed"),
    ],
)
def test_what_looks_secret_is_not_told(said: str, told: str) -> None:
    assert shorten(said) == told


def test_a_long_complaint_is_cut_at_its_beginning_when_its_secrets_are_gone() -> None:
    told = shorten("password=" + "x" * 3000 + " " + "y" * KEPT_CHARACTERS)

    assert told == "y" * KEPT_CHARACTERS


def test_more_pods_than_a_hook_may_bear_are_refused() -> None:
    metadata = {"name": "a"}
    status = {"phase": "Running"}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "c"}]}, "status": status}
    leaving = {**pod, "metadata": {**metadata, "deletionTimestamp": "2026-01-01T00:00:00Z"}}

    assert len(choose_pods(HOOK, [pod] * MOST_PODS)) == MOST_PODS
    with pytest.raises(VolumeError) as trouble:
        choose_pods(HOOK, [pod] * (MOST_PODS + 1))
    assert trouble.value.reason == "TooManyPods"
    with pytest.raises(VolumeError) as none:
        choose_pods(HOOK, [leaving, {**pod, "status": {"phase": "Pending"}}])
    assert none.value.reason == "NoPod"
