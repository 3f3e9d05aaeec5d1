"""``backup_engine volumes …``: what a repository of volumes holds, and getting it back, by kopia.

For the day on which the cluster is gone: all that is needed is the repository and its password.
Results go to stdout, talk to stderr.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from backup_engine.archive.errors import ArchiveError
from backup_engine.command.kept_backups import KeptBackup, choose_backup, gather_backups
from backup_engine.command.layout import build_table, format_moment, format_size
from backup_engine.command.options import (
    DONE,
    PROGRAM,
    ActionParser,
    UsageProblemError,
    add_credentials_option,
    build_store_url,
    explain_trouble,
    print_text,
)
from backup_engine.command.summaries import SUMMARIES
from backup_engine.environment import PREFIX
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.kopia import find_kopia
from backup_engine.volumes.place import RepositoryPlaces, parse_repository_url
from backup_engine.volumes.repository import Repository
from backup_engine.volumes.snapshots import Snapshot
from backup_engine.volumes.targets import check_links, is_empty
from backup_engine.volumes.volume import Volume, check_path, parse_volume

PASSWORD_VARIABLE: Final = f"{PREFIX}REPOSITORY_PASSWORD"

_HOST: Final = re.compile(r"(?P<hostname>[a-z0-9][-a-z0-9.]*)_(?P<id>[1-9]\d{0,17})", re.ASCII)

Action = Callable[[argparse.Namespace], Awaitable[int]]
AddOptions = Callable[[argparse.ArgumentParser], None]


def add_volumes_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``volumes`` and its subcommands."""
    text = "Look into the repository of a data host, and restore from it, without an engine."
    parser = subparsers.add_parser("volumes", help=SUMMARIES["volumes"], description=text)
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=ActionParser
    )
    for name, (text, add_options, _) in ACTIONS.items():
        description = f"{text[0].upper()}{text[1:]}."
        action = actions.add_parser(name, help=text, description=description, epilog=_EPILOG)
        action.add_argument(
            "url",
            help="directory, file:// or s3:// URL of one host's repository, such as"
            " s3://bucket/prefix/shop_2",
        )
        add_options(action)
        _add_access(action)


async def run_volumes(arguments: argparse.Namespace) -> int:
    """Run one subcommand and return the exit code; trouble is explained on stderr."""
    _, _, act = ACTIONS[arguments.action]
    known = (VolumeError, ArchiveError)  # the latter of a file of credentials
    return await explain_trouble(act(arguments), *known, say=_explain)


async def list_backups(arguments: argparse.Namespace) -> int:
    """List the backups, the oldest first."""
    async with _open(arguments) as (repository, hostname):
        backups = gather_backups(await repository.list_snapshots(), hostname)
    if arguments.output == "json":
        await print_text(json.dumps([each.as_json() for each in backups], indent=2) + "\n")
        return DONE
    if not backups:
        sys.stderr.write(f"{PROGRAM}: {arguments.url}: no backups\n")
        return DONE
    rows = [("BACKUP", "HOST", "BEGAN", "VOLUMES", "SIZE", "FILES")]
    rows += [
        (
            each.name,
            each.hostname,
            format_moment(int(each.began.timestamp() * 1000)),
            str(len(each.snapshots)),
            format_size(sum(one.size_bytes for one in each.snapshots.values())),
            str(sum(one.files for one in each.snapshots.values())),
        )
        for each in backups
    ]
    await print_text(build_table(rows, right=frozenset({3, 4, 5})))
    return DONE


async def show_backup(arguments: argparse.Namespace) -> int:
    """Show the volumes of one backup, or what a directory of one of them holds."""
    async with _open(arguments) as (repository, hostname):
        backup = choose_backup(await repository.list_snapshots(), hostname, arguments)
        if arguments.volume is None:
            return await _show_volumes(backup, arguments.output)
        _, snapshot = _choose_volume(backup, arguments.volume)
        path = _convert_path(arguments.path) if arguments.path is not None else ""
        entries = await repository.list_directory(snapshot.id, path)
    if arguments.output == "json":
        told = [
            {
                "name": each.name,
                "isDirectory": each.is_directory,
                "sizeBytes": each.size_bytes,
                "files": each.files,
                "modified": each.modified,
            }
            for each in entries
        ]
        await print_text(json.dumps(told, indent=2) + "\n")
        return DONE
    rows = [("NAME", "SIZE", "FILES", "MODIFIED")]
    rows += [
        (
            f"{each.name}/" if each.is_directory else each.name,
            format_size(each.size_bytes),
            str(each.files),
            each.modified[:19],
        )
        for each in entries
    ]
    await print_text(build_table(rows, right=frozenset({1, 2})))
    return DONE


async def restore_volume(arguments: argparse.Namespace) -> int:
    """Write one volume, or paths of it, to a directory."""
    target = await asyncio.to_thread(Path(arguments.target).absolute)
    paths = tuple(_convert_path(each) for each in arguments.path)
    await asyncio.to_thread(_check_target, target, paths)
    async with _open(arguments) as (repository, hostname):
        backup = choose_backup(await repository.list_snapshots(), hostname, arguments)
        volume, snapshot = _choose_volume(backup, arguments.volume)
        sys.stderr.write(
            f"{PROGRAM}: restoring {volume} of {backup.name}, begun"
            f" {format_moment(int(backup.began.timestamp() * 1000))}, to {target}\n"
        )
        await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        done = await repository.restore_all(snapshot.id, paths, target)
    await print_text(f"restored {done.files} files, {done.bytes} bytes\n")
    return DONE


