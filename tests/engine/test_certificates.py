import asyncio
import datetime as dt
import socket
import ssl
import stat
import threading
import warnings
from pathlib import Path

import pytest

from backup_engine.tls import serving
from backup_engine.tls.certificates import RENEW_BEFORE, SERVER_LIFETIME
from backup_engine.tls.directory import ensure_self_signed
from backup_engine.tls.errors import TlsError
from backup_engine.tls.serving import (
    CertificateFiles,
    build_server_context,
    keep_certificate_fresh,
    load_certificate,
)

NOW = dt.datetime.now(dt.UTC)
NAMES = ("localhost", "127.0.0.1", "engine.backup.svc")


def greet(
    context: ssl.SSLContext,
    ca: Path,
    name: str,
    *,
    only: ssl.TLSVersion | None = None,
    shown: list[bytes | None] | None = None,
) -> None:
    """Shake hands with a server of ``context`` as a client that trusts ``ca``.

    ``shown`` takes the certificate that the server shows.
    """
    client = ssl.create_default_context(cafile=ca)
    if only is not None:
        client.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL itself would not offer the old
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
            client.minimum_version = client.maximum_version = only
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            context.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname=name) as connection:
            if shown is not None:
                shown.append(connection.getpeercert(binary_form=True))
    finally:
        server.join()


def test_clients_that_trust_the_ca_can_connect_by_every_name(tmp_path: Path) -> None:
    context = build_server_context(ensure_self_signed(tmp_path, NAMES, NOW))
    for name in NAMES:
        greet(context, tmp_path / "ca.crt", name)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(context, tmp_path / "ca.crt", "elsewhere")


def test_keys_are_private(tmp_path: Path) -> None:
    ensure_self_signed(tmp_path, NAMES, NOW)
    for key in tmp_path.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    ensure_self_signed(tmp_path, NAMES, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ensure_self_signed(tmp_path, reversed(NAMES), NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("reason", ["names", "age", "key lost", "torn"])
def test_the_certificate_is_renewed_under_the_same_ca(tmp_path: Path, reason: str) -> None:
    begin = NOW - dt.timedelta(days=340) if reason == "age" else NOW
    files = ensure_self_signed(tmp_path, NAMES, begin)
    ca, old = (tmp_path / "ca.crt").read_bytes(), files.certificate.read_bytes()
    names = NAMES if reason != "names" else (*NAMES, "another.example")
    match reason:
        case "key lost":
            files.key.unlink()
        case "torn":
            files.certificate.write_bytes(old[:100])
    ensure_self_signed(tmp_path, names, NOW)

    assert files.certificate.read_bytes() != old
    assert (tmp_path / "ca.crt").read_bytes() == ca
    greet(build_server_context(files), tmp_path / "ca.crt", "localhost")


def test_a_ca_near_its_end_takes_its_certificates_along(tmp_path: Path) -> None:
    files = ensure_self_signed(tmp_path, NAMES, NOW - dt.timedelta(days=3400))
    ca = (tmp_path / "ca.crt").read_bytes()
    ensure_self_signed(tmp_path, NAMES, NOW)
    assert (tmp_path / "ca.crt").read_bytes() != ca
    greet(build_server_context(files), tmp_path / "ca.crt", "localhost")


def test_a_replaced_certificate_serves_new_connections_of_the_same_context(tmp_path: Path) -> None:
    first = ensure_self_signed(tmp_path / "first", NAMES, NOW)
    second = ensure_self_signed(tmp_path / "second", NAMES, NOW)
    context = build_server_context(first)
    load_certificate(context, second)
    greet(context, tmp_path / "second" / "ca.crt", "localhost")


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_tls_below_1_2_is_refused(tmp_path: Path, version: str) -> None:
    context = build_server_context(ensure_self_signed(tmp_path, NAMES, NOW))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):  # the server's word
        greet(context, tmp_path / "ca.crt", "localhost", only=ssl.TLSVersion[version])


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_from_1_2_on_is_spoken(tmp_path: Path, version: str) -> None:
    context = build_server_context(ensure_self_signed(tmp_path, NAMES, NOW))
    greet(context, tmp_path / "ca.crt", "localhost", only=ssl.TLSVersion[version])


@pytest.mark.parametrize("problem", ["absent", "not PEM", "other key"])
def test_unusable_files_are_explained(tmp_path: Path, problem: str) -> None:
    files = ensure_self_signed(tmp_path / "a", NAMES, NOW)
    other = ensure_self_signed(tmp_path / "b", NAMES, NOW)
    match problem:
        case "absent":
            files = CertificateFiles(tmp_path / "nothing", files.key)
        case "not PEM":
            files.certificate.write_text("hello")
        case _:
            files = CertificateFiles(files.certificate, other.key)
    with pytest.raises(TlsError, match=r"TLS certificate .*expected PEM"):
        build_server_context(files)


def test_a_name_that_is_none_is_explained(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="no host name"):
        ensure_self_signed(tmp_path, ("grüße",), NOW)


@pytest.mark.parametrize("whose", ["own", "given"])
async def test_a_certificate_is_renewed_and_served_while_the_engine_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    monkeypatch.setattr(serving, "RELOAD_S", 0.01)
    made = NOW - SERVER_LIFETIME + RENEW_BEFORE - dt.timedelta(hours=1)  # near its end by now
    files = ensure_self_signed(tmp_path, NAMES, made)
    context = build_server_context(files)
    first = served_by(context, tmp_path / "ca.crt")

    def ensure() -> object:
        return ensure_self_signed(tmp_path, NAMES, NOW)

    keeping = asyncio.create_task(
        keep_certificate_fresh(context, files, ensure if whose == "own" else None)
    )
    try:
        async with asyncio.timeout(100):
            while (second := served_by(context, tmp_path / "ca.crt")) == first:
                if whose == "given":  # as its owner replaces it, say cert-manager
                    ensure()
                    files.certificate.touch()
                await asyncio.sleep(0.02)
    finally:
        keeping.cancel()
    assert second != first  # and a client that trusts the same CA has shaken hands with it


def served_by(context: ssl.SSLContext, ca: Path) -> bytes | None:
    """The certificate that a new client is shown."""
    shown: list[bytes | None] = []
    greet(context, ca, NAMES[0], shown=shown)
    return shown[0]
