"""``backup_engine archive …``: what can be done with archives without an engine.

Results go to stdout, talk to stderr. An archive is named by URL or path; ``list`` takes the store.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from backup_engine.archive.errors import ArchiveDamagedError, ArchiveError, ArchiveLockedError
from backup_engine.cluster import ClusterError
from backup_engine.command.diffing import add_diff_options, show_differences
from backup_engine.command.extracting import add_extract_options, extract_objects
from backup_engine.command.keys import (
    add_keygen_options,
    add_rewrap_options,
    generate_key,
    rewrap_archive,
)
from backup_engine.command.options import PROGRAM, TROUBLE, ActionParser, explain_trouble
from backup_engine.command.restoring import add_restore_options, restore_archive
from backup_engine.command.showing import (
    add_list_options,
    add_show_options,
    add_verify_options,
    list_archives,
    show_archive,
    verify,
)
from backup_engine.command.summaries import SUMMARIES
from backup_engine.restore.errors import RestoreError

Action = Callable[[argparse.Namespace], Awaitable[int]]
AddOptions = Callable[[argparse.ArgumentParser], None]

ACTIONS: Final[dict[str, tuple[str, AddOptions, Action]]] = {
    "list": ("list the archives of a store", add_list_options, list_archives),
    "show": ("show what an archive holds, or objects of it", add_show_options, show_archive),
    "verify": ("check every byte of an archive", add_verify_options, verify),
    "diff": (
        "show what has changed since: in the cluster, or up to another archive",
        add_diff_options,
        show_differences,
    ),
    "extract": ("write objects to stdout or to files", add_extract_options, extract_objects),
    "restore": ("plan a restore to a cluster, or do it", add_restore_options, restore_archive),
    "rewrap": ("copy an archive for other keys, and sign it", add_rewrap_options, rewrap_archive),
    "keygen": ("make a key pair for encryption", add_keygen_options, generate_key),
}
"""Each subcommand: what it is for, its options, and what it does."""

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
    for name, (text, add_options, _) in ACTIONS.items():
        description = f"{text[0].upper()}{text[1:]}."
        add_options(actions.add_parser(name, help=text, description=description, epilog=_EPILOG))


async def run_archive(arguments: argparse.Namespace) -> int:
    """Run one subcommand and return the exit code; trouble is explained on stderr."""
    _, _, act = ACTIONS[arguments.action]
    try:
        return await explain_trouble(
            act(arguments), ArchiveError, ClusterError, RestoreError, say=_explain
        )
    except ValueError as trouble:  # a name that no archive can have
        sys.stderr.write(f"{PROGRAM}: {getattr(arguments, 'url', '')}: {trouble}\n")
    return TROUBLE


def _explain(trouble: Exception) -> str:
    match trouble:
        case ArchiveLockedError(reason="IdentityMissing"):
            return f"{trouble}: --identity FILE"
        case ArchiveDamagedError():
            advice = "use another archive, or a sound copy of this one"
            return f"{trouble}; the archive is damaged ({trouble.reason}): {advice}"
        case _:
            return str(trouble)
