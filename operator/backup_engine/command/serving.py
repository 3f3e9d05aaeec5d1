"""The options of ``backup_engine serve``; ``settings`` says what they mean."""

import argparse
from pathlib import Path

from backup_engine.command.summaries import SUMMARIES
from backup_engine.environment import PREFIX
from backup_engine.volumes.object_lock import DEFAULT_DAYS

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add_serve_parser(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add ``serve``; an option left out is taken from the environment."""
    parser = subparsers.add_parser(
        "serve",
        help=SUMMARIES["serve"],
        description=f"Each option can also be set as environment variable {PREFIX}….",
        argument_default=argparse.SUPPRESS,
    )
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
    add("--mover-cpu-request", metavar="Q", help="of each of those Jobs (default: 100m)")
    add("--mover-memory-request", metavar="Q", help="of each of those Jobs (default: 256Mi)")
    add("--mover-memory-limit", metavar="Q", help="of each of those Jobs (default: 2Gi)")
    add(
        "--mover-toleration",
        action="append",
        metavar="KEY[=VALUE][:EFFECT]",
        help="taint that those Jobs bear, besides those of the pod that has the volume; repeatable",
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
