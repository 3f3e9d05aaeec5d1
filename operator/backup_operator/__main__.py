"""Command line of the operator: ``run``, ``release`` and ``crds``.

What a command needs is imported when it is called for: help and wrong usage must not wait for the
Kubernetes client, and ``crds`` needs none.
"""

# ruff: noqa: PLC0415

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

USAGE: Final = 2
EXPLAINED: Final = 3


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; every option of ``run`` is also ``BACKUP_OPERATOR_…``."""
    parser = argparse.ArgumentParser(
        prog="backup_operator", description="Backups of appliances and clusters, as resources."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="watch the resources and act on them",
        epilog="Each option is also an environment variable, such as BACKUP_OPERATOR_KUBECONFIG;"
        " BACKUP_OPERATOR_NAMESPACES lists namespaces with commas.",
    )
    run.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="absent: the pod's own rights; outside a cluster $KUBECONFIG, then ~/.kube/config",
    )
    run.add_argument(
        "--namespace",
        action="append",
        dest="namespaces",
        metavar="NS",
        help="serve Backups of this namespace only; may be repeated; absent: all",
    )
    run.add_argument("--metrics-port", type=int, metavar="PORT", help="absent: no metrics")
    run.add_argument("--metrics-address", metavar="ADDRESS", help="default 127.0.0.1")
    run.add_argument(
        "--sweep-interval", metavar="TIME", help="how often finished backups are checked; 5m"
    )
    run.add_argument("--workers", type=int, metavar="N", help="objects worked on at once; 64")
    run.add_argument(
        "--leader-elect",
        action="store_const",
        const=True,
        help="act only while holding a lease, so that several replicas may run",
    )
    run.add_argument(
        "--leader-election-namespace", metavar="NS", help="of the lease; absent: the pod's"
    )
    run.add_argument("--leader-election-name", metavar="NAME", help="backup-operator")
    run.add_argument(
        "--lease-duration", metavar="TIME", help="a lease not renewed for so long is free; 15s"
    )
    run.add_argument(
        "--renew-deadline", metavar="TIME", help="stop acting if not renewed for so long; 10s"
    )
    run.add_argument("--retry-period", metavar="TIME", help="between renewals; 2s")
    run.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR")
    release = commands.add_parser(
        "release",
        help="after the operator was removed: take its finalizer off all objects",
        epilog="Backups at the engines stay as they are. Remove the operator first.",
    )
    release.add_argument("--kubeconfig", type=Path, metavar="FILE", help="as of run")
    release.add_argument(
        "--namespace",
        action="append",
        dest="namespaces",
        metavar="NS",
        help="only objects of this namespace; may be repeated; absent: all",
    )
    release.add_argument("--dry-run", action="store_true", help="only list them")
    crds = commands.add_parser("crds", help="write the CustomResourceDefinitions")
    crds.add_argument("--out", type=Path, metavar="DIR", help="one file each; absent: stdout")
    crds.add_argument("--docs", type=Path, metavar="DIR", help="write their reference as well")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand: exit code 0 done, 2 wrong usage, 3 trouble that the message explains."""
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # before the signals are ours
        return 0
    except Exception as trouble:
        if not _is_explained(trouble):
            raise  # a bug keeps its traceback and exits with 1
        return _explain(trouble, EXPLAINED)


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "crds":
            try:
                return _write_crds(arguments.out, arguments.docs)
            except OSError as trouble:
                return _explain(trouble, EXPLAINED)
        case "release":
            return _release(arguments)
    return _operate(arguments)


def _operate(arguments: argparse.Namespace) -> int:
    from backup_operator.settings import SettingsError, read_settings

    given = {name: value for name, value in vars(arguments).items() if name != "command"}
    try:
        settings = read_settings(given)
    except SettingsError as wrong:
        return _explain(wrong, USAGE)
    from backup_operator.app import run_operator  # only now: wrong usage is told at once

    _log_to_stderr(settings.log_level)
    asyncio.run(run_operator(settings))
    return 0


def _release(arguments: argparse.Namespace) -> int:
    from backup_operator.cluster.access import ClusterAccess
    from backup_operator.release import release_objects

    released = asyncio.run(
        release_objects(
            ClusterAccess(arguments.kubeconfig),
            arguments.namespaces or (),
            is_rehearsal=arguments.dry_run,
            say=sys.stdout.write,
        )
    )
    sys.stderr.write(f"backup_operator: {released} objects\n")
    return 0


def _write_crds(out: Path | None, docs: Path | None) -> int:
    from backup_operator.crds import render_crds, write_crds
    from backup_operator.crds.reference import write_reference

    if out is not None:
        for path in write_crds(out):
            sys.stdout.write(f"{path}\n")
    if docs is not None:
        for path in write_reference(docs):
            sys.stdout.write(f"{path}\n")
    if out is None and docs is None:
        sys.stdout.write(render_crds())
    return 0


def _is_explained(trouble: Exception) -> bool:
    from backup_operator.errors import ExpectedError

    return isinstance(trouble, ExpectedError)


def _explain(trouble: Exception, code: int) -> int:
    sys.stderr.write(f"backup_operator: {trouble}\n")
    return code


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=level,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    for talker in ("kopf", "httpx2", "httpcore2", "aiohttp", "asyncio"):
        logging.getLogger(talker).setLevel(logging.WARNING)  # each object seen, each byte sent


def entry() -> None:
    """Run as a console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
