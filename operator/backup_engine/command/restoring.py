"""``backup_engine archive restore``: from an archive to a cluster without any engine.

Plans and outcomes go to stdout, progress and trouble to stderr.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from backup_engine.archive.reading import ArchiveReader
from backup_engine.cluster import ClusterConnection
from backup_engine.command.choosing import add_choice_options, build_selection
from backup_engine.command.options import (
    DONE,
    PROGRAM,
    TROUBLE,
    UsageProblemError,
    add_access_options,
    add_trust_options,
    open_archive,
    print_text,
)
from backup_engine.restore.mapping import ensure_mapping
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
from backup_engine.restore.wire import is_digest, is_kind, is_namespace

REPORT_EVERY_S: Final = 2.0


def add_restore_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``restore``."""
    add = parser.add_argument
    add("url", help="URL or path of one archive")
    add("--kubeconfig", type=Path, required=True, metavar="F", help="the cluster to restore to")
    add_choice_options(parser)
    add(
        "--namespace-mapping",
        action="append",
        type=parse_mapping,
        default=[],
        metavar="OLD=NEW",
        help="restore a namespace under another name; repeatable",
    )
    add(
        "--existing",
        choices=[each.value for each in Existing],
        default=Existing.KEEP.value,
        metavar="Keep|Update|Recreate",
        help="what becomes of an object that exists and differs (default: Keep)",
    )
    add(
        "--with-status",
        action="append",
        type=parse_kind,
        default=[],
        metavar="KIND",
        help="also restore the status of this kind; repeatable",
    )
    go = parser.add_mutually_exclusive_group()
    go.add_argument("--plan", action="store_true", help="only show the plan (the default)")
    go.add_argument(
        "--approve",
        type=parse_digest,
        metavar="DIGEST",
        help="restore if the plan has this digest",
    )
    go.add_argument("--yes", action="store_true", help="restore whatever the plan is")
    add("-o", "--output", choices=("text", "json"), default="text", help="form of the answer")
    add_access_options(parser)
    add_trust_options(parser)


def parse_mapping(text: str) -> tuple[str, str]:
    """Read ``old=new``; raises ArgumentTypeError."""
    old, _, new = text.partition("=")
    if not (is_namespace(old) and is_namespace(new)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected OLD=NEW, two names of namespaces")
    return old, new


def parse_digest(text: str) -> str:
    """Read the digest of a plan; raises ArgumentTypeError."""
    if not is_digest(text):
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r}: expected sha256: and 64 hexadecimal digits, as a plan shows them"
        )
    return text


def parse_kind(text: str) -> str:
    """Read the name of a kind; raises ArgumentTypeError."""
    if not is_kind(text):
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r}: expected such as Deployment or deployments.apps"
        )
    return text


def build_mapping(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Build the mapping of namespaces; raises UsageProblemError where it is none."""
    mapping = dict(pairs)
    twice = [old for old, count in Counter(old for old, _ in set(pairs)).items() if count > 1]
    if twice:
        raise UsageProblemError(f"--namespace-mapping: {twice[0]!r} has two new names")
    try:
        ensure_mapping(mapping, ())
    except ValueError as trouble:
        raise UsageProblemError(f"--namespace-mapping: {trouble}") from trouble
    return mapping


def build_options(arguments: argparse.Namespace) -> RestoreOptions:
    """Build the options of a parsed command line; raises UsageProblemError."""
    return RestoreOptions(
        selection=build_selection(arguments),
        namespace_mapping=build_mapping(arguments.namespace_mapping),
        existing=Existing(arguments.existing),
        status_kinds=frozenset(arguments.with_status),
    )


async def restore_archive(arguments: argparse.Namespace) -> int:
    """Plan or restore.

    Exit codes: 0 done, 3 objects that could not be restored. Raises UsageProblemError,
    ArchiveError, ClusterError, RestoreError.
    """
    options = build_options(arguments)
    archive = await open_archive(arguments, arguments.url)
    async with ClusterConnection.from_kubeconfig(arguments.kubeconfig) as cluster:
        return await _restore(arguments, options, archive, cluster)


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
        await print_text(encode(build_outcome_document(outcome)))
    else:
        await print_text(build_outcome_text(outcome))
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
    await print_text(text)


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
