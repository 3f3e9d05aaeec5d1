"""The signature of an archive: Ed25519 over its table of members, with the signer's certificate."""

import base64
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from backup_engine.archive.envelope import ALGORITHM, Signature
from backup_engine.archive.errors import SigningError
from backup_engine.archive.manifest import THIS_FORMAT, encode_document


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its certificate chain, the signer's own first, then its CA."""

    key: Ed25519PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]

    def choose_time_ms(self, time_initiated_ms: int) -> int:
        """Return the time at which readers shall judge the certificates, in epoch ms.

        The backup's beginning, or the certificate's where that is later: no clock, so the same
        backup gets the same bytes. Raises SigningError if the certificate ended before that.
        """
        certificate = self.chain[0]
        begin_ms = int(certificate.not_valid_before_utc.timestamp()) * 1000
        end_ms = int(certificate.not_valid_after_utc.timestamp()) * 1000
        if time_initiated_ms > end_ms:
            raise SigningError(
                "SignerExpired",
                f"the signer certificate ended {certificate.not_valid_after_utc:%Y-%m-%d}, before"
                " the backup began; renew it",
            )
        return max(time_initiated_ms, begin_ms)

    def sign(self, content: bytes) -> bytes:
        """Build the content of the signature member; the same input gives the same bytes."""
        return encode_document(
            Signature(
                format=THIS_FORMAT,
                algorithm=ALGORITHM,
                certificates=tuple(
                    certificate.public_bytes(Encoding.PEM).decode() for certificate in self.chain
                ),
                signature=base64.b64encode(self.key.sign(content)).decode(),
            )
        )
