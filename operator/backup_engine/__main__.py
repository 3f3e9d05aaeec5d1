"""The command line: ``python -m backup_engine serve | archive | volumes | mover | …``."""

import argparse
import asyncio
import getpass
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backup_engine.allocation import unmap_large_buffers
from backup_engine.app import serve
from backup_engine.archive.errors import ArchiveError
from backup_engine.auth.passwords import hash_password
from backup_engine.cluster import ClusterError
from backup_engine.command.archive import add_archive_parser, run_archive
from backup_engine.command.volumes import add_volumes_parser, run_volumes
from backup_engine.errors import EngineError
from backup_engine.settings import PREFIX, Settings, UsageError, read_settings
from backup_engine.volumes.mover import run_mover
from backup_engine.volumes.mover_job import REQUEST
from backup_engine.volumes.object_lock import DEFAULT_DAYS

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
    _add_serve(
        commands.add_parser(
            "serve",
            help="serve the API",
            description=f"Each option can also be set as environment variable {PREFIX}….",
            argument_default=argparse.SUPPRESS,
        )
    )
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


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--listen", metavar="ADDRESS:PORT", help="where to listen; port 0: any free one")
    add("--data-dir", type=Path, metavar="D", help="folder for state, tokens and certificates")
    add("--kubeconfig", type=Path, metavar="F", help="the cluster (default: as kubectl chooses)")
    add(
        "--engine-name",
        metavar="NAME",
        help="the BackupEngine that this is, whose BackupHosts it takes (default: in-cluster)",
    )
    add("--token-file", type=Path, metavar="F", help="'token label' per line (default: D/token)")
    add("--users-file", type=Path, metavar="F", help="'name:hash' per line, for HTTP basic")
    add("--database-url", metavar="URL", help="SQLAlchemy URL (default: SQLite in D)")
    add(
        "--database-password-file", type=Path, metavar="F", help="password of a PostgreSQL database"
    )
    add(
        "--takeover-after",
        type=float,
        metavar="S",
        help="seconds until the jobs of an engine that died are another's (default: 15)",
    )
    add("--archive-url", metavar="URL", help="file://, s3://, gs://, az:// (default: D/archives)")
    add("--recipient", action="append", metavar="age1…", help="encrypt archives to; repeatable")
    add("--recipients-file", action="append", type=Path, metavar="F", help="recipients, one a line")
    add(
        "--identity-file", action="append", type=Path, metavar="F", help="private keys to read with"
    )
    add("--require-signature", action="store_true", help="an unsigned archive is not valid")
    add("--no-signing", action="store_true", help="neither sign archives nor judge signatures")
    add("--tls-cert", type=Path, metavar="F", help="certificate chain, PEM")
    add("--tls-key", type=Path, metavar="F", help="private key, PEM")
    add("--tls-self-signed", action="store_true", help="make a CA and certificate in D/tls")
    add("--tls-secret", metavar="[NS/]NAME", help="certificate in a Secret, made if absent")
    add("--signing-secret", metavar="[NS/]NAME", help="keys to sign with, shared by all engines")
    add("--plain-http", action="store_true", help="no TLS; only on a loopback address")
    add(
        "--tls-name", action="append", metavar="NAME", help="further name of the server; repeatable"
    )
    add(
        "--archive-credentials-file",
        type=Path,
        metavar="F",
        help="credentials of the bucket (default: the environment, or workload identity)",
    )
    add(
        "--mover-image",
        metavar="IMAGE",
        help="volumes are claims; image of the Jobs that read them",
    )
    add("--volumes-dir", type=Path, metavar="DIR", help="volumes are DIR/<namespace>/<claim>")
    add("--kopia", metavar="PATH", help="the kopia that reads volumes (default: on PATH)")
    add(
        "--repository-url",
        metavar="URL",
        help="file:// or s3://, of the repositories of volumes (default: D/repositories)",
    )
    add("--repository-credentials-file", type=Path, metavar="F", help="credentials of that bucket")
    add(
        "--repository-password-secret",
        metavar="[NS/]PREFIX",
        help="password of host H in Secret PREFIX-H (default: D/repository-passwords)",
    )
    add(
        "--repository-lock",
        metavar="MODE",
        help="GOVERNANCE or COMPLIANCE: the bucket, which has object lock, keeps what is stored",
    )
    add(
        "--repository-lock-days",
        type=int,
        metavar="N",
        help=f"how long; maintenance extends it (default: {DEFAULT_DAYS})",
    )
    add("--verify-percent", type=float, metavar="P", help="share of files that verifications read")
    add("--scan-interval", type=float, metavar="S", help="seconds between looks at the archives")
    add("--verify-interval", type=float, metavar="S", help="seconds until an archive is read again")
    add("--verify-rate", type=int, metavar="N", help="bytes a second to verify at; 0: no bound")
    add("--nightly-at", metavar="HH:MM", help="when nightly runs begin (default: 00:00)")
    add("--time-zone", metavar="ZONE", help="of --nightly-at, such as Europe/Berlin (default: UTC)")
    add(
        "--restore-time-limit",
        type=float,
        metavar="S",
        help="seconds until a restore that has not ended fails (default: 21600)",
    )
    add(
        "--drain",
        type=float,
        metavar="S",
        help="seconds to serve on, but not be ready, when told to stop (default: 0)",
    )
    add("--log-level", metavar="LEVEL", help="debug, info (default), warning or error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: exit code 0 done, 2 wrong usage, 3 trouble that the message explains."""
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments)
    except UsageError as trouble:
        return _explain(trouble, EXIT_USAGE)
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
    options = {name: value for name, value in vars(arguments).items() if name != "command"}
    settings = read_settings(options)
    _log_to_stderr(settings)
    asyncio.run(serve(settings, os.environ))
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


def _log_to_stderr(settings: Settings) -> None:
    logging.basicConfig(stream=sys.stderr, level=settings.log_level.upper(), format=_LOG_FORMAT)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _explain(trouble: Exception, code: int) -> int:
    sys.stderr.write(f"backup_engine: {trouble}\n")
    return code


if __name__ == "__main__":
    entry()
