"""The server's TLS context, and keeping its certificate fresh."""

import asyncio
import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup_engine.tls.errors import TlsError

logger = logging.getLogger(__name__)

RELOAD_S: Final = 30.0


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
