"""``backup_engine archive diff``: what has changed since an archive was made."""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

from backup_engine.browse.comparing import Change, Comparison, Difference, Side, compare, detail
from backup_engine.browse.sides import ArchiveSide, LiveSide
from backup_engine.cluster import ClusterConnection
from backup_engine.command.choosing import add_choice_options, build_selection
from backup_engine.command.options import (
    DIFFERENT,
    DONE,
    PROGRAM,
    UsageProblemError,
    add_access_options,
    add_trust_options,
    open_archive,
    print_text,
)
from backup_engine.restore.difference import FieldChange
from backup_engine.restore.live import LiveCluster
from backup_engine.restore.presenting import describe_change, encode
from backup_engine.restore.request import RestoreLimits

PAGE_LENGTH: Final = 500
LARGEST_CHANGES: Final = 8
_MARKS: Final = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}


def add_diff_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``diff``."""
    parser.add_argument("url", help="URL or path of the older archive")
    parser.add_argument("other", nargs="?", help="URL or path of a newer archive")
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="F", help="compare with this cluster as it is now"
    )
    add_choice_options(parser)
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="form of the answer"
    )
    add_access_options(parser)
    add_trust_options(parser)


async def show_differences(arguments: argparse.Namespace) -> int:
    """Print what differs; exit code 0 nothing does, 1 something does."""
    if (arguments.other is None) == (arguments.kubeconfig is None):
        raise UsageProblemError("diff: name a second archive, or a cluster by --kubeconfig")
    selection = build_selection(arguments)
    async with AsyncExitStack() as opened:
        old = ArchiveSide(await open_archive(arguments, arguments.url), selection)
        new: Side
        if arguments.other is not None:
            new = ArchiveSide(await open_archive(arguments, arguments.other), selection)
        else:
            connection = ClusterConnection.from_kubeconfig(arguments.kubeconfig)
            cluster = await opened.enter_async_context(connection)
            live = LiveCluster(cluster, RestoreLimits().retries)
            new = LiveSide(live, selection, old.scope)
        comparison = await compare(old, new)
        if not comparison.entries and not comparison.same:
            sys.stderr.write(f"{PROGRAM}: no object on either side matches\n")
        if arguments.output == "json":
            found = await detail(comparison.entries, old, new)
            document = build_document(comparison, found)
            await print_text(await asyncio.to_thread(encode, document))
        else:
            for first in range(0, len(comparison.entries), PAGE_LENGTH):
                page = comparison.entries[first : first + PAGE_LENGTH]
                await print_text("".join(map(describe, await detail(page, old, new))))
            await print_text(build_totals(comparison))
    return DIFFERENT if comparison.entries else DONE


def build_document(comparison: Comparison, found: Iterable[Difference]) -> dict[str, Any]:
    """Build the JSON form of a comparison; the members are those of the engine's API."""
    return {
        "added": comparison.counts[Change.ADDED],
        "removed": comparison.counts[Change.REMOVED],
        "changed": comparison.counts[Change.CHANGED],
        "same": comparison.same,
        "not_compared": comparison.not_compared,
        "differences": [
            {
                "change": each.change.value,
                "api_version": each.key.api_version,
                "kind": each.key.kind,
                "namespace": each.key.namespace,
                "name": each.key.name,
                "fields": [msgspec.to_builtins(field) for field in each.fields],
            }
            for each in found
        ],
    }


def describe(difference: Difference) -> str:
    """Describe one object that differs, in a line and one for each field."""
    lines = [f"{_MARKS[difference.change]} {difference.key}"]
    lines += [f"    {describe_change(each)}" for each in _first(difference.fields)]
    more = len(difference.fields) - LARGEST_CHANGES
    if more > 0:
        lines.append(f"    and {more} more fields")
    return "\n".join(lines) + "\n"


def build_totals(comparison: Comparison) -> str:
    """Sum up a comparison."""
    counts = comparison.counts
    lines = [f"not compared: {gap}" for gap in comparison.not_compared]
    lines.append(
        f"{counts[Change.ADDED]} added, {counts[Change.REMOVED]} removed,"
        f" {counts[Change.CHANGED]} changed, {comparison.same} the same"
    )
    return "\n".join(lines) + "\n"


def _first(fields: tuple[FieldChange, ...]) -> tuple[FieldChange, ...]:
    return fields[:LARGEST_CHANGES]
