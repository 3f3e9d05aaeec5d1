"""TLS of the server: given certificates, or ones of its own making."""

import asyncio
import datetime as dt
import ipaddress
import logging
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backup_engine.errors import EngineError

logger = logging.getLogger(__name__)

CA_LIFETIME: Final = dt.timedelta(days=3650)
SERVER_LIFETIME: Final = dt.timedelta(days=365)
RENEW_BEFORE: Final = dt.timedelta(days=30)
BACKDATED: Final = dt.timedelta(minutes=5)  # clocks of clients may be behind
RELOAD_S: Final = 30.0
CERTIFICATE_DIRECTORY_MODE: Final = 0o700


class TlsError(EngineError):
    """A certificate or key that cannot be used."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Certificate chain and private key, in PEM."""

    certificate: Path
    key: Path


def build_server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Build the server's TLS context, 1.2 and up; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, files)
    return context


def load_certificate(context: ssl.SSLContext, files: CertificateFiles) -> None:
    """Load certificate and key, for new connections also while serving; raises TlsError."""
    try:
        # the password keeps OpenSSL from asking the terminal for one
        context.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ssl.SSLError) as trouble:
        reason = trouble.reason if isinstance(trouble, ssl.SSLError) else trouble.strerror
        raise TlsError(
            f"TLS certificate {files.certificate} with key {files.key}: {reason}; expected PEM"
            " files that belong together, the key without a password"
        ) from trouble


async def keep_certificate_fresh(context: ssl.SSLContext, files: CertificateFiles) -> None:
    """Load the files again whenever they change, until cancelled."""
    seen = await asyncio.to_thread(_fingerprint, files)
    while True:
        await asyncio.sleep(RELOAD_S)
        now = await asyncio.to_thread(_fingerprint, files)
        if now == seen:
            continue
        try:
            await asyncio.to_thread(load_certificate, context, files)
        except TlsError as trouble:  # half replaced, perhaps: the next look tells
            logger.error("%s; the one loaded before stays in use", trouble)  # noqa: TRY400
            continue
        seen = now
        logger.info("TLS certificate %s was read again", files.certificate)


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
        if ca is None or _is_ending(ca[0], now + SERVER_LIFETIME):
            ca = _make_ca(now)
            _write_pair(ca_files, *ca)
            files.certificate.unlink(missing_ok=True)  # signed by the former CA
        server = _find_pair(files)
        if server is None or _is_ending(server[0], now) or _names_of(server[0]) != set(wanted):
            _write_pair(files, *_make_server(ca, wanted, now))
    except ValueError as trouble:  # of x509.DNSName
        raise TlsError(f"a name of the server is no host name: {trouble}") from trouble
    except OSError as trouble:
        raise TlsError(f"TLS directory {directory}: {trouble.strerror}") from trouble
    return files


_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _make_ca(now: dt.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _common_name(f"backup-engine CA {x509.random_serial_number():x}"[:40])
    usage = _key_usage(is_ca=True)
    certificate = (
        _build(name, name, key.public_key(), now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_server(ca: _Pair, names: tuple[str, ...], now: dt.datetime) -> _Pair:
    ca_certificate, ca_key = ca
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    certificate = (
        _build(_common_name("backup-engine"), ca_certificate.subject, public, now, SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    return certificate, key


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    }


def _is_ending(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return certificate.not_valid_after_utc - RENEW_BEFORE < now


def _find_pair(files: CertificateFiles) -> _Pair | None:
    """Read a pair; None if a file is missing, unreadable as PEM, or they do not match."""
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return (certificate, key) if certificate.public_key() == key.public_key() else None


def _write_pair(
    files: CertificateFiles, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # a crash in between leaves a pair that does not match, and is made anew
    _write_private(files.key, pem)
    _write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    files.certificate.chmod(0o644)


def _write_private(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.rename(path)


def _fingerprint(files: CertificateFiles) -> tuple[tuple[int, int] | None, ...]:
    return tuple(
        (state.st_mtime_ns, state.st_ino) if state is not None else None
        for state in (_find_state(files.certificate), _find_state(files.key))
    )


def _find_state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
