"""The command line: ``python -m backup_engine serve | archive | volumes | mover | …``."""

import argparse
import asyncio
import getpass
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from backup_engine.allocation import unmap_large_buffers
from backup_engine.archive.errors import ArchiveError
from backup_engine.auth.passwords import hash_password
from backup_engine.cluster_access.access import ClusterError
from backup_engine.command.archive import add_archive_parser, run_archive
from backup_engine.command.serving import add_serve_parser
from backup_engine.command.volumes import add_volumes_parser, run_volumes
from backup_engine.errors import EngineError
from backup_engine.volumes.mover import run_mover
from backup_engine.volumes.mover_job import REQUEST

EXIT_USAGE: Final = 2
EXIT_TROUBLE: Final = 3

_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TALKATIVE: Final = ("uvicorn", "alembic", "aiosqlite")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; an option left out is taken from the environment."""
    parser = argparse.ArgumentParser(
        prog="backup_engine", description="Serves the backup API for a Kubernetes cluster."
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="serve | archive | volumes | hash-password"
    )
    add_serve_parser(commands)
    add_archive_parser(commands)
    add_volumes_parser(commands)
    commands.add_parser(
        "mover",
        help="work on one volume, inside of a pod that the engine made",
        description=f"Does what ${REQUEST} says, and tells the engine by its termination message.",
    )
    commands.add_parser(
        "hash-password",
        help="hash a password for --users-file",
        description="Reads a password from standard input, or asks for it on a terminal, and"
        " writes its hash.",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: exit code 0 done, 2 wrong usage, 3 trouble that the message explains."""
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments)
    except (EngineError, ArchiveError, ClusterError) as trouble:
        return _explain(trouble, EXIT_TROUBLE)
    except KeyboardInterrupt:  # before the server took the signals over
        return 0


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "archive":
        return asyncio.run(run_archive(arguments))
    if arguments.command == "volumes":
        return asyncio.run(run_volumes(arguments))
    if arguments.command == "mover":
        return run_mover(os.environ)
    if arguments.command == "hash-password":
        sys.stdout.write(f"{hash_password(_read_password())}\n")
        return 0
    return _serve(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    # imported here, for it takes twice the time and memory of all that the other commands need
    from backup_engine.app import serve  # noqa: PLC0415
    from backup_engine.settings import UsageError, read_settings  # noqa: PLC0415

    options = {name: value for name, value in vars(arguments).items() if name != "command"}
    try:
        settings = read_settings(options)
        _log_to_stderr(settings.log_level)
        # until the server takes it over: the kernel keeps it from a pod's first process else
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        asyncio.run(serve(settings, os.environ))
    except UsageError as trouble:
        return _explain(trouble, EXIT_USAGE)
    return 0


def entry() -> None:
    """Run as a program."""
    unmap_large_buffers()
    sys.exit(main())


def _read_password() -> str:
    """Read a line, without echo where a person types it; never from an argument, which ps shows."""
    if sys.stdin.isatty():
        return getpass.getpass()
    return sys.stdin.readline().removesuffix("\n")


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=_LOG_FORMAT)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _explain(trouble: Exception, code: int) -> int:
    sys.stderr.write(f"backup_engine: {trouble}\n")
    return code


if __name__ == "__main__":
    entry()
