"""What the subcommands that need no engine share: places, keys, output, exit codes."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from backup_engine.archive.encryption import Identities, load_identities
from backup_engine.archive.errors import StorageError
from backup_engine.archive.names import parse_safe_name
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore, BucketAccess
from backup_engine.archive.trust import Trust, load_trust

DONE: Final = 0
DIFFERENT: Final = 1
USAGE: Final = 2
TROUBLE: Final = 3
PROGRAM: Final = "backup_engine"
PATIENCE_S: Final = 20.0  # with a bucket that does not answer: somebody is waiting


class ActionParser(argparse.ArgumentParser):
    """Parses a subcommand: options may stand between its positional arguments.

    argparse alone takes ``URL --identity F KIND`` for one argument too many where KIND is optional.
    ``add_options``, if set, is called once this subcommand is the one that was called for.
    """

    add_options: Callable[[argparse.ArgumentParser], None] | None = None
    _is_within = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse all, or end the program with this subcommand's usage."""
        if self._is_within:
            return super().parse_known_args(args, namespace)
        if self.add_options is not None:
            self.add_options(self)
        self._is_within = True
        try:
            found, unknown = self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_within = False
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


class UsageProblemError(Exception):
    """The options make no sense together; ends the program with 2."""


def build_store_url(place: str) -> str:
    """Return ``place`` as a URL: one that is given, or a path made absolute."""
    return place if urlsplit(place).scheme else Path(place).absolute().as_uri()


def split_archive_url(place: str) -> tuple[str, str]:
    """Split URL or path of one archive into the store's URL and the archive's name."""
    store, _, name = build_store_url(place).rpartition("/")
    return store, name


def open_store(arguments: argparse.Namespace, url: str) -> ArchiveStore:
    """Open the store at ``url`` with the credentials that were named.

    Raises UsageProblemError for a URL that nobody serves, StorageError for the credentials.
    """
    try:
        return ArchiveStore.open(url, BucketAccess(arguments.credentials_file, PATIENCE_S))
    except StorageError as trouble:
        if trouble.reason != "StoreUnknown":
            raise
        raise UsageProblemError(str(trouble)) from trouble


def open_place(arguments: argparse.Namespace, place: str) -> tuple[ArchiveStore, str]:
    """Return the store of one archive, opened, and the archive's name.

    Raises UsageProblemError for what can be no archive, StorageError for the credentials.
    """
    url, name = split_archive_url(place)
    if not name:
        raise UsageProblemError(f"{place}: names a store; 'archive list' shows its archives")
    try:
        parse_safe_name(name)
    except ValueError as trouble:
        raise UsageProblemError(f"{place}: {trouble}") from trouble
    return open_store(arguments, url), name


def add_credentials_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--credentials-file``."""
    parser.add_argument(
        "--credentials-file",
        type=Path,
        metavar="F",
        help="credentials of the bucket (default: the environment, as the vendor's tools have it)",
    )


def add_access_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--identity`` and ``--credentials-file``."""
    parser.add_argument(
        "--identity",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="age identity file that opens encrypted archives; repeatable",
    )
    add_credentials_option(parser)


def add_trust_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--truststore`` and ``--require-signature``."""
    parser.add_argument(
        "--truststore",
        type=Path,
        metavar="DIR",
        help="check the signature against the CA certificates (*.crt) in this folder",
    )
    parser.add_argument(
        "--require-signature", action="store_true", help="refuse an archive that is not signed"
    )


async def open_archive(arguments: argparse.Namespace, place: str) -> ArchiveReader:
    """Open the archive at ``place`` with the keys that were named.

    Raises UsageProblemError, ArchiveError.
    """
    trust = await read_trust(arguments)
    store, name = open_place(arguments, place)
    identities = await read_identities(arguments)
    return await ArchiveReader.open(store.reader(name), trust=trust, identities=identities)


async def read_identities(arguments: argparse.Namespace) -> Identities:
    """Load the identity files that were named."""
    return await asyncio.to_thread(load_identities, arguments.identity)


async def read_trust(arguments: argparse.Namespace) -> Trust | None:
    """Load the truststore that was named; None: signatures are not judged.

    Raises UsageProblemError for one that trusts nobody: the archive would get the blame.
    """
    folder: Path | None = arguments.truststore
    if folder is None:
        if arguments.require_signature:
            raise UsageProblemError("--require-signature: say by --truststore DIR whom to trust")
        return None
    trust = await asyncio.to_thread(
        load_trust, folder, is_signature_required=arguments.require_signature
    )
    if not trust.authorities:
        raise UsageProblemError(
            f"--truststore {folder}: expected a directory with CA certificates (*.crt), found none;"
            " an engine keeps its own in signing/truststore of its data directory"
        )
    return trust


async def print_text(text: str) -> None:
    """Write to stdout in a thread: a slow pipe must not stop the loop."""

    def write() -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    await asyncio.to_thread(write)


async def explain_trouble(
    doing: Awaitable[int], *known: type[Exception], say: Callable[[Exception], str] = str
) -> int:
    """Await a subcommand and return its exit code; ``known`` errors are explained on stderr."""
    try:
        return await doing
    except BrokenPipeError:  # who reads the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return DONE
    except UsageProblemError as trouble:
        sys.stderr.write(f"{PROGRAM}: {trouble}\n")
        return USAGE
    except known as trouble:
        sys.stderr.write(f"{PROGRAM}: {say(trouble)}\n")
    except OSError as trouble:
        where = f"{trouble.filename}: " if trouble.filename else ""
        sys.stderr.write(f"{PROGRAM}: {where}{trouble.strerror or trouble}\n")
    return TROUBLE