def parse_moment(text: str) -> datetime:
    """Read RFC 3339, UTC if no zone is given; raises ArgumentTypeError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as trouble:
        message = f"expected a time such as 2026-11-28T03:00:00Z, found {text!r}"
        raise argparse.ArgumentTypeError(message) from trouble
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


async def _show_volumes(backup: KeptBackup, output: str) -> int:
    if output == "json":
        await print_text(json.dumps(backup.as_json(), indent=2) + "\n")
        return DONE
    rows = [("VOLUME", "SIZE", "FILES", "UNREADABLE", "SNAPSHOT")]
    rows += [
        (str(volume), format_size(one.size_bytes), str(one.files), str(one.failed), one.id)
        for volume, one in sorted(backup.snapshots.items())
    ]
    began = format_moment(int(backup.began.timestamp() * 1000))
    await print_text(f"{backup.name} of {backup.hostname}, begun {began}\n\n")
    await print_text(build_table(rows, right=frozenset({1, 2, 3})))
    return DONE


def _choose_volume(backup: KeptBackup, text: str) -> tuple[Volume, Snapshot]:
    namespace, slash, claim = text.partition("/")
    try:
        volume = parse_volume(namespace, claim if slash else "")
    except ValueError as trouble:
        raise UsageProblemError(f"expected NAMESPACE/CLAIM, found {text!r}: {trouble}") from trouble
    if volume not in backup.snapshots:
        there = ", ".join(str(each) for each in sorted(backup.snapshots)[:10])
        raise VolumeError(
            "VolumeMissing", f"backup {backup.name} has no volume {volume}; it has {there}"
        )
    return volume, backup.snapshots[volume]


def _convert_path(text: str) -> str:
    try:
        return check_path(text)
    except ValueError as trouble:
        raise UsageProblemError(str(trouble)) from trouble


def _check_target(target: Path, paths: Sequence[str]) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise VolumeError("TargetNotDirectory", f"{target} is no directory")
    if not paths and not is_empty(target):
        raise VolumeError(
            "TargetNotEmpty",
            f"{target} is not empty; name a new or an empty directory, or paths to overwrite",
        )
    check_links(target, str(target), paths)


@asynccontextmanager
async def _open(arguments: argparse.Namespace) -> AsyncIterator[tuple[Repository, str]]:
    """Open the repository with a configuration that goes away again; raises VolumeError."""
    password = _read_password(arguments)
    url = build_store_url(arguments.url).rstrip("/")
    try:
        parse_repository_url(url)
    except ValueError as trouble:
        raise UsageProblemError(f"{arguments.url}: {trouble}") from trouble
    parent, _, name = url.rpartition("/")
    found = _HOST.fullmatch(name)
    if found is None:
        raise UsageProblemError(
            f"{arguments.url}: expected the repository of one host, which ends in its name and id,"
            " such as …/shop_2"
        )
    places = RepositoryPlaces(parent, arguments.credentials_file, os.environ)
    place = places.find(int(found["id"]), found["hostname"])
    with tempfile.TemporaryDirectory(prefix="backup-engine-") as home:
        repository = Repository(
            find_kopia(arguments.kopia), place, found["hostname"], password, Path(home)
        )
        await repository.connect()
        yield repository, found["hostname"]


def _read_password(arguments: argparse.Namespace) -> str:
    if arguments.password_file is not None:
        file: Path = arguments.password_file
        return file.read_text().strip()
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise UsageProblemError(
            f"the repository has a password: name its file by --password-file, or set"
            f" {PASSWORD_VARIABLE}"
        )
    return password


def _explain(trouble: Exception) -> str:
    if isinstance(trouble, VolumeError) and trouble.reason == "PasswordWrong":
        return "the repository does not open with this password"
    return str(trouble)


def _add_access(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--password-file",
        type=Path,
        metavar="F",
        help=f"file with the repository's password (default: ${PASSWORD_VARIABLE})",
    )
    add("--kopia", metavar="PATH", help="the kopia to run (default: on PATH)")
    add_credentials_option(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", "-o", choices=("text", "json"), default="text", help="for people or programs"
    )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--backup", metavar="NAME", help="this backup, as `list` names it")
    choice.add_argument(
        "--at",
        type=parse_moment,
        metavar="TIME",
        help="the newest backup that had begun by then, such as 2026-11-28T03:00:00Z (default: the"
        " newest)",
    )


def _add_show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "volume", nargs="?", metavar="NAMESPACE/CLAIM", help="list what it holds; absent: volumes"
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="a directory in it")
    _add_choice(parser)
    _add_output(parser)


def _add_restore_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("volume", metavar="NAMESPACE/CLAIM", help="the volume to restore")
    parser.add_argument("target", metavar="DIRECTORY", help="where to: a new or empty directory")
    parser.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="PATH",
        help="only this file or directory, into a directory that need not be empty; repeatable",
    )
    _add_choice(parser)


ACTIONS: Final[dict[str, tuple[str, AddOptions, Action]]] = {
    "list": ("list the backups of a host", _add_output, list_backups),
    "show": ("show the volumes of a backup, or what one holds", _add_show_options, show_backup),
    "restore": (
        "write a volume, or paths of it, to a directory",
        _add_restore_options,
        restore_volume,
    ),
}
"""Each subcommand: what it is for, its options, and what it does."""

_EPILOG: Final = "Exit codes: 0 done, 2 wrong usage, 3 trouble that the message explains."
