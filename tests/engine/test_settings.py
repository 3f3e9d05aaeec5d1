from datetime import time
from pathlib import Path
from typing import Any

import pytest

from backup_engine.settings import ListenAddress, UsageError, parse_listen_address, read_settings

BASE: dict[str, Any] = {"listen": "127.0.0.1:8443", "data_dir": "state"}


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0), True),
        ("127.1.2.3:80", ListenAddress("127.1.2.3", 80), True),
        ("[::1]:8443", ListenAddress("::1", 8443), True),
        ("localhost:1", ListenAddress("localhost", 1), True),
        ("0.0.0.0:8443", ListenAddress("0.0.0.0", 8443), False),  # noqa: S104
        ("[::]:8443", ListenAddress("::", 8443), False),
        ("console.example:8443", ListenAddress("console.example", 8443), False),
    ],
)
def test_listen_addresses(text: str, address: ListenAddress, is_loopback: bool) -> None:
    assert parse_listen_address(text) == address
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize("text", ["", "8443", ":8443", "127.0.0.1", "a:b", "::1:80", "a:65536"])
def test_what_is_no_listen_address(text: str) -> None:
    with pytest.raises(UsageError, match="--listen: expected ADDRESS:PORT"):
        read_settings({**BASE, "listen": text, "plain_http": True})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "choose one of"),
        ({"tls_self_signed": True, "plain_http": True}, "choose one of"),
        ({"tls_cert": "c", "tls_key": "k", "tls_self_signed": True}, "choose one of"),
        ({"tls_cert": "c"}, "belong together"),
        ({"listen": "0.0.0.0:80", "plain_http": True}, "--plain-http would send tokens"),
        ({"listen": "[::]:80", "plain_http": True}, "--plain-http would send tokens"),
        ({"plain_http": True, "scan_interval": 0}, "--scan-interval"),
        ({"plain_http": True, "log_level": "loud"}, "--log-level: expected"),
        ({"plain_http": True, "mover_toleration": ["a:Never"]}, "--mover-toleration: expected KEY"),
        ({"plain_http": True, "mover_memory_limit": "much"}, "--mover-memory-limit: expected a q"),
    ],
)
def test_combinations_that_make_no_sense(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_settings({**BASE, **options})


def test_options_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_ENGINE_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("BACKUP_ENGINE_DATA_DIR", "elsewhere")
    monkeypatch.setenv("BACKUP_ENGINE_TLS_SELF_SIGNED", "true")
    monkeypatch.setenv("BACKUP_ENGINE_TLS_NAME", "a.example, b.example")
    monkeypatch.setenv("BACKUP_ENGINE_SCAN_INTERVAL", "5")
    settings = read_settings({"data_dir": Path("state")})

    assert settings.listen == ListenAddress("127.0.0.1", 1)
    assert settings.data_dir == Path("state").absolute()
    assert settings.tls_name == ("a.example", "b.example")
    assert settings.scan_interval == 5


def test_movers_take_what_is_set_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings({**BASE, "plain_http": True}).mover is None
    monkeypatch.setenv("BACKUP_ENGINE_MOVER_TOLERATION", "dedicated=db:NoSchedule, gpu")
    chosen = {"mover_image": "i", "repository_url": "s3://b/p", "mover_memory_limit": "512Mi"}
    mover = read_settings({**BASE, "plain_http": True, **chosen}).mover
    assert mover is not None
    assert (mover.image, mover.cpu_request, mover.memory_limit) == ("i", "100m", "512Mi")
    assert [each["key"] for each in mover.tolerations] == ["dedicated", "gpu"]


def test_a_database_password_is_not_shown() -> None:
    url = "postgresql+asyncpg://user:hunter2@host/db"
    assert "hunter2" not in repr(read_settings({**BASE, "plain_http": True, "database_url": url}))


def test_nightly_runs_begin_at_midnight_utc_unless_told_otherwise() -> None:
    settings = read_settings({**BASE, "plain_http": True})
    assert (settings.nightly_at, settings.time_zone.key) == (time(0, 0), "UTC")
    told = {"nightly_at": "02:30", "time_zone": "Europe/Berlin"}
    settings = read_settings({**BASE, "plain_http": True, **told})
    assert (settings.nightly_at, settings.time_zone.key) == (time(2, 30), "Europe/Berlin")


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("nightly_at", "25:00", "--nightly-at: expected HH:MM"),
        ("time_zone", "Europe/Nowhere", "--time-zone: expected the name of a time zone"),
        ("time_zone", "../etc/passwd", "--time-zone: expected the name of a time zone"),
        ("time_zone", "", "--time-zone: expected the name of a time zone"),
    ],
)
def test_a_nightly_time_that_is_none(option: str, value: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_settings({**BASE, "plain_http": True, option: value})
