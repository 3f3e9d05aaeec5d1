"""``backup_engine archive …``: what can be done with archives without an engine.

Results go to stdout, talk to stderr. An archive is named by URL or path; ``list`` takes the store.
What a subcommand needs is imported when it is called for: listing needs not what restores do.
"""

# ruff: noqa: PLC0415

import argparse
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveError,
    ArchiveLockedError,
    ArchiveMissingError,
)
from backup_engine.cluster_access.access import ClusterError
from backup_engine.command.options import PROGRAM, TROUBLE, ActionParser, explain_trouble
from backup_engine.command.summaries import SUMMARIES
from backup_engine.restore.errors import RestoreError

Action = Callable[[argparse.Namespace], Awaitable[int]]
AddOptions = Callable[[argparse.ArgumentParser], None]

ACTIONS: Final[dict[str, str]] = {
    "list": "list the archives of a store",
    "show": "show what an archive holds, or objects of it",
    "verify": "check every byte of an archive",
    "diff": "show what has changed since: in the cluster, or up to another archive",
    "extract": "write objects to stdout or to files",
    "restore": "plan a restore to a cluster, or do it",
    "rewrap": "copy an archive for other keys, and sign it",
    "keygen": "make a key pair for encryption",
}
"""Each subcommand, and what it is for."""

_EPILOG: Final = (
    "Exit codes: 0 done, 1 diff found differences, 2 wrong usage, 3 trouble that the message"
    " explains."
)

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add_archive_parser(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add ``archive`` and its subcommands."""
    text = "Look into archives, and restore from them, without an engine."
    parser = subparsers.add_parser("archive", help=SUMMARIES["archive"], description=text)
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=ActionParser
    )
    for name, text in ACTIONS.items():
        description = f"{text[0].upper()}{text[1:]}."
        action = actions.add_parser(name, help=text, description=description, epilog=_EPILOG)
        action.add_options = partial(_add_options, name)


async def run_archive(arguments: argparse.Namespace) -> int:
    """Run one subcommand and return the exit code; trouble is explained on stderr."""
    _, act = _load(arguments.action)
    try:
        return await explain_trouble(
            act(arguments), ArchiveError, ClusterError, RestoreError, say=_explain
        )
    except ValueError as trouble:  # a folder that is not empty, a name that is none for a file
        sys.stderr.write(f"{PROGRAM}: {getattr(arguments, 'url', '')}: {trouble}\n")
    return TROUBLE


def _add_options(name: str, parser: argparse.ArgumentParser) -> None:
    add_options, _ = _load(name)
    add_options(parser)


def _load(name: str) -> tuple[AddOptions, Action]:
    """Import one subcommand: its options, and what it does."""
    match name:
        case "list" | "show" | "verify":
            from backup_engine.command import showing

            return {
                "list": (showing.add_list_options, showing.list_archives),
                "show": (showing.add_show_options, showing.show_archive),
                "verify": (showing.add_verify_options, showing.verify),
            }[name]
        case "diff":
            from backup_engine.command import diffing

            return diffing.add_diff_options, diffing.show_differences
        case "extract":
            from backup_engine.command import extracting

            return extracting.add_extract_options, extracting.extract_objects
        case "restore":
            from backup_engine.command import restoring

            return restoring.add_restore_options, restoring.restore_archive
        case "rewrap":
            from backup_engine.command import keys

            return keys.add_rewrap_options, keys.rewrap_archive
        case _:
            from backup_engine.command import keys

            return keys.add_keygen_options, keys.generate_key


def _explain(trouble: Exception) -> str:
    match trouble:
        case ArchiveLockedError(reason="IdentityMissing"):
            return f"{trouble}: --identity FILE"
        case ArchiveDamagedError():
            advice = "use another archive, or a sound copy of this one"
            return f"{trouble}; the archive is damaged ({trouble.reason}): {advice}"
        case ArchiveMissingError():
            return _explain_missing(trouble)
        case _:
            return str(trouble)


def _explain_missing(trouble: ArchiveMissingError) -> str:
    """Say what is there instead, where a directory was named for an archive or the reverse."""
    place = Path(trouble.location)
    if place.is_dir():
        return f"{place} is a directory; name an archive in it: 'archive list {place}' lists them"
    if place.is_file():
        return f"{place} is a file; expected a directory of archives. 'archive show' takes a file"
    return str(trouble)
