"""``backup_engine archive diff|restore``: from an archive to a cluster without any engine.

Plans and outcomes go to stdout, progress and trouble to stderr.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from backup_api.restores import RestoreGroup
from backup_engine.archive.command_options import (
    add_identity_option,
    add_trust_options,
    open_place,
    read_identities,
    read_trust,
)
from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.reading import ArchiveReader
from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.restore.errors import RestoreError
from backup_engine.restore.planning import CHANGING, Action, Existing, Plan, PlanItem
from backup_engine.restore.presenting import (
    build_outcome_document,
    build_outcome_text,
    build_plan_document,
    build_plan_text,
    encode,
)
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.run import RestoreProgress, plan_restore, restore
from backup_engine.restore.selection import ObjectRule, Selection, parse_object_rule

DONE: Final = 0
DIFFERENT: Final = 1
TROUBLE: Final = 3
PROGRAM: Final = "backup_engine"
REPORT_EVERY_S: Final = 2.0

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add_restore_parsers(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add ``diff`` and ``restore`` to the subcommands of ``archive``."""
    diff = subparsers.add_parser("diff", help="show what a cluster lacks of an archive")
    restore_ = subparsers.add_parser("restore", help="restore objects of an archive")
    for parser in (diff, restore_):
        _add_choice(parser)
    add = restore_.add_argument
    add(
        "--existing",
        type=Existing,
        choices=list(Existing),
        default=Existing.KEEP,
        help="what exists and differs: Keep (default), Update or Recreate it",
    )
    go = restore_.add_mutually_exclusive_group()
    go.add_argument("--plan", action="store_true", help="only show the plan (the default)")
    go.add_argument("--approve", metavar="DIGEST", help="restore if the plan has this digest")
    go.add_argument("--yes", action="store_true", help="restore whatever the plan is")
    add(
        "--with-status",
        action="append",
        default=[],
        metavar="KIND",
        help="also restore the status of this kind; repeatable",
    )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", help="URL or path of one archive")
    add("--kubeconfig", type=Path, required=True, metavar="F", help="the cluster")
    add(
        "--group",
        action="append",
        type=RestoreGroup,
        choices=list(RestoreGroup),
        default=[],
        metavar="GROUP",
        help="only this restore group, e.g. USERS_CONFIG; repeatable (default: all)",
    )
    add(
        "--namespace-mapping",
        action="append",
        type=parse_mapping,
        default=[],
        metavar="OLD=NEW",
        help="restore a namespace under another name; repeatable",
    )
    for name, what in (("--include", "only what matches"), ("--exclude", "nothing that matches")):
        add(
            name,
            action="append",
            type=_parse_rule,
            default=[],
            metavar="RULE",
            help=f"{what}: 'namespace=team-*;kind=Deployment;name=web;label=app=web'; repeatable",
        )
    add_identity_option(parser)
    add_trust_options(parser)
    add("-o", "--output", choices=("text", "json"), default="text", help="form of the answer")


def parse_mapping(text: str) -> tuple[str, str]:
    """Read ``old=new``; raises ArgumentTypeError."""
    old, equals, new = text.partition("=")
    if not (old and equals and new) or "=" in new:
        raise argparse.ArgumentTypeError(f"{text!r}: expected OLD=NEW, two names of namespaces")
    return old, new


def _parse_rule(text: str) -> ObjectRule:
    try:
        return parse_object_rule(text)
    except ValueError as trouble:
        raise argparse.ArgumentTypeError(str(trouble)) from trouble


def build_options(arguments: argparse.Namespace) -> RestoreOptions:
    """Build the options of a parsed command line; ``diff`` has no policy and looks at all."""
    return RestoreOptions(
        selection=Selection(
            groups=frozenset(arguments.group or RestoreGroup),
            include=tuple(arguments.include),
            exclude=tuple(arguments.exclude),
        ),
        namespace_mapping=dict(arguments.namespace_mapping),
        existing=getattr(arguments, "existing", Existing.UPDATE),
        status_kinds=frozenset(getattr(arguments, "with_status", ())),
    )


async def open_archive(arguments: argparse.Namespace) -> ArchiveReader:
    """Open the archive that the command line names, with its keys; raises ArchiveError."""
    store, name = open_place(arguments.url)
    return await ArchiveReader.open(
        store.reader(name),
        trust=await read_trust(arguments),
        identities=await read_identities(arguments),
    )


async def run_restore(arguments: argparse.Namespace) -> int:
    """Run ``diff`` or ``restore``.

    Exit codes: 0 done (``diff``: nothing differs), 1 ``diff`` found differences, 3 trouble that a
    message on stderr explains, or objects that could not be restored.
    """
    try:
        options = build_options(arguments)
        archive = await open_archive(arguments)
        async with ClusterConnection.from_kubeconfig(arguments.kubeconfig) as cluster:
            if arguments.action == "diff":
                return await _diff(arguments, options, archive, cluster)
            return await _restore(arguments, options, archive, cluster)
    except (ArchiveError, ClusterError, RestoreError, ValueError) as trouble:
        await _write(sys.stderr, f"{PROGRAM}: {trouble}\n")
        return TROUBLE


async def _diff(
    arguments: argparse.Namespace,
    options: RestoreOptions,
    archive: ArchiveReader,
    cluster: ClusterConnection,
) -> int:
    plan, items = await _collect(options, archive, cluster)
    await _show(arguments, plan, items)
    same = plan.counts[Action.UNCHANGED] + plan.counts[Action.SKIPPED]
    return DONE if same == sum(plan.counts.values()) else DIFFERENT


async def _restore(
    arguments: argparse.Namespace,
    options: RestoreOptions,
    archive: ArchiveReader,
    cluster: ClusterConnection,
) -> int:
    if arguments.approve is None and not arguments.yes:
        plan, items = await _collect(options, archive, cluster)
        await _show(arguments, plan, items)
        return DONE
    outcome = await restore(
        options, archive, cluster, approved=arguments.approve, report=_reporter()
    )
    if arguments.output == "json":
        await _write(sys.stdout, encode(build_outcome_document(outcome)))
    else:
        await _write(sys.stdout, build_outcome_text(outcome))
    return DONE if outcome.is_complete else TROUBLE


async def _collect(
    options: RestoreOptions, archive: ArchiveReader, cluster: ClusterConnection
) -> tuple[Plan, list[PlanItem]]:
    """Plan, and keep the items that a reader wants to see."""
    items: list[PlanItem] = []

    def take(item: PlanItem) -> None:
        if item.verdict.action in CHANGING | {Action.CONFLICT, Action.UNSUPPORTED}:
            items.append(item)

    return await plan_restore(options, archive, cluster, take=take), items


async def _show(arguments: argparse.Namespace, plan: Plan, items: list[PlanItem]) -> None:
    if arguments.output == "json":
        text = await asyncio.to_thread(lambda: encode(build_plan_document(plan, items)))
    else:
        text = await asyncio.to_thread(build_plan_text, plan, items)
    await _write(sys.stdout, text)


def _reporter() -> Callable[[RestoreProgress], None]:
    """Return a reporter that writes a line every other second."""
    next_at = time.monotonic() + REPORT_EVERY_S

    def report(progress: RestoreProgress) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + REPORT_EVERY_S
            sys.stderr.write(
                f"{PROGRAM}: {progress.settled} of {progress.total} objects,"
                f" {progress.failed} failed\n"
            )

    return report


async def _write(stream: TextIO, text: str) -> None:
    """Write in a thread: a slow pipe must not stop the loop."""

    def write() -> None:
        stream.write(text)
        stream.flush()

    await asyncio.to_thread(write)
