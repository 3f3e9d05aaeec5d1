"""Whose signature counts: certificates that chain to a CA of the truststore (spec §10, signing)."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from backup_engine.archive.envelope import ALGORITHM, SIGNATURE_PATH, Signature
from backup_engine.archive.errors import ArchiveUntrustedError, SigningError
from backup_engine.archive.manifest import parse_document


@dataclass(frozen=True, slots=True)
class Trust:
    """The CAs that are trusted, and whether an archive without signature is refused."""

    authorities: tuple[x509.Certificate, ...]
    is_signature_required: bool = False


def load_trust(truststore: Path, *, is_signature_required: bool = False) -> Trust:
    """Read all certificates (``*.crt``, PEM) of a folder; empty or absent: nobody is trusted.

    Blocks. Raises SigningError for a file that is no certificate.
    """
    found: list[x509.Certificate] = []
    for file in sorted(truststore.glob("*.crt")):
        try:
            found += x509.load_pem_x509_certificates(file.read_bytes())
        except ValueError as trouble:
            raise SigningError("TruststoreUnreadable", f"{file}: no PEM: {trouble}") from trouble
        except OSError as trouble:
            raise SigningError("TruststoreUnreadable", f"{file}: {trouble.strerror}") from trouble
    return Trust(tuple(found), is_signature_required)


def ensure_signature(content: bytes, stored: bytes, valid_at_ms: int | None, trust: Trust) -> None:
    """Raise ArchiveUntrustedError unless ``stored`` is a trusted signature of ``content``.

    ``valid_at_ms`` is the time at which certificates are judged; None is never trusted. Reasons:
    SignatureUnreadable, SignerUnknown, SignerUnfit, SignerNotYetValid, SignerExpired,
    SignatureMismatch. Raises ArchiveDamagedError for a member that is no document of ours.
    """
    told = parse_document(stored, Signature, SIGNATURE_PATH)
    signature, signer = _parse(told)
    if valid_at_ms is None:
        raise ArchiveUntrustedError(
            "SignatureUnreadable", "the table of members names no time at which it was signed"
        )
    moment = datetime.fromtimestamp(valid_at_ms / 1000, tz=UTC)
    authority = _find_issuer(signer, trust)
    for role, certificate in (("CA", authority), ("signer", signer)):
        _ensure_in_time(role, certificate, moment)
    key = _get_signing_key(signer)
    try:
        key.verify(signature, content)
    except InvalidSignature as mismatch:
        raise ArchiveUntrustedError(
            "SignatureMismatch",
            f"the signature by {_name(signer)} is of other bytes: the archive was changed, or the"
            " signature is another one's",
        ) from mismatch


def _parse(told: Signature) -> tuple[bytes, x509.Certificate]:
    """Return signature and signer; further certificates help people only, and are not read."""
    if told.algorithm != ALGORITHM:
        raise ArchiveUntrustedError(
            "SignatureUnreadable",
            f"{SIGNATURE_PATH}: algorithm {told.algorithm!r}; this program knows {ALGORITHM} only",
        )
    if not told.certificates:
        raise ArchiveUntrustedError("SignatureUnreadable", f"{SIGNATURE_PATH}: no certificate")
    try:
        signature = base64.b64decode(told.signature, validate=True)
        return signature, x509.load_pem_x509_certificate(told.certificates[0].encode())
    except (ValueError, binascii.Error) as trouble:
        raise ArchiveUntrustedError(
            "SignatureUnreadable", f"{SIGNATURE_PATH}: {trouble}"
        ) from trouble


def _find_issuer(signer: x509.Certificate, trust: Trust) -> x509.Certificate:
    for authority in trust.authorities:
        try:
            signer.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue  # another CA, or one of a kind that cannot have issued it
        if _is_authority(authority):
            return authority
    raise ArchiveUntrustedError(
        "SignerUnknown",
        f"signed by {_name(signer)}, issued by {signer.issuer.rfc4514_string() or 'nobody'}, which"
        f" is none of the {len(trust.authorities)} CAs of the truststore",
    )


def _ensure_in_time(role: str, certificate: x509.Certificate, moment: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= moment <= end:
        return
    raise ArchiveUntrustedError(
        "SignerNotYetValid" if moment < begin else "SignerExpired",
        f"the {role} certificate {_name(certificate)} is valid from {begin:%Y-%m-%d %H:%M} to"
        f" {end:%Y-%m-%d %H:%M}, not at {moment:%Y-%m-%d %H:%M} UTC when the archive was signed",
    )


def _get_signing_key(signer: x509.Certificate) -> Ed25519PublicKey:
    """Return the key of a certificate that is meant for signing, and for nothing else."""
    key = signer.public_key()
    if isinstance(key, Ed25519PublicKey) and _is_signer(signer):
        return key
    raise ArchiveUntrustedError(
        "SignerUnfit",
        f"the certificate {_name(signer)} is not for signing archives; expected an Ed25519 key,"
        " key usage digitalSignature, extended key usage codeSigning, and no CA",
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        return (
            extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            and extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        )
    except (x509.ExtensionNotFound, ValueError):
        return False


def _is_signer(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        return (
            not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            and extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
            and ExtendedKeyUsageOID.CODE_SIGNING
            in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
    except (x509.ExtensionNotFound, ValueError):
        return False


def _name(certificate: x509.Certificate) -> str:
    return f"{certificate.subject.rfc4514_string()} (serial {certificate.serial_number:x})"
