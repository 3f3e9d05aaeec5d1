"""The server's certificate in a Secret: one CA for all engines behind one Service.

``ca.key`` in the Secret says that the engine made it, and that it may renew it. Without that key
it is somebody else's, such as cert-manager's, and only read. Clients need ``ca.crt`` alone: it is
copied to a second Secret, so that whoever may read that one learns no key.
"""

import asyncio
import datetime as dt
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from backup_engine.cluster_keys.secrets import (
    OPAQUE,
    TLS,
    ClusterSecrets,
    SecretChangedError,
    SecretError,
    SecretRef,
    StoredSecret,
)
from backup_engine.tls.certificates import (
    SERVER_LIFETIME,
    certificate_to_pem,
    is_ending,
    key_to_pem,
    make_ca,
    make_server,
    names_of,
    parse_pair,
)
from backup_engine.tls.directory import write_private
from backup_engine.tls.errors import TlsError
from backup_engine.tls.serving import CertificateFiles, reload_certificate

logger = logging.getLogger(__name__)

CA: Final = "ca.crt"
CA_KEY: Final = "ca.key"
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
PUBLIC_SUFFIX: Final = "-ca"

LOOK_S: Final = 60.0
TRIES: Final = 10  # each lost to another engine, which has then made what was wanted


def renew(
    kept: Mapping[str, bytes], names: Sequence[str], now: dt.datetime
) -> dict[str, bytes] | None:
    """Return what the Secret should hold; None: what it holds is good. Raises TlsError.

    A new CA is added before the former one in ``ca.crt``, for clients that have met neither.
    """
    if kept and CA_KEY not in kept:
        if CERTIFICATE not in kept or KEY not in kept:
            raise TlsError(f"expected the keys {CERTIFICATE} and {KEY}, found {sorted(kept)}")
        return None
    bundle = kept.get(CA, b"")
    ca = parse_pair(bundle, kept.get(CA_KEY, b""))
    server = parse_pair(kept.get(CERTIFICATE, b""), kept.get(KEY, b""))
    if ca is None or is_ending(ca[0], now + SERVER_LIFETIME):
        ca, server = make_ca(now), None
        bundle = certificate_to_pem(ca[0]) + _still_good(bundle, now)
    elif server is not None and not is_ending(server[0], now) and names_of(server[0]) == set(names):
        return None
    try:
        server = make_server(ca, tuple(dict.fromkeys(names)), now)
    except ValueError as trouble:
        raise TlsError(f"a name of the server is no host name: {trouble}") from trouble
    return {
        CA: bundle,
        CA_KEY: key_to_pem(ca[1]),
        CERTIFICATE: certificate_to_pem(server[0]),
        KEY: key_to_pem(server[1]),
    }


def _still_good(bundle: bytes, now: dt.datetime) -> bytes:
    try:
        former = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return b""
    return b"".join(certificate_to_pem(each) for each in former if each.not_valid_after_utc > now)


@dataclass(frozen=True, slots=True)
class SharedCertificate:
    """A certificate that all engines of one Service take from one Secret.

    ``directory`` gets a copy for the TLS library, which reads files only.
    """

    secrets: ClusterSecrets
    ref: SecretRef
    directory: Path
    names: Sequence[str]
    clock: Callable[[], dt.datetime]

    @property
    def files(self) -> CertificateFiles:
        """Where the copy lies."""
        return CertificateFiles(self.directory / CERTIFICATE, self.directory / KEY)

    async def ensure(self) -> bool:
        """Have the files hold the Secret's certificate, made or renewed where needed.

        Returns whether they changed; raises SecretError, TlsError.
        """
        try:
            data = await self._ensure_secret()
            await self._publish(data.get(CA, b""))
        except SecretChangedError as trouble:
            raise SecretError(
                f"Secret {self.ref}: others keep changing it; who writes it beside the engine?"
            ) from trouble
        except TlsError as trouble:
            raise TlsError(f"Secret {self.ref}: {trouble}") from trouble
        return await asyncio.to_thread(self._write, data)

    async def keep_fresh(self, context: ssl.SSLContext) -> None:
        """Look at the Secret again and again, until cancelled; what changed serves at once."""
        is_well = True
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if await self.ensure():
                    await reload_certificate(context, self.files)
                    logger.info("TLS certificate of Secret %s was read again", self.ref)
            except (SecretError, TlsError) as trouble:
                if is_well:  # once, not every minute
                    logger.error("%s; the certificate in use stays", trouble)  # noqa: TRY400
                is_well = False
            else:
                is_well = True

    async def _ensure_secret(self) -> Mapping[str, bytes]:
        for _ in range(TRIES):
            stored = await self.secrets.find(self.ref)
            data = stored.data if stored is not None else {}
            wanted = renew(data, self.names, self.clock())
            if wanted is None:
                return data
            try:
                await self._store(self.ref, stored, wanted, TLS)
            except SecretChangedError:
                continue  # another engine was faster, and what it made is good for us as well
            return wanted
        raise SecretChangedError(str(self.ref))

    async def _publish(self, ca: bytes) -> None:
        if not ca:  # somebody else's certificate, of a public authority perhaps
            return
        public = SecretRef(f"{self.ref.name}{PUBLIC_SUFFIX}", self.ref.namespace)
        for _ in range(TRIES):
            stored = await self.secrets.find(public)
            if stored is not None and stored.data.get(CA) == ca:
                return
            try:
                await self._store(public, stored, {CA: ca}, OPAQUE)
            except SecretChangedError:
                continue
            return
        raise SecretChangedError(str(public))

    async def _store(
        self, ref: SecretRef, stored: StoredSecret | None, data: Mapping[str, bytes], kind: str
    ) -> None:
        if stored is None:
            await self.secrets.create(ref, data, kind)
        else:
            await self.secrets.replace(ref, stored, data)

    def _write(self, data: Mapping[str, bytes]) -> bool:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            files = self.files
            wanted = {files.key: data[KEY], files.certificate: data[CERTIFICATE]}
            if all(path.is_file() and path.read_bytes() == each for path, each in wanted.items()):
                return False
            for path, content in wanted.items():
                write_private(path, content)
        except OSError as trouble:
            raise TlsError(f"TLS directory {self.directory}: {trouble.strerror}") from trouble
        return True
