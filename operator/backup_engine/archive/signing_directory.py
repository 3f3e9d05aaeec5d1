"""The folder with the keys that sign archives: made on first use, renewed in time (spec §10).

| place | content |
|---|---|
| ``ca/ca.pem`` | private key and certificate of the CA, 730 days |
| ``signer/signer.pem`` | private key and certificate of the signer, 365 days, and its CA's |
| ``truststore/*.crt`` | certificates of the CAs that are trusted: all of ours, and any other |

Key and certificate share a file, so that a crash cannot leave one without the other. A CA goes to
the truststore before its first signature; removing it there is how it loses its trust.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backup_engine.archive.errors import SigningError
from backup_engine.archive.signing import Signer
from backup_engine.archive.trust import Trust, load_trust

CA_LIFETIME: Final = timedelta(days=730)
SIGNER_LIFETIME: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
BACKDATED: Final = timedelta(minutes=5)  # the first backup began before its keys were made
DIRECTORY_MODE: Final = 0o700
PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644

_PLACES: Final = re.compile(r"(ca|signer)\.pem|[A-Za-z0-9_-][A-Za-z0-9_.-]*\.crt", re.ASCII)


@dataclass(frozen=True, slots=True)
class SigningDirectory:
    """Keys and truststore below ``path``. All methods block; several processes may share it."""

    path: Path

    @property
    def ca(self) -> Path:
        """Private key and certificate of the CA."""
        return self.path / "ca" / "ca.pem"

    @property
    def signer(self) -> Path:
        """Private key and certificate chain of the signer."""
        return self.path / "signer" / "signer.pem"

    @property
    def truststore(self) -> Path:
        """Folder with the certificates of trusted CAs."""
        return self.path / "truststore"

    def ensure_signer(self, now: datetime, renew_before: timedelta = RENEW_BEFORE) -> Signer:
        """Return the signer to be used at ``now``, made or renewed where needed.

        ``renew_before`` is how long before its end it is renewed. Raises SigningError, also for a
        file that cannot be read: a key is never replaced because it looks odd.
        """
        try:
            self._make_directories()
            with _locked(self.path / "lock"):
                signer = _find_signer(self.signer)
                if signer is None or _is_ending(signer, now, renew_before):
                    signer = _make_signer(self._ensure_ca(now), now)
                    _write(self.signer, _to_pem(signer), PRIVATE_MODE)
                return signer
        except OSError as trouble:
            raise _unusable(self.path, trouble) from trouble

    def load_trust(self, *, is_signature_required: bool = False) -> Trust:
        """Read the truststore, old CAs and all; empty or absent: nobody is trusted.

        Raises SigningError for a file that is no certificate.
        """
        return load_trust(self.truststore, is_signature_required=is_signature_required)

    def dump(self) -> dict[str, bytes]:
        """Return keys and truststore as ``ca.pem``, ``signer.pem`` and ``*.crt``.

        Raises SigningError.
        """
        try:
            with _locked(self.path / "lock"):
                files = [self.ca, self.signer, *self.truststore.glob("*.crt")]
                return {file.name: file.read_bytes() for file in files if file.is_file()}
        except OSError as trouble:
            raise _unusable(self.path, trouble) from trouble

    def load(self, content: Mapping[str, bytes]) -> None:
        """Make the directory hold what ``dump`` returned, and nothing else; raises SigningError."""
        if unknown := [name for name in content if not _PLACES.fullmatch(name)]:
            raise SigningError(
                "SigningKeyUnreadable",
                f"expected {self.ca.name}, {self.signer.name} and certificates with the ending"
                f" .crt, found {', '.join(sorted(unknown))}",
            )
        try:
            self._make_directories()
            with _locked(self.path / "lock"):
                wanted = {self._place(name): value for name, value in content.items()}
                # the truststore first, and what is no longer trusted last
                for file, value in sorted(wanted.items(), key=lambda each: each[0].suffix):
                    if not file.is_file() or file.read_bytes() != value:
                        is_public = file.parent == self.truststore
                        _write(file, value, PUBLIC_MODE if is_public else PRIVATE_MODE)
                for file in (self.ca, self.signer, *self.truststore.glob("*.crt")):
                    if file not in wanted:
                        file.unlink(missing_ok=True)
        except OSError as trouble:
            raise _unusable(self.path, trouble) from trouble

    def _place(self, name: str) -> Path:
        for file in (self.ca, self.signer):
            if name == file.name:
                return file
        return self.truststore / name

    def _make_directories(self) -> None:
        for directory in (self.path, self.ca.parent, self.signer.parent, self.truststore):
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)

    def _ensure_ca(self, now: datetime) -> Signer:
        ca = _find_signer(self.ca)
        # a signer must not outlive its CA
        if ca is None or ca.chain[0].not_valid_after_utc < now + SIGNER_LIFETIME:
            ca = _make_ca(now)
            certificate = ca.chain[0]
            mark = certificate.fingerprint(hashes.SHA256()).hex()[:16]
            public = certificate.public_bytes(Encoding.PEM)
            _write(self.truststore / f"{mark}.crt", public, PUBLIC_MODE)
            _write(self.ca, _to_pem(ca), PRIVATE_MODE)
        return ca


def _is_ending(signer: Signer, now: datetime, renew_before: timedelta) -> bool:
    return signer.chain[0].not_valid_after_utc - renew_before < now


def _make_ca(now: datetime) -> Signer:
    key = Ed25519PrivateKey.generate()
    name = _build_name(f"backup-engine archive CA {now:%Y-%m-%d}")
    certificate = (
        _build_certificate(name, name, key.public_key(), now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_build_usage(is_ca=True), critical=True)
        .sign(key, algorithm=None)
    )
    return Signer(key, (certificate,))


def _make_signer(ca: Signer, now: datetime) -> Signer:
    key = Ed25519PrivateKey.generate()
    name = _build_name(f"backup-engine archive signer {now:%Y-%m-%d}")
    issuer = ca.chain[0]
    certificate = (
        _build_certificate(name, issuer.subject, key.public_key(), now, SIGNER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_build_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()),
            critical=False,
        )
        .sign(ca.key, algorithm=None)
    )
    return Signer(key, (certificate, issuer))


def _build_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: Ed25519PublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _build_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _build_usage(*, is_ca: bool) -> x509.KeyUsage:
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


def _to_pem(signer: Signer) -> bytes:
    key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in signer.chain)


def _find_signer(file: Path) -> Signer | None:
    """Read key and certificates; None if the file is absent, SigningError if it is no such file."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = load_pem_private_key(content, password=None)
        chain = tuple(x509.load_pem_x509_certificates(content))
    except (ValueError, TypeError):
        # the cause is left out on purpose: it might show some of the key
        raise _unreadable(file) from None
    if not isinstance(key, Ed25519PrivateKey) or chain[0].public_key() != key.public_key():
        raise _unreadable(file)
    return Signer(key, chain)


def _unusable(path: Path, trouble: OSError) -> SigningError:
    return SigningError("SigningKeyUnreadable", f"{trouble.filename or path}: {trouble.strerror}")


def _unreadable(file: Path) -> SigningError:
    return SigningError(
        "SigningKeyUnreadable",
        f"{file}: expected PEM with an Ed25519 key, then its certificate; restore the file, or"
        " remove it and a new key is made",
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    """Replace ``file`` at once; durable, for archives signed by a lost CA are not trusted."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(file)
    directory = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the folder's lock: two processes on first use must agree on one CA."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
