"""SEC tokens from a file; bearer tokens are tested on a real API server."""

import asyncio
import logging
import stat
from pathlib import Path

import pytest

from backup_engine.auth.callers import ClusterUser
from backup_engine.auth.reviews import parse_token_review
from backup_engine.auth.sec_tokens import (
    TokenFile,
    TokenFileError,
    ensure_token,
    parse_token_file,
)
from listserver import ListServer
from localengine import BACKUPS, TOKEN, LocalEngine

PATH = Path("tokens")
OTHER = "9e107d9d-372b-4e2c-a7b1-0f1f1b2c3d4e"


def test_a_token_file_has_a_token_and_a_label_per_line() -> None:
    services = parse_token_file(f"# bots\n\n{TOKEN} backup bot\n  {OTHER}\tother\n", PATH, None)
    assert [service.label for service in services] == ["backup bot", "other"]
    assert TOKEN not in repr(services)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no token"),
        ("# nothing\n", "holds no token"),
        (f"{TOKEN}\n", "line 1: the label behind the token is missing"),
        ("short label\n", "line 1: the token is shorter than 16"),
        (f"{TOKEN} a\n{TOKEN} b\n", "line 2: the token stands there twice"),
        (f"{TOKEN} a\x1b[31m\n", "line 1: the label .* not printable"),
    ],
)
def test_a_bad_token_file_is_explained_without_showing_a_token(text: str, problem: str) -> None:
    with pytest.raises(TokenFileError, match=problem) as caught:
        parse_token_file(text, PATH, None)
    assert TOKEN not in str(caught.value)


def test_a_token_of_ones_own_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    ensure_token(path)
    content = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parse_token_file(content, path, "admin")[0].label == "admin"
    ensure_token(path)
    assert path.read_text() == content


async def test_a_changed_file_is_read_again_and_a_broken_one_locks_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_engine.auth.watched_file.RECHECK_S", 0.0)
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN} first\n")
    tokens = TokenFile(path)
    await tokens.load()
    path.write_text(f"{OTHER} second\n")
    assert await tokens.find_service(TOKEN) is None
    assert await tokens.find_service(OTHER) is not None

    for breakage in ("malformed", None):
        if breakage is None:
            path.unlink()
        else:
            path.write_text(breakage)
        assert await tokens.find_service(OTHER) is not None
    assert "stays in force" in caplog.text
    assert OTHER not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"SEC": ""},
        {"SEC": OTHER},
        {"SEC": f"{TOKEN}x"},
        {"SEC": TOKEN.upper()},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer "},
        {"Cookie": f"SEC={TOKEN}"},
    ],
)
async def test_without_usable_credentials(resting: LocalEngine, headers: dict[str, str]) -> None:
    resting.client.headers.pop("SEC")
    answer = await resting.send("GET", BACKUPS, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, 18)
    assert "No SEC header present in request" in answer.json()["message"]


async def test_an_api_server_that_cannot_be_asked_is_503_and_not_401(
    resting: LocalEngine, source: ListServer, caplog: pytest.LogCaptureFixture
) -> None:
    resting.client.headers.pop("SEC")
    bearer = {"Authorization": "Bearer some.secret.token"}
    with caplog.at_level(logging.DEBUG):
        answer = await resting.send("GET", BACKUPS, headers=bearer)  # it speaks LIST only
    assert (answer.status_code, answer.json()["code"]) == (503, 0)
    assert "some.secret.token" not in caplog.text + answer.text
    assert source.requests == []


async def test_sec_counts_when_both_are_sent(resting: LocalEngine) -> None:
    answer = await resting.send("GET", BACKUPS, headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 200


async def test_tokens_are_checked_concurrently_without_a_race(resting: LocalEngine) -> None:
    answers = await asyncio.gather(
        *(resting.send("GET", BACKUPS, headers={"SEC": token}) for token in [TOKEN, OTHER] * 10)
    )
    assert [answer.status_code for answer in answers] == [200, 401] * 10


def test_a_token_review_counts_only_for_our_audience() -> None:
    accepted = {
        "authenticated": True,
        "audiences": ["backup-engine"],
        "user": {"username": "u", "uid": "1", "groups": ["g"], "extra": {"a": ["b"]}},
    }
    assert parse_token_review(accepted) == ClusterUser("u", "1", ("g",), {"a": ("b",)})
    changes: tuple[dict[str, object], ...] = (
        {"authenticated": False},
        {"audiences": ["https://kubernetes.default.svc"]},
        {"audiences": None},
        {"user": {}},
    )
    for change in changes:
        assert parse_token_review({**accepted, **change}) is None
    assert parse_token_review({}) is None
