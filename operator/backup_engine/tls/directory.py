"""A folder with a CA and a server certificate of the engine's own making."""

import datetime as dt
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from backup_engine.tls.certificates import (
    SERVER_LIFETIME,
    Pair,
    certificate_to_pem,
    is_ending,
    key_to_pem,
    make_ca,
    make_server,
    names_of,
    parse_pair,
)
from backup_engine.tls.errors import TlsError
from backup_engine.tls.serving import CertificateFiles

CERTIFICATE_DIRECTORY_MODE: Final = 0o700


def ensure_self_signed(directory: Path, names: Iterable[str], now: dt.datetime) -> CertificateFiles:
    """Keep a CA and a server certificate for ``names`` in ``directory``.

    Made if absent, renewed if near their end or if the names changed; clients trust ``ca.crt``,
    which stays the same while the server certificate is renewed. Raises TlsError.
    """
    wanted = tuple(dict.fromkeys(names))
    files = CertificateFiles(directory / "tls.crt", directory / "tls.key")
    ca_files = CertificateFiles(directory / "ca.crt", directory / "ca.key")
    try:
        directory.mkdir(mode=CERTIFICATE_DIRECTORY_MODE, parents=True, exist_ok=True)
        ca = _find_pair(ca_files)
        if ca is None or is_ending(ca[0], now + SERVER_LIFETIME):
            ca = make_ca(now)
            _write_pair(ca_files, ca)
            files.certificate.unlink(missing_ok=True)  # signed by the former CA
        server = _find_pair(files)
        if server is None or is_ending(server[0], now) or names_of(server[0]) != set(wanted):
            _write_pair(files, make_server(ca, wanted, now))
    except ValueError as trouble:  # of x509.DNSName
        raise TlsError(f"a name of the server is no host name: {trouble}") from trouble
    except OSError as trouble:
        raise TlsError(f"TLS directory {directory}: {trouble.strerror}") from trouble
    return files


def _find_pair(files: CertificateFiles) -> Pair | None:
    """Read a pair; None if a file is missing, unreadable as PEM, or they do not match."""
    try:
        return parse_pair(files.certificate.read_bytes(), files.key.read_bytes())
    except FileNotFoundError:
        return None


def _write_pair(files: CertificateFiles, pair: Pair) -> None:
    certificate, key = pair
    # a crash in between leaves a pair that does not match, and is made anew
    write_private(files.key, key_to_pem(key))
    write_private(files.certificate, certificate_to_pem(certificate))
    files.certificate.chmod(0o644)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that only its owner may read."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.rename(path)
