"""HTTP basic, the cookie that it earns, and what wrong guesses cost (spec §2.2, §14 no. 6)."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest

from backup_engine import __main__ as command
from backup_engine.auth import throttle
from backup_engine.auth.passwords import UsersFileError, hash_password, parse_users_file
from backup_engine.auth.sessions import build_session, parse_session
from backup_engine.auth.throttle import Throttle
from listserver import ListServer
from localengine import BACKUPS, TOKEN, LocalEngine, local_engine

PASSWORD = "correct horse: battery"
OTHER = "something else entirely"
ABOUT = "/api/system/about"
LOGOUT = "/api/auth/logout"


@cache
def hashed(password: str) -> str:
    return hash_password(password)


class Clock:
    now = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


@pytest.fixture
async def engine(
    tmp_path: Path, source: ListServer, database_url: str
) -> AsyncIterator[LocalEngine]:
    """An engine that knows ada by her password; requests bring no credentials of their own."""
    clock = Clock()
    users = f"# people\n\nada:{hashed(PASSWORD)}\n"
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(
        tmp_path, kubeconfig, users=users, clock=lambda: clock.now, database_url=database_url
    ) as engine:
        engine.client.headers.pop("SEC")
        yield engine


async def basic(
    engine: LocalEngine, name: str = "ada", password: str = PASSWORD
) -> httpx2.Response:
    return await engine.send("GET", ABOUT, auth=httpx2.BasicAuth(name, password))


def cookie_of(answer: httpx2.Response) -> str:
    return SimpleCookie(answer.headers["Set-Cookie"])["SEC"].value


async def with_cookie(engine: LocalEngine, cookie: str, path: str = ABOUT) -> httpx2.Response:
    engine.client.cookies.clear()  # else the client's own jar would speak as well
    method = "POST" if path == LOGOUT else "GET"
    accepted = {"Accept": "text/plain"} if path == LOGOUT else {}
    return await engine.send(method, path, headers={"Cookie": f"a=b; SEC={cookie}", **accepted})


async def test_a_password_lets_in_and_names_who_began_a_backup(engine: LocalEngine) -> None:
    answer = await engine.send(
        "POST",
        BACKUPS,
        auth=httpx2.BasicAuth("ada", PASSWORD),
        headers={"backup_type": "CONFIG"},
        json={"name": "first", "configuration_id": 1},
    )
    assert answer.status_code == 201
    assert answer.json()["intiated_by"] == "ada"


@pytest.mark.parametrize(
    ("name", "password"), [("ada", OTHER), ("bob", PASSWORD), ("", PASSWORD), ("ada", "")]
)
async def test_a_wrong_name_or_password_is_refused(
    engine: LocalEngine, name: str, password: str
) -> None:
    answer = await basic(engine, name, password)
    assert (answer.status_code, answer.json()["code"]) == (401, 18)
    assert "No SEC header present in request" in answer.json()["message"]
    assert "Basic" in answer.headers["WWW-Authenticate"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("written", ["", "%%%", "YQ", "/////w==", "Og=="])
async def test_basic_credentials_that_cannot_be_read(engine: LocalEngine, written: str) -> None:
    answer = await engine.send("GET", ABOUT, headers={"Authorization": f"Basic {written}"})
    assert (answer.status_code, answer.json()["code"]) == (401, 18)


async def test_without_a_users_file_no_password_is_right(resting: LocalEngine) -> None:
    resting.client.headers.pop("SEC")
    answer = await basic(resting)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_cookie_of_a_password_lets_in_by_itself(engine: LocalEngine) -> None:
    answer = await basic(engine)
    attributes = answer.headers["Set-Cookie"].split("; ")[1:]
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(attributes)
    again = await with_cookie(engine, cookie_of(answer))
    assert again.status_code == 200
    assert "Set-Cookie" not in again.headers


async def test_logout_ends_the_session_on_every_engine(
    engine: LocalEngine, tmp_path: Path, source: ListServer, database_url: str
) -> None:
    cookie, other = cookie_of(await basic(engine)), cookie_of(await basic(engine))
    answer = await with_cookie(engine, cookie, LOGOUT)
    assert answer.status_code == 200
    assert cookie_of(answer) == ""
    assert (await with_cookie(engine, cookie)).status_code == 401
    assert (await with_cookie(engine, other)).status_code == 200
    users = (tmp_path / "users").read_text()
    kubeconfig = source.kubeconfig(tmp_path)
    async with local_engine(
        tmp_path, kubeconfig, users=users, clock=lambda: Clock.now, database_url=database_url
    ) as second:
        second.client.headers.pop("SEC")
        assert (await with_cookie(second, cookie)).status_code == 401
        assert (await with_cookie(second, other)).status_code == 200


async def test_logout_needs_credentials_and_answers_plain_text(engine: LocalEngine) -> None:
    assert (await engine.send("POST", LOGOUT)).status_code == 401
    headers = {"SEC": TOKEN}
    assert (await engine.send("POST", LOGOUT, headers=headers)).json()["code"] == 3
    answer = await engine.send("POST", LOGOUT, headers={**headers, "Accept": "*/*"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert (await engine.send("GET", LOGOUT, headers=headers)).status_code == 405


async def test_a_session_ends_with_its_hour_and_with_the_password(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_engine.auth.watched_file.RECHECK_S", 0.0)
    cookie = cookie_of(await basic(engine))
    monkeypatch.setattr(Clock, "now", Clock.now + timedelta(minutes=59))
    assert (await with_cookie(engine, cookie)).status_code == 200
    (tmp_path / "users").write_text(f"ada:{hashed(OTHER)}\n")
    assert (await with_cookie(engine, cookie)).status_code == 401
    (tmp_path / "users").write_text(f"#\nada:{hashed(PASSWORD)}\n")
    assert (await with_cookie(engine, cookie)).status_code == 200
    monkeypatch.setattr(Clock, "now", Clock.now + timedelta(minutes=2))
    assert (await with_cookie(engine, cookie)).status_code == 401


async def test_the_value_of_the_cookie_lets_in_as_a_sec_header_and_comes_again(
    engine: LocalEngine,
) -> None:
    session = cookie_of(await basic(engine))
    engine.client.cookies.clear()

    answer = await engine.send("GET", ABOUT, headers={"SEC": session})

    assert answer.status_code == 200
    assert cookie_of(answer) == session
    assert (await engine.send("GET", ABOUT, headers={"SEC": f"{session}x"})).status_code == 401


async def test_a_cookie_that_was_tampered_with_is_worth_nothing(engine: LocalEngine) -> None:
    session = parse_session(cookie_of(await basic(engine)))
    assert session is not None
    password = parse_users_file(f"ada:{hashed(PASSWORD)}", Path("f"))["ada"]
    forged = build_session(b"another key", "ada", password, now_s=session.until_s)
    later = session.text.replace(str(session.until_s), str(session.until_s + 9))
    for cookie in ("", "a.b.c", "a.1.%.d", "a.b.YQ==.d", TOKEN, forged.text, later):
        assert (await with_cookie(engine, cookie)).status_code == 401
    assert parse_session("a.².YQ==.d") is None


async def test_the_sec_header_counts_before_a_password(engine: LocalEngine) -> None:
    right, wrong = httpx2.BasicAuth("ada", PASSWORD), httpx2.BasicAuth("ada", OTHER)
    answer = await engine.send("GET", ABOUT, auth=wrong, headers={"SEC": TOKEN})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    answer = await engine.send("GET", ABOUT, auth=right, headers={"SEC": "x" * 36})
    assert answer.status_code == 401


async def test_the_sec_header_is_known_even_where_guessing_is_blocked(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "BLOCKING_FAILURES", 3)
    for _ in range(3):
        assert "Retry-After" not in (await basic(engine, password=OTHER)).headers
    blocked = await basic(engine)  # the right one, for guessing must not find it out
    assert (blocked.status_code, blocked.json()["code"]) == (401, 18)
    assert 0 < int(blocked.headers["Retry-After"]) <= throttle.WINDOW_S
    answer = await engine.send("GET", ABOUT, headers={"SEC": TOKEN})
    assert answer.status_code == 200


async def test_no_password_and_no_cookie_is_ever_logged(
    engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        cookie = cookie_of(await basic(engine))
        await basic(engine, password=OTHER)
        await with_cookie(engine, cookie, LOGOUT)
    for secret in (PASSWORD, OTHER, cookie, hashed(PASSWORD)):
        assert secret not in caplog.text


async def test_each_further_failure_is_told_later_but_only_to_who_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Throttle()
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr("backup_engine.auth.throttle.asyncio.sleep", sleep)
    for _ in range(throttle.FREE_FAILURES):
        await slow.note_failure("192.0.2.1")
    assert delays == []
    await slow.note_failure("192.0.2.1")
    await slow.note_failure("192.0.2.1")
    assert delays == [throttle.FIRST_DELAY_S, 2 * throttle.FIRST_DELAY_S]
    await slow.note_failure("192.0.2.2")
    assert len(delays) == 2


async def test_addresses_of_one_ipv6_network_are_one_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "BLOCKING_FAILURES", 2)
    strict = Throttle()
    await strict.note_failure("2001:db8::1")
    await strict.note_failure("2001:db8::ffff:2")
    assert strict.find_block("2001:db8::3") is not None
    assert strict.find_block("2001:db8:0:1::3") is None


async def test_failures_are_forgotten_and_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "BLOCKING_FAILURES", 1)
    monkeypatch.setattr(throttle, "CLIENTS", 2)
    small = Throttle()
    for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        await small.note_failure(client)
    assert small.find_block("192.0.2.1") is None
    assert small.find_block("192.0.2.3") is not None
    monkeypatch.setattr(throttle, "WINDOW_S", 0.0)
    assert small.find_block("192.0.2.3") is None


async def test_answers_held_back_do_not_use_up_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "FREE_FAILURES", 0)
    monkeypatch.setattr(throttle, "WAITING", 2)
    monkeypatch.setattr(throttle, "FIRST_DELAY_S", 30.0)
    monkeypatch.setattr(throttle, "LONGEST_DELAY_S", 30.0)
    crowded = Throttle()
    held = [asyncio.create_task(crowded.note_failure("192.0.2.1")) for _ in range(2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(100):
        await crowded.note_failure("192.0.2.1")
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no user"),
        ("# nobody\n", "holds no user"),
        ("ada\n", "line 1: expected name:hash"),
        (":x\n", "line 1: expected name:hash"),
        ("\nada:plain password\n", "line 2: the hash of 'ada' is none"),
        ("ada:scrypt$1000$8$1$AAAA$AAAA\n", "is none"),
        (f"ada:scrypt$1048576$8$1${'A' * 24}${'A' * 44}\n", "is none"),
        (f"ada:scrypt$32768$8$1$AAAA${'A' * 44}\n", "is none"),
    ],
)
def test_a_users_file_that_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsersFileError, match=problem):
        parse_users_file(text, Path("users"))


def test_a_user_stands_in_the_file_once() -> None:
    with pytest.raises(UsersFileError, match="line 2: the user 'ada' stands there twice"):
        parse_users_file(f"ada:{hashed(PASSWORD)}\n" * 2, Path("users"))


def test_the_command_hashes_what_it_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert command.main(["hash-password"]) == 0
    written = capsys.readouterr().out
    user = parse_users_file(f"ada:{written}", Path("users"))["ada"]
    assert user.matches(PASSWORD)
    assert not user.matches(f"{PASSWORD} ")
    assert PASSWORD not in written

    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert command.main(["hash-password"]) == 3
    assert "expected 8 to 1024" in capsys.readouterr().err
