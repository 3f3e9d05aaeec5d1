"""``backup_engine archive keygen|rewrap``: new keys, and copies of archives for them."""

import argparse
import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from backup_engine.archive.encryption import (
    Recipients,
    load_recipients,
    make_identity,
    write_private,
)
from backup_engine.archive.errors import KeyFileError
from backup_engine.archive.names import is_archive_name
from backup_engine.archive.protection import Protection
from backup_engine.archive.rewrapping import rewrap
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.command.options import (
    DONE,
    PROGRAM,
    UsageProblemError,
    add_access_options,
    add_trust_options,
    open_place,
    print_text,
    read_identities,
    read_trust,
)


def add_keygen_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``keygen``."""
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the identity file here, for its owner alone, and print the public key only",
    )


def add_rewrap_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``rewrap``."""
    parser.add_argument("url", help="URL or path of the archive to copy")
    parser.add_argument("target", help="URL or path of the copy, which must not exist")
    add_access_options(parser)
    add_trust_options(parser)
    parser.add_argument(
        "--recipient",
        action="append",
        default=[],
        metavar="KEY",
        help="public key (age1…) that shall open the copy; repeatable",
    )
    parser.add_argument(
        "--recipients-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="file with one public key a line; repeatable",
    )
    parser.add_argument(
        "--signing-dir",
        type=Path,
        metavar="DIR",
        help="sign the copy with the keys of this folder, which must trust the original",
    )
    parser.add_argument(
        "--accept-unsigned",
        action="store_true",
        help="with --signing-dir: the original need not be signed",
    )


async def generate_key(arguments: argparse.Namespace) -> int:
    """Make a key pair: the identity goes to a file, or to stdout."""
    made = make_identity(datetime.now(UTC))
    if arguments.output is None:
        await print_text(made.text)
        return DONE
    await asyncio.to_thread(write_private, arguments.output, made.text)
    await print_text(f"{made.recipient}\n")
    return DONE


async def rewrap_archive(arguments: argparse.Namespace) -> int:
    """Copy one archive for other recipients; raises UsageProblemError, ArchiveError."""
    _check_combination(arguments)
    trust = await read_trust(arguments)
    source = open_place(arguments, arguments.url)
    store, name = open_place(arguments, arguments.target)
    keys = [*arguments.recipient, *await _load_recipients(arguments.recipients_file)]
    identities = await read_identities(arguments)
    signer = None
    if arguments.signing_dir is not None:
        directory = SigningDirectory(arguments.signing_dir)
        signer = await asyncio.to_thread(directory.ensure_signer, datetime.now(UTC))
        if trust is None:
            trust = await asyncio.to_thread(directory.load_trust)
        if not arguments.accept_unsigned:  # who signs vouches for where it came from
            trust = replace(trust, is_signature_required=True)
    protection = Protection(Recipients(keys), signer)
    manifest = await rewrap(source, (store, name), protection, trust=trust, identities=identities)
    totals, count = manifest.totals, len(set(keys))
    if not is_archive_name(name):
        sys.stderr.write(
            f"{PROGRAM}: {name}: 'archive list' and engines look for archives by the name"
            " backup.….tar\n"
        )
    await print_text(
        f"{store.location(name)}: {totals.objects} objects in {totals.parts} parts, encrypted to"
        f" {count} recipient{'s' if count > 1 else ''}, {'signed' if signer else 'not signed'}\n"
    )
    return DONE


def _check_combination(arguments: argparse.Namespace) -> None:
    """Raise UsageProblemError for keys that are none, and options that do not go together."""
    if not (arguments.recipient or arguments.recipients_file):
        raise UsageProblemError("rewrap: name a new key by --recipient or --recipients-file")
    try:
        Recipients(arguments.recipient)
    except KeyFileError as trouble:
        raise UsageProblemError(f"--recipient: {trouble}") from trouble
    if not arguments.accept_unsigned:
        return
    if arguments.signing_dir is None:
        raise UsageProblemError("--accept-unsigned goes with --signing-dir")
    if arguments.require_signature:
        raise UsageProblemError("--accept-unsigned and --require-signature exclude each other")


async def _load_recipients(files: list[Path]) -> list[str]:
    return await asyncio.to_thread(load_recipients, files)
