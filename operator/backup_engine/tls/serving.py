"""The server's TLS context, and keeping its certificate fresh."""

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
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


async def reload_certificate(context: ssl.SSLContext, files: CertificateFiles) -> None:
    """Load certificate and key into a context that serves; raises TlsError.

    Tried on another context first, in a thread; then on the loop, which handshakes run on, too:
    OpenSSL takes first the one and then the other, and in between every handshake would fail.
    """
    await asyncio.to_thread(build_server_context, files)
    load_certificate(context, files)


async def keep_certificate_fresh(
    context: ssl.SSLContext,
    files: CertificateFiles,
    ensure: Callable[[], object] | None = None,
) -> None:
    """Load the files again whenever they change, until cancelled.

    ``ensure`` is called before each look, in a thread: it renews what is about to end, or raises
    TlsError. None: somebody else renews the files.
    """
    seen = await asyncio.to_thread(_fingerprint, files)
    while True:
        await asyncio.sleep(RELOAD_S)
        try:
            if ensure is not None:
                await asyncio.to_thread(ensure)
            now = await asyncio.to_thread(_fingerprint, files)
            if now == seen:
                continue
            await reload_certificate(context, files)
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
