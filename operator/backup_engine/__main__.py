"""The command line: ``python -m backup_engine serve | archive | volumes | mover | …``.

What a command needs is imported when it is called for: a mover starts for each volume, and must
not wait for what archives, restores and the server are made of (ADR 13).
"""

# ruff: noqa: PLC0415

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
from backup_engine.command.summaries import SUMMARIES

EXIT_USAGE: Final = 2
EXIT_TROUBLE: Final = 3
EXIT_INTERRUPTED: Final = 130  # as shells tell of a program that SIGINT ended

_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TALKATIVE: Final = ("uvicorn", "alembic", "aiosqlite")


def build_parser(command: str) -> argparse.ArgumentParser:
    """Build a parser that knows all commands, and the options of ``command``."""
    parser = argparse.ArgumentParser(
        prog="backup_engine", description="Serves the backup API for a Kubernetes cluster."
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="serve | archive | volumes | hash-password"
    )
    for name, summary in SUMMARIES.items():
        if name != command:
            commands.add_parser(name, help=summary)
    match command:
        case "serve":
            from backup_engine.command.serving import add_serve_parser

            add_serve_parser(commands)
        case "archive":
            from backup_engine.command.archive import add_archive_parser

            add_archive_parser(commands)
        case "volumes":
            from backup_engine.command.volumes import add_volumes_parser

            add_volumes_parser(commands)
        case "mover":
            from backup_engine.volumes.mover_job import REQUEST

            text = f"Does what ${REQUEST} says, and tells the engine by its termination message."
            commands.add_parser("mover", description=text)
        case "hash-password":
            text = (
                "Reads a password from standard input, or asks for it on a terminal, and writes"
                " its hash."
            )
            commands.add_parser("hash-password", description=text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: exit code 0 done, 2 wrong usage, 3 trouble that the message explains."""
    given = sys.argv[1:] if argv is None else argv
    arguments = build_parser(given[0] if given else "").parse_args(given)
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # a server is as good as stopped, any other work is not done
        return 0 if arguments.command == "serve" else EXIT_INTERRUPTED
    except Exception as trouble:
        if not _is_explained(trouble):
            raise
        return _explain(trouble, EXIT_TROUBLE)


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "archive":
            from backup_engine.command.archive import run_archive

            return asyncio.run(run_archive(arguments))
        case "volumes":
            from backup_engine.command.volumes import run_volumes

            return asyncio.run(run_volumes(arguments))
        case "mover":
            from backup_engine.volumes.mover import run_mover

            return run_mover(os.environ)
        case "hash-password":
            from backup_engine.auth.passwords import hash_password

            sys.stdout.write(f"{hash_password(_read_password())}\n")
            return 0
    return _serve(arguments)


def _is_explained(trouble: Exception) -> bool:
    """Tell whether the text of ``trouble`` says what is wrong and what to do."""
    from backup_engine.archive.errors import ArchiveError
    from backup_engine.cluster_access.access import ClusterError
    from backup_engine.errors import EngineError

    return isinstance(trouble, EngineError | ArchiveError | ClusterError)


def _serve(arguments: argparse.Namespace) -> int:
    from backup_engine.app import serve
    from backup_engine.settings import UsageError, read_settings

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
